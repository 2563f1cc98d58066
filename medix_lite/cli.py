"""The command line: `medix-lite COMMAND --help`. Bad input ends with one clear line and exit status 2."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .files import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The course that teaches open-ended medical RL by running it.",
)

ProfileOption = Annotated[str, typer.Option(help="Name of a profile, or path of a YAML file.")]
SourceOption = Annotated[str, typer.Option(help="phantoms, bccd:PATH, pubmedqa:PATH or folder:PATH.")]
SeedOption = Annotated[int, typer.Option(help="Seed of data, training and sampling.")]
JudgeOption = Annotated[str, typer.Option(help="rules, tiny, openai:MODEL@URL, or model-only:J; empty: the profile's.")]
SettingsOption = Annotated[str, typer.Option(help="Profile settings to change, such as training.steps=40,data.test=100.")]
OutOption = Annotated[Path, typer.Option(help="File or folder to write.")]


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    profile: ProfileOption = "tiny-cpu",
    source: SourceOption = "phantoms",
    seed: SeedOption = 0,
    judge: JudgeOption = "",
    settings: SettingsOption = "",
    notebooks: Annotated[str, typer.Option(help="Which notebooks, such as 01,02; empty: all.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("-p", help="Notebook parameter name=value; may be repeated.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run folder that exists.")] = False,
) -> None:
    """Run the notebooks under papermill, the same as by hand, and write the report."""
    from .runner import run_notebooks

    own: dict[str, Any] = {"profile": profile, "source": source, "seed": seed, "judge": judge, "settings": settings}
    given = parse_parameters(parameter or [])
    own |= {name: given.pop(name) for name in list(given) if name in own}
    if not isinstance(own["seed"], int):
        raise InputError(f"parameter 'seed' must be a whole number, not {own['seed']!r}")
    own |= {name: str(value) for name, value in own.items() if name != "seed"}
    wanted = [name.strip() for name in notebooks.split(",") if name.strip()]
    run_notebooks(out, **own, notebooks=wanted, parameters=given, resume=resume, say=typer.echo)
    typer.echo(f"run folder: {out}" + (f", report: {out / 'report.html'}" if (out / "report.html").exists() else ""))


def parse_parameters(pairs: list[str]) -> dict[str, Any]:
    """`["n=3", "name=x"]` as a dictionary with YAML values.

    Raises:
        InputError: a pair has no `=`.
    """
    import yaml

    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"parameter {pair!r} is not of the form name=value")
        try:
            values[name] = value if name == "settings" else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"parameter {pair!r} has a value that cannot be read") from error
    return values


@app.command()
def curate(
    out: OutOption,
    profile: ProfileOption = "tiny-cpu",
    source: SourceOption = "phantoms",
    seed: SeedOption = 0,
    settings: SettingsOption = "",
) -> None:
    """Turn a source into checked train, probe and test samples with a data set card."""
    from .curation.curate import curate as curate_source
    from .profiles import load_profile
    from .runs import parse_settings

    p = load_profile(profile, parse_settings(settings))
    report = curate_source(source, out, sizes=p.data.model_dump(), seed=seed, image_size=p.image_size)
    for split, counts in report["counts"].items():
        typer.echo(f"{split}: {counts['kept']} kept, {counts['rejected']} rejected")


@app.command("build-tiny")
def build_tiny(
    out: Annotated[Path | None, typer.Option(help="Folder of the models; default: the shipped ones.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace models that are there, the frozen base included.")] = False,
    seed: SeedOption = 0,
) -> None:
    """Build the three tiny models from scratch."""
    from .models.load import TINY
    from .models.tiny import build_tiny as build

    if (out or TINY).exists() and not overwrite:
        raise InputError(f"{out or TINY} exists already; give another folder with --out, or add --overwrite")
    made = build(out or TINY, seed=seed, progress=sys.stderr.isatty())
    typer.echo(f"{out or TINY}: {made['megabytes']} MB in {made['seconds']} s")


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Run folder to make or go on with.")],
    profile: ProfileOption = "tiny-cpu",
    source: SourceOption = "phantoms",
    seed: SeedOption = 0,
    judge: JudgeOption = "",
    settings: SettingsOption = "",
) -> None:
    """Train an adapter with GRPO; an interrupted run goes on from its last checkpoint."""
    from . import runs

    def report(row: dict[str, Any]) -> None:
        if row["step"] % 10 == 0 and row.get("reward") is not None:
            typer.echo(f"step {row['step']}: reward {row['reward']:.3f}, {row['seconds']:.0f} s", err=True)

    done = runs.train(runs.open_run(out, profile, source, seed, judge, settings), report)
    typer.echo(f"{done['steps']} steps in {done['seconds']} s: {done['adapter']}")


@app.command()
def generate(
    samples: Annotated[Path, typer.Option(help="Samples file (JSONL).")],
    out: OutOption,
    profile: ProfileOption = "tiny-cpu",
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    copies: Annotated[int, typer.Option(min=1, help="Responses for each question; more than one are sampled.")] = 1,
    seed: SeedOption = 0,
    settings: SettingsOption = "",
) -> None:
    """Generate responses to a samples file; goes on where an earlier call stopped."""
    from tqdm import tqdm

    from .profiles import load_profile
    from .runs import ask_policy, parse_settings, prepare_device
    from .samples import read_samples

    p = load_profile(profile, parse_settings(settings))
    questions = read_samples(samples)
    prepare_device(p)
    bar = lambda batches: tqdm(batches, disable=None)  # noqa: E731
    rows = ask_policy(p, questions, out, adapter=adapter, copies=copies, seed=seed, progress=bar)
    typer.echo(f"{out}: {len(rows)} responses")


ResponsesOption = Annotated[Path, typer.Option(help="Responses file (JSONL).")]
SamplesOption = Annotated[
    Path | None, typer.Option(help="Samples file to join on id; not needed if responses hold the samples' fields.")
]


@app.command()
def judge(
    responses: ResponsesOption,
    out: OutOption,
    samples: SamplesOption = None,
    judge: Annotated[str, typer.Option(help="rules, tiny, openai:MODEL@URL, or model-only:J.")] = "tiny",
    template: Annotated[str, typer.Option(help="base or reward (YES or NO), mimic (0 to 5); empty: as the sample says.")] = "",
) -> None:
    """Judge the answers of a responses file against their references."""
    from .evaluation.files import join_responses
    from .files import write_jsonl
    from .judging.judges import judge_answers, make_judge
    from .judging.templates import TEMPLATES

    if template and template not in TEMPLATES:
        raise InputError(f"unknown template {template!r}; use one of {', '.join(TEMPLATES)}")
    refuse_existing(out)
    keys, questions, parsed = join_responses(responses, samples)
    answers = [r.answer for r in parsed]
    verdicts = judge_answers(make_judge(judge), questions, answers, TEMPLATES.get(template), [index for _, index in keys])
    write_jsonl(out, (v.model_dump() for v in verdicts))
    typer.echo(f"{out}: {len(verdicts)} verdicts, {sum(v.score is None for v in verdicts)} unscored")


@app.command()
def score(
    responses: ResponsesOption,
    samples: SamplesOption = None,
    judge: Annotated[str, typer.Option(help="rules, tiny, openai:MODEL@URL, or model-only:J.")] = "tiny",
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Score a responses file, whoever made it: accuracy with its interval, format, modality, unscored."""
    from .evaluation.files import score_file
    from .files import write_json
    from .judging.judges import make_judge

    if out:
        refuse_existing(out)
    scores = score_file(responses, samples, make_judge(judge))
    if out:
        write_json(out, scores)
    for name, value in scores.items():
        typer.echo(f"{name}: {value}")


