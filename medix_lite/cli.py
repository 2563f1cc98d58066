"""The command line: `medix-lite COMMAND --help`. Bad input ends with one clear line and exit status 2.

Each command is a plain function too; `--help` does not show what follows the form feed in its docstring.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from .files import InputError, read_jsonl, refuse_existing, write_json
from .profiles import load_profile, parse_pairs, parse_settings

ABOUT = "The course that teaches open-ended medical RL by running it."
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=ABOUT)

ProfileOption = Annotated[str, typer.Option(help="Name of a profile, or path of a YAML file.")]
SOURCES = "phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH, parquet:PATH, mcq:PATH or hub:ID@COMMIT"
SourceOption = Annotated[str, typer.Option(help=f"{SOURCES}.")]
SeveralSources = Annotated[list[str] | None, typer.Option(help=f"{SOURCES}; may be repeated. Default: phantoms.")]
SeedOption = Annotated[int, typer.Option(help="Seed of data, training and sampling.")]
JudgeOption = Annotated[str, typer.Option(help="rules, tiny, openai:MODEL@URL, or model-only:J; empty: the profile's.")]
OneJudge = Annotated[str, typer.Option(help="rules, tiny, openai:MODEL@URL, J*3, J+J, or model-only:J.")]
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
    """Run the notebooks under papermill, the same as by hand, and write the report.

    \f
    >>> import tempfile
    >>> run(Path(tempfile.mkdtemp()) / "run", notebooks="00", settings="data.train=8,data.test=4")  # doctest: +ELLIPSIS
    00_start_here (1 of 1) ...
    00_start_here: ... s
    run folder: /...
    """
    from .runner import run_notebooks

    own: dict[str, Any] = {"profile": profile, "source": source, "seed": seed, "judge": judge, "settings": settings}
    given = parse_pairs(parameter or [], "parameter")
    own |= {name: given.pop(name) for name in list(given) if name in own}
    if not isinstance(own["seed"], int):
        raise InputError(f"parameter 'seed' must be a whole number, not {own['seed']!r}")
    own |= {name: str(value) for name, value in own.items() if name != "seed"}
    run_notebooks(out, own, [name.strip() for name in notebooks.split(",") if name.strip()], given, resume)
    typer.echo(f"run folder: {out}" + (f", report: {out / 'report.html'}" if (out / "report.html").exists() else ""))


@app.command()
def curate(
    out: OutOption,
    profile: ProfileOption = "tiny-cpu",
    source: SeveralSources = None,
    benchmark: Annotated[list[str] | None, typer.Option(help="A source that training must not hold; may be repeated.")] = None,
    seed: SeedOption = 0,
    settings: SettingsOption = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Read at most so many rows of each source.")] = None,
    allow_burned_in: Annotated[bool, typer.Option(help="Take DICOM files that say text is burned into them.")] = False,
    allow_mixed_licences: Annotated[bool, typer.Option(help="Mix sources whose licences do not allow it.")] = False,
) -> None:
    """Turn sources into checked train, probe and test samples with a card and a report; goes on where it was stopped.

    \f
    >>> import tempfile
    >>> curate(Path(tempfile.mkdtemp()), settings="data.train=8,data.probe=2,data.test=4")  # doctest: +ELLIPSIS
    14 rows read = 14 kept + 0 rejected; 0 leaks
    train: 8 drawn of 8
    test: 4 drawn of 4
    probe: 2 drawn of 2
    report: /...
    """
    from .curation.curate import curate as curate_source

    p = load_profile(profile, parse_settings(settings))
    how: dict[str, Any] = {"sizes": p.data.model_dump(), "image_size": p.image_size, "seed": seed, "limit": limit}
    how |= {"allow_burned_in": allow_burned_in, "allow_mixed_licences": allow_mixed_licences}
    report = curate_source(source or ["phantoms"], out, benchmarks=benchmark or [], **how)
    counts = report["counts"]
    typer.echo(f"{counts['in']} rows read = {counts['kept']} kept + {counts['rejected']} rejected; {report['leaks']} leaks")
    for split, numbers in counts["splits"].items():
        typer.echo(f"{split}: {numbers['drawn']} drawn of {numbers['kept']}")
    typer.echo(f"report: {out / 'curation.html'}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="bccd or pubmedqa.")], out: Annotated[Path, typer.Option(help="Folder to make.")]
) -> None:
    """Download a public data set at a pinned commit and check its hash. Needs a network.

    \f
    >>> fetch("mimic", Path("data"))
    Traceback (most recent call last):
    medix_lite.files.InputError: unknown data set 'mimic'; use one of bccd, pubmedqa
    """
    from .curation.fetch import fetch as fetch_data_set

    typer.echo(f"source: {name}:{fetch_data_set(name, out)}")


@app.command("build-tiny")
def build_tiny(
    out: Annotated[Path | None, typer.Option(help="Folder of the models; default: the shipped ones.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace models that are there, the frozen base included.")] = False,
    seed: SeedOption = 0,
) -> None:
    """Build the three tiny models from scratch.

    \f
    >>> build_tiny(Path("."))
    Traceback (most recent call last):
    medix_lite.files.InputError: . exists already; give another folder with --out, or add --overwrite
    """
    from .models.load import TINY

    if (out or TINY).exists() and not overwrite:
        raise InputError(f"{out or TINY} exists already; give another folder with --out, or add --overwrite")
    from .models.tiny import build_tiny as build  # slow to import

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
    """Train an adapter with GRPO; an interrupted run goes on from its last checkpoint.

    Several processes: `torchrun --nproc_per_node 2 -m medix_lite train ...`, or `accelerate launch` on several GPUs.

    \f
    >>> import tempfile
    >>> short = "training.steps=1,training.group_size=2,training.prompts_per_step=1,data.train=4,data.probe=1,data.test=2"
    >>> train(Path(tempfile.mkdtemp()) / "run", settings=short)  # doctest: +ELLIPSIS
    1 steps in ... s: /...
    """
    from . import runs
    from .profiles import processes_of

    reward: float | None = None  # of the last rollouts, which several steps may learn from

    def report(row: dict[str, Any]) -> None:
        nonlocal reward
        reward = reward if row.get("reward") is None else row["reward"]
        if row["step"] % 10 == 0 and reward is not None:
            typer.echo(f"step {row['step']}: reward {reward:.3f}, {row['seconds']:.0f} s", err=True)

    with (processes := processes_of(load_profile(profile, parse_settings(settings)))).main_process_first():
        run = runs.open_run(out, profile, source, seed, judge, settings)
    done = runs.train(run, report)
    if processes.is_main_process:
        typer.echo(f"{done['steps']} steps in {done['seconds']} s: {done['adapter']}")


@app.command()
def task(
    names: Annotated[list[str] | None, typer.Argument(help="Names, all, llm, vlm, more, or YAML files; nothing: a list.")] = None,
    out: Annotated[Path, typer.Option(help="Folder; each task gets one in it.")] = Path("tasks"),
    path: Annotated[Path | None, typer.Option(help="Its rows (or its source's folder) on this machine; one task only.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of its data set on the Hub; one task only.")] = None,
) -> None:
    """Write benchmarks as samples files, with what trivial answers score on each.

    \f
    >>> import tempfile
    >>> task(["phantoms"], Path(tempfile.mkdtemp()))  # doctest: +ELLIPSIS
    /...: 1200 questions; commonest answer 0.1275, always yes 0.0817, always A 0.0367
    """
    from .evaluation.tasks import find_tasks, trivial_answers, write_task

    found = find_tasks(names or ["all", "more"])
    if (path or revision) and len(found) > 1:
        raise InputError("--path and --revision are for one task")
    for each in found:
        if not names:
            typer.echo(f"{each.name}: {each.group}, {each.template}, {each.hub or each.source}, licence {each.licence}")
            continue
        samples = write_task(each, out / each.name, path, revision)
        trivial = ", ".join(f"{name} {share}" for name, share in trivial_answers(samples).items())
        typer.echo(f"{out / each.name / 'samples.jsonl'}: {len(samples)} questions; {trivial}")


@app.command()
def generate(
    samples: Annotated[Path, typer.Option(help="Samples file (JSONL).")],
    out: OutOption,
    profile: ProfileOption = "tiny-cpu",
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    copies: Annotated[int, typer.Option(min=1, help="Responses for each question; more than one are sampled.")] = 1,
    seed: SeedOption = 0,
    settings: SettingsOption = "",
    engine: Annotated[str, typer.Option(help="transformers, vllm, or openai:MODEL@URL (whatever a server has).")] = "transformers",
) -> None:
    """Generate responses to a samples file; goes on where an earlier call stopped.

    \f
    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_jsonl(folder / "samples.jsonl", [{"id": "a", "question": "Which organ does glioma affect?", "reference": "brain"}])
    >>> generate(folder / "samples.jsonl", folder / "responses.jsonl")  # doctest: +ELLIPSIS
    /...: 1 responses, 0 truncated
    """
    from .runs import ask_policy
    from .samples import read_samples

    p = load_profile(profile, parse_settings(settings))
    rows = ask_policy(p, read_samples(samples), out, adapter=adapter, engine=engine, copies=copies, seed=seed)
    typer.echo(f"{out}: {len(rows)} responses, {sum(row['finish_reason'] == 'length' for row in rows)} truncated")
    say_failed([f"{row['id']!r}: {row['error']}" for row in rows if row["finish_reason"] == "error"])


def say_failed(failed: list[str], then: str = "run the same command again to ask only these") -> None:
    """End with status 1 if there are any: what was done is kept, some is missing.

    >>> say_failed([])  # silent
    >>> say_failed(["'a': timeout"])
    Traceback (most recent call last):
    SystemExit: medix-lite: 1 ended with an error, the first is 'a': timeout; run the same command again to ask only these
    """
    if failed:
        sys.exit(f"medix-lite: {len(failed)} ended with an error, the first is {failed[0]}; {then}")


ResponsesOption = Annotated[Path, typer.Option(help="Responses file (JSONL).")]
SAMPLES = "Samples file to join on id; not needed if responses hold the samples' fields."
SamplesOption = Annotated[Path | None, typer.Option(help=SAMPLES)]


@app.command()
def judge(
    responses: ResponsesOption,
    out: OutOption,
    samples: SamplesOption = None,
    judge: OneJudge = "tiny",
    template: Annotated[str, typer.Option(help="base, reward (YES or NO), mimic, reasoning (0 to 5); empty: by sample.")] = "",
) -> None:
    """Judge the answers of a responses file against their references; goes on where an earlier call stopped.

    Exit status 1 if a model failed on some of them: these stay UNSCORED, and the next call asks about them again.

    \f
    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> folder = Path(tempfile.mkdtemp())
    >>> row = {"id": "a", "question": "What is seen?", "reference": "flu", "response": "<answer>flu</answer>"}
    >>> write_jsonl(folder / "responses.jsonl", [row])
    >>> judge(folder / "responses.jsonl", folder / "verdicts.jsonl", judge="rules")  # doctest: +ELLIPSIS
    /...: 1 verdicts, 0 unscored
    """
    from .evaluation.files import join_responses, judge_responses, verdicts_path
    from .judging.judges import make_judge
    from .judging.templates import TEMPLATES

    if template and template not in TEMPLATES:
        raise InputError(f"unknown template {template!r}; use one of {', '.join(TEMPLATES)}")
    judged_by, joined = make_judge(judge), join_responses(responses, samples)
    path = out if out.suffix == ".jsonl" else verdicts_path(out, responses, judged_by)
    verdicts = judge_responses(joined, judged_by, path, TEMPLATES.get(template))
    typer.echo(f"{path}: {len(verdicts)} verdicts, {sum(v.score is None for v in verdicts)} unscored")
    say_failed([f"{verdict.id!r}: {verdict.error}" for verdict in verdicts if verdict.error])


@app.command("audit-judge")
def audit_judge(
    pairs: Annotated[Path, typer.Option(help="Labelled pairs (JSONL).")],
    out: Annotated[Path, typer.Option(help="JSON file to write; the verdicts go beside it.")],
    judge: OneJudge = "tiny",
) -> None:
    """Measure a judge against labels: agreement, and false positives and negatives of each kind of candidate.

    \f
    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> folder, labels = Path(tempfile.mkdtemp()), {"flu": True, "influenza": True, "no flu": False}
    >>> rows = [{"question": "Seen?", "reference": "flu", "candidate": text, "label": label} for text, label in labels.items()]
    >>> write_jsonl(folder / "pairs.jsonl", rows)
    >>> audit_judge(folder / "pairs.jsonl", folder / "audit.json", judge="rules")  # doctest: +ELLIPSIS
    kappa: 0.4 [0.0, 1.0]
    mcc: 0.5 [0.5, 1.0]
    accuracy: 0.6667 [0.2077, 0.9385]
    sensitivity: 0.5 [0.0945, 0.9055]
    specificity: 1.0 [0.2065, 1.0]
    unscored: 0.3333 [0.0615, 0.7923]
    all: n 3, false positives 0.0, false negatives 0.5
    /...: 3 pairs
    """
    from .judging.audit import audit, judge_pairs, read_pairs
    from .judging.judges import make_judge

    refuse_existing(out)
    labelled = read_pairs(pairs)
    result = audit(labelled, judge_pairs(labelled, make_judge(judge), out.with_suffix(".verdicts.jsonl")))
    write_json(out, result)
    for name in ("kappa", "mcc", "accuracy", "sensitivity", "specificity", "unscored"):
        typer.echo(f"{name}: {result[name]['value']} {result[name]['ci95']}")
    for kind, part in result["by_kind"].items():
        typer.echo(f"{kind}: n {part['n']}, false positives {part['fpr']['value']}, false negatives {part['fnr']['value']}")
    typer.echo(f"{out}: {result['n']} pairs")


@app.command()
def score(
    responses: ResponsesOption,
    samples: SamplesOption = None,
    judge: OneJudge = "tiny",
    also_judge: Annotated[list[str] | None, typer.Option(help="A further judge beside it; may be repeated.")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Folder for the verdicts, a file a judge; goes on after a kill.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    slice: Annotated[list[str] | None, typer.Option(help="Column to slice by: kind, modality, age, ...; may be repeated.")] = None,
    against: Annotated[Path | None, typer.Option(help="Another model's responses: the paired difference.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Human labels (id, sample_index, label) to correct the judge by.")] = None,
    leaderboard: Annotated[Path | None, typer.Option(help="Folder of a leaderboard to add the scores to.")] = None,
    archive: Annotated[Path | None, typer.Option("--zip", help="Zip file to write, in MediX-R1's layout.")] = None,
    model: Annotated[str, typer.Option(help="What leaderboard and zip file call the model; empty: the file's name.")] = "",
) -> None:
    """Score a responses file, whoever made it: accuracy with its interval, by task, format, modality, unscored, truncated.

    Exit status 1 if a model failed on some of them: these are UNSCORED, and neither leaderboard nor zip file is written.

    \f
    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> folder = Path(tempfile.mkdtemp())
    >>> row = {"id": "a", "question": "What is seen?", "reference": "flu", "response": "<answer>flu</answer>"}
    >>> write_jsonl(folder / "responses.jsonl", [row])
    >>> score(folder / "responses.jsonl", judge="rules")  # doctest: +ELLIPSIS
    judge: rules-4
    accuracy: {'value': 1.0, 'ci95': [1.0, 1.0], 'n': 1}
    ...
    """
    from .evaluation.files import score_file
    from .evaluation.leaderboard import add_scores, write_leaderboard
    from .judging.judges import make_judge

    refuse_existing(out)
    refuse_existing(archive)
    name = model or responses.stem
    options: dict[str, Any] = {"verdicts": verdicts, "against": against, "labels": labels, "slices": slice or []}
    options["archive"] = (name, archive) if archive else None
    scores = score_file(responses, samples, *map(make_judge, [judge, *(also_judge or [])]), **options)
    if out:
        write_json(out, scores)
    for what, value in scores.items():
        for part, found in (value if what in ("by_task", "slices", "other_judges") else {what: value}).items():
            typer.echo(f"{part}: {found}")
    say_failed(scores["failed"], "it is UNSCORED; neither leaderboard nor zip file is written while one is missing")
    if leaderboard:
        add_scores(leaderboard, name, scores)
        typer.echo(f"leaderboard: {', '.join(map(str, write_leaderboard(leaderboard)))}")


@app.command()
def prefer(
    study: Annotated[Path, typer.Argument(help="Folder of the study; made from --a and --b, summed up without them.")],
    a: Annotated[Path | None, typer.Option(help="Responses file (JSONL) of one model.")] = None,
    b: Annotated[Path | None, typer.Option(help="Responses file (JSONL) of the other.")] = None,
    samples: SamplesOption = None,
    n: Annotated[int, typer.Option(min=1, help="How many pairs.")] = 50,
    seed: SeedOption = 0,
) -> None:
    """Make a blind study of whose answers people prefer, to be rated in a notebook (04 shows how); or say who is preferred.

    \f
    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> folder = Path(tempfile.mkdtemp())
    >>> row = {"id": "a", "question": "What is seen?", "reference": "flu"}
    >>> for name in ("old", "new"):
    ...     write_jsonl(folder / f"{name}.jsonl", [row | {"response": f"{name} answer"}])
    >>> prefer(folder / "study", folder / "old.jsonl", folder / "new.jsonl")  # doctest: +ELLIPSIS
    /...: 1 pairs
    """
    from .evaluation.preference import make_study, summarise

    if (a is None) != (b is None):
        raise InputError("a study needs both --a and --b; without them an existing one is summed up")
    if a and b:
        typer.echo(f"{study}: {make_study(study, a, b, samples, n, seed)} pairs")
        return
    for name, value in summarise(study).items():
        typer.echo(f"{name}: {value}")


@app.command()
def reward(
    responses: ResponsesOption,
    out: OutOption,
    samples: SamplesOption = None,
    judge: OneJudge = "tiny",
    preset: Annotated[str, typer.Option(help="robust or faithful.")] = "robust",
) -> None:
    """Compute the composite reward of every response in a file; goes on where an earlier call stopped.

    \f
    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> folder = Path(tempfile.mkdtemp())
    >>> row = {"id": "a", "question": "Seen?", "reference": "flu", "response": "<think>It is.</think><answer>flu</answer>"}
    >>> write_jsonl(folder / "responses.jsonl", [row])
    >>> reward(folder / "responses.jsonl", folder / "rewards.jsonl", judge="rules")  # doctest: +ELLIPSIS
    /...: 1 rewards, mean 1.000, 0 unscored
    """
    from .evaluation.files import join_responses
    from .judging.judges import make_judge
    from .models.load import load_embedder
    from .rewards.composite import reward_to_file

    joined = join_responses(responses, samples)
    if any(joined.errors):
        raise InputError(f"{responses} has questions without a response; `medix-lite generate` asks them again")
    indices, texts = [index for _, index in joined.keys], [row["response"] for row in joined.rows]
    rewards = reward_to_file(out, joined.samples, texts, indices, make_judge(judge), load_embedder(), preset)
    totals = [r.total for r in rewards if r.total is not None]
    mean = f"mean {sum(totals) / len(totals):.3f}" if totals else "no mean"
    typer.echo(f"{out}: {len(rewards)} rewards, {mean}, {len(rewards) - len(totals)} unscored")


@app.command()
def doctor(
    run: Annotated[Path | None, typer.Argument(help="Run folder to diagnose; without one the machine is checked.")] = None,
    profile: ProfileOption = "tiny-cpu",
    source: SourceOption = "phantoms",
    settings: SettingsOption = "",
    rehearse: Annotated[bool, typer.Option(help="Train one step on the longest samples, to see that memory suffices.")] = False,
) -> None:
    """Say why a run does not learn (exit status 1 if it does not), and hold its scores against those of reference runs.

    Without a run: check that this machine has what a profile needs.

    \f
    >>> doctor()  # doctest: +ELLIPSIS
    python: ...
    profile tiny-cpu: ready
    """
    if run:
        from .training.doctor import diagnose, hold_against_reference

        found = diagnose(read_jsonl(run / "metrics.jsonl", torn_last_line=True), run / "adapter")
        for fault in found:
            typer.echo(f"{fault.name}: {fault.means}\n  seen: {fault.evidence}\n  do: {fault.change}")
        for line in hold_against_reference(run) if (run / "run.json").exists() else ():
            typer.echo(f"scores: {line}")
        typer.echo(f"{run}: {f'{len(found)} found, the first may be the cause of the rest' if found else 'healthy'}")
        raise typer.Exit(bool(found))
    from .runs import curated, environment, open_run, preflight

    p = load_profile(profile, parse_settings(settings))
    preflight(p)
    for name, value in (environment(p, 0) | {f"memory, {part}": where for part, where in p.memory.model_dump().items()}).items():
        typer.echo(f"{name}: {value}")
    if rehearse:
        from .training.grpo import rehearse as rehearse_step  # slow to import

        with TemporaryDirectory() as folder:
            samples = curated(open_run(Path(folder, "run"), profile, source, settings=settings))["train"]
            done = rehearse_step(p, samples, Path(folder, "step"))
        typer.echo("one step on the longest samples: {seconds:.1f} s, {gigabytes:.1f} GB at its peak".format(**done))
        rest = "judge, probes and groups that are drawn anew come on top"
        typer.echo(f"{p.training.steps} steps: {done['minutes']:.0f} minutes if all are as heavy; {rest}")
    typer.echo(f"profile {p.name}: ready")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder with a trained adapter.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
) -> None:
    """Write a run's adapter, its merged weights and a model card, for PEFT, transformers and vLLM.

    \f
    >>> import tempfile
    >>> short = "training.steps=1,training.group_size=2,training.prompts_per_step=1,data.train=4,data.probe=1,data.test=2"
    >>> train(folder := Path(tempfile.mkdtemp()) / "run", settings=short)  # doctest: +ELLIPSIS
    1 steps in ... s: /...
    >>> export(folder, folder / "exported")  # doctest: +ELLIPSIS
    /...: adapter, merged weights and README.md
    """
    from .models.export import export_run  # slow to import

    export_run(run, out)
    typer.echo(f"{out}: adapter, merged weights and README.md")


@app.command("export-easyr1")
def export_for_easyr1(
    curated: Annotated[Path, typer.Argument(help="Folder that `curate` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    profile: ProfileOption = "qwen3-vl-30b",
    settings: SettingsOption = "",
) -> None:
    """Write data and settings for EasyR1, which trains on several GPUs.

    \f
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> curate(folder / "curated", settings="data.train=8,data.probe=1,data.test=4")  # doctest: +ELLIPSIS
    13 rows read = 13 kept + 0 rejected; 0 leaks
    train: 8 drawn of 8
    test: 4 drawn of 4
    probe: 1 drawn of 1
    report: /...
    >>> export_for_easyr1(folder / "curated", folder / "easyr1")  # doctest: +ELLIPSIS
    /...: 8 rows to train on, 4 to test; python3 -m verl.trainer.main config=/...
    """
    from .rewards.easyr1 import export_easyr1  # slow to import

    rows = export_easyr1(curated, load_profile(profile, parse_settings(settings)), out)
    typer.echo(
        f"{out}: {rows['train']} rows to train on, {rows['test']} to test; python3 -m verl.trainer.main config={out}/config.yaml"
    )


def main() -> None:
    """Entry point: one clear line for what the user can mend.

    >>> from unittest.mock import patch
    >>> with patch.object(sys, "argv", ["medix-lite", "score", "--responses", "nowhere.jsonl"]):
    ...     main()
    Traceback (most recent call last):
    SystemExit: 2
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return app()
    except InputError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.strerror or error}: {error.filename or 'a file'}; free space, mend the path or choose another"
    except KeyboardInterrupt:
        message = "stopped; run the same command again (with --resume) to go on"
    print(f"medix-lite: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