@app.command()
def reward(
    responses: ResponsesOption,
    out: OutOption,
    samples: SamplesOption = None,
    judge: Annotated[str, typer.Option(help="rules, tiny, openai:MODEL@URL, or model-only:J.")] = "tiny",
    preset: Annotated[str, typer.Option(help="robust or faithful.")] = "robust",
) -> None:
    """Compute the composite reward of every response in a file."""
    from .evaluation.files import join_responses, read_texts
    from .files import write_jsonl
    from .judging.judges import make_judge
    from .models.load import load_embedder
    from .rewards.composite import score_responses

    refuse_existing(out)
    keys, questions, _ = join_responses(responses, samples)
    rewards, _ = score_responses(
        questions, read_texts(responses), make_judge(judge), load_embedder(), preset, [index for _, index in keys]
    )
    write_jsonl(out, (r.model_dump() for r in rewards))
    totals = [r.total for r in rewards if r.total is not None]
    mean = f"mean {sum(totals) / len(totals):.3f}" if totals else "no mean"
    typer.echo(f"{out}: {len(rewards)} rewards, {mean}, {len(rewards) - len(totals)} unscored")


@app.command()
def doctor(profile: ProfileOption = "tiny-cpu") -> None:
    """Check before a run that this machine has what a profile needs."""
    from .profiles import load_profile
    from .runs import environment, preflight

    p = load_profile(profile)
    preflight(p)
    for name, value in environment(p, 0).items():
        typer.echo(f"{name}: {value}")
    for part, where in p.memory.model_dump().items():
        typer.echo(f"memory, {part}: {where}")
    typer.echo(f"profile {p.name}: ready")


def refuse_existing(out: Path) -> None:
    """Results are never written over.

    Raises:
        InputError: the file is there already.
    """
    if out.exists():
        raise InputError(f"{out} exists already; choose another file, or delete it")


def main() -> None:
    """Entry point: one clear line for what the user can mend."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except InputError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        sys.exit(_fail(f"{error.strerror or error}: {error.filename or 'a file'}; free space, mend the path or choose another"))
    except KeyboardInterrupt:
        sys.exit(_fail("stopped; run the same command again (with --resume) to go on"))


def _fail(message: str) -> int:
    print(f"medix-lite: {' '.join(message.split())}", file=sys.stderr)
    return 2
