"""What makes the difference? In: a run, and an experiment of `data/arms.yaml`. Out: what each arm's reward paid, and what was true.

Every arm trains the same frozen base on the same questions in the same order; only what its entry names differs: what it is paid
for, or how it learns. The oracle measures afterwards, and beside training on the probe.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .evaluation.score import truths
from .files import InputError, read_json, read_jsonl, read_table, write_json
from .judging.judges import Judge, judge_answers
from .judging.verdicts import Verdict, decide_exact, rule_verdict
from .profiles import Training, change_training
from .responses import parse_response
from .rewards.composite import CompositeReward
from .rewards.presets import PUBLISHED_WEIGHTS, find_preset
from .rewards.signals import format_signal
from .runs import Run, ask_policy, curated, make_probe, run_embedder, run_judge
from .samples import Sample, group_of
from .statistics import PROBED, bootstrap, paired_difference, points
from .text import normalise
from .tiny_world.lexicon import load_lexicon
from .tiny_world.oracle import CONTRADICTS, check_reasoning


def exact_judge(sample: Sample, answer: str, template_id: str) -> Verdict:
    """YES for the very words of an accepted reference, else NO: the reward of tasks with one right string.

    >>> asked = Sample(id="a", question="What is seen?", reference="pleural effusion")
    >>> [exact_judge(asked, answer, "reward").verdict for answer in ("Pleural effusion.", "fluid around the lung")]
    ['YES', 'NO']
    """
    return rule_verdict(sample, decide_exact(sample, answer) or "NO", "exact", template_id)


def mentions_judge(sample: Sample, answer: str, template_id: str) -> Verdict:
    """YES where a reference is mentioned anywhere, whatever is said beside it: a judge that invites lists.

    >>> asked = Sample(id="a", question="What is seen?", reference="pleural effusion")
    >>> mentions_judge(asked, "pneumonia or pleural effusion or fracture", "reward").verdict
    'YES'
    """
    text, *references = (" ".join(["", *re.findall(r"\w+", normalise(t)), ""]) for t in (answer, *sample.accepted()))
    return rule_verdict(sample, "YES" if any(reference in text for reference in references) else "NO", "lexicon", template_id)


Arms = dict[str, dict[str, Any]]
WEAK: dict[str, Callable[[Sample, str, str], Verdict]] = {"exact": exact_judge, "mentions": mentions_judge}


def draw_lots(seed: int, prompts: Any, completions: list[Any], trainer_state: Any = None, **_: Any) -> list[float]:
    """A reward for each completion that hangs on seed and step only, so that a resumed run draws the same.

    >>> draw_lots(0, [], ["right", "wrong"]) == draw_lots(0, [], ["wrong", "right"])  # whatever is answered
    True
    """
    rng = np.random.default_rng([seed, trainer_state.global_step if trainer_state else 0])
    return [float(value) for value in rng.random(len(completions))]


def reword(sample: Sample) -> Sample:
    """The question with its reference in other words for the same, drawn by its id: free text, as several people would write it.

    >>> asked = Sample(id="b", question="What is seen?", reference="pleural effusion on the left")
    >>> reword(asked).reference
    'fluid around the lung on the left'
    """
    named = [c for c in load_lexicon().values() if re.match(rf"{re.escape(c.policy[0])}\b", sample.reference)]
    if sample.options or not named:
        return sample
    concept = max(named, key=lambda c: len(c.policy[0]))
    form = np.random.default_rng(list(sample.id.encode())).choice(concept.forms("tier"))
    return sample.model_copy(update={"reference": form + sample.reference.removeprefix(concept.policy[0])})


def find_arms(experiment: str, names: Sequence[str] = ()) -> Arms:
    """The arms of an experiment, or those that are named, with what differs in each.

    Raises:
        InputError: there is no such experiment or arm.

    >>> find_arms("signals", ["exact match", "random"])
    {'exact match': {'weights': {'accuracy': 1.0}, 'judge': 'exact'}, 'random': {'weights': {}}}
    >>> find_arms("signals", ["composite"])  # nothing differs: what the others are compared with
    {'composite': {}}
    """
    if experiment not in (known := read_table("arms")):
        raise InputError(f"unknown experiment {experiment!r}; use one of {', '.join(known)}")
    arms: Arms = known[experiment]
    if unknown := [name for name in names if name not in arms]:
        raise InputError(f"unknown arm {unknown[0]!r}; use one of {', '.join(arms)}")
    return {name: arms[name] for name in names} or arms


def arm_reward(run: Run, arm: str, how: dict[str, Any], seed: int) -> Any:
    """The reward function of an arm, for TRL; `how` is its entry in `data/arms.yaml`.

    >>> import tempfile
    >>> from medix_lite.runs import open_run
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=8,data.probe=1,data.test=1")
    >>> asked = next(sample for sample in curated(run)["train"] if sample.images and not sample.options)
    >>> denial = f"<answer>anything but {asked.reference}</answer>"
    >>> arms = find_arms("signals", ["weak judge", "exact match"])  # what is mentioned is paid, whatever is said of it
    >>> {arm: arm_reward(run, arm, how, 0)(None, [denial], id=[asked.id]) for arm, how in arms.items()}
    {'weak judge': [1.0], 'exact match': [0.0]}
    """
    if how.get("weights") == {}:
        return partial(draw_lots, seed)
    weights = dict.fromkeys(PUBLISHED_WEIGHTS, 0.0) | how["weights"] if "weights" in how else PUBLISHED_WEIGHTS
    rules = WEAK.get(how.get("judge", ""))
    judge = Judge(arm, rules=rules, judge_id=how["judge"]) if rules else run_judge(run)
    preset = replace(find_preset(run.profile.reward), name=arm, weights=weights)
    preset = replace(preset, tiers=True) if rules else preset  # else the preset would put rules of its own before these
    questions = {s.id: reword(s) if how.get("reworded") else s for s in curated(run)["train"]}
    return CompositeReward(questions, judge, run_embedder(run), preset, run.profile.modality_aliases)


def measure_policy(run: Run, adapter: Path | None, out: Path) -> dict[str, Any]:
    """Greedy answers to the run's test questions and what they are worth; arrays with one number a question.

    Returns:
        `true`, `judged` (by the run's own judge), `format`, `reasoning` (1 where nothing false is claimed in it) and `consistent`
        (1 where the answer does not contradict it), and `words`, the length of the answers.

    >>> import tempfile
    >>> from medix_lite.runs import open_run
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=4,data.probe=1,data.test=2")
    >>> measured = measure_policy(run, None, run.folder / "base.jsonl")
    >>> list(measured), len(measured["true"])
    (['true', 'judged', 'format', 'reasoning', 'consistent', 'words'], 2)
    """
    samples = curated(run)["test"]
    rows = ask_policy(run.profile, samples, out, adapter=adapter, task="phantoms", seed=run.seed)
    responses = [parse_response(row["response"], has_image=s.has_image) for s, row in zip(samples, rows, strict=True)]
    faults = [check_reasoning(s.facts or {}, r.thinking, r.answer) for s, r in zip(samples, responses, strict=True)]
    return {
        "true": [t.score if t else None for t in truths(samples, responses)],
        "judged": [v.score for v in judge_answers(run_judge(run), samples, [r.answer for r in responses])],
        "format": [format_signal(r) for r in responses],
        "reasoning": [float(not set(some) - {CONTRADICTS}) for some in faults],
        "consistent": [float(CONTRADICTS not in some) for some in faults],
        "words": [float(len((r.answer or "").split())) for r in responses],
    }


def curve_of(rows: Iterable[dict[str, Any]], training: Training) -> list[dict[str, Any]]:
    """Of each row of the metrics its step, reward and probe, and how many rollouts were drawn up to it, dropped ones included.

    >>> from medix_lite.profiles import load_profile
    >>> training = load_profile("tiny-cpu").training
    >>> curve = curve_of(({"step": step, "reward": 0.1 * step, "loss": 0.0} for step in range(3)), training)
    >>> curve[2], curve[2]["rollouts"] == 2 * training.group_size * training.prompts_per_step
    ({'step': 2, 'reward': 0.2, 'rollouts': 128}, True)
    """
    kept, drawn = [], 0.0
    for row in rows:
        if row["step"] and (row["step"] - 1) % training.updates_per_batch == 0:
            drawn += row.get("rollouts", training.updates_per_batch * training.group_size * training.prompts_per_step)
        names = ("step", "reward", PROBED, "probe/judged_accuracy")
        kept.append({name: row[name] for name in names if name in row} | {"rollouts": round(drawn)})
    return kept


def run_arms(run: Run, arms: Arms, seeds: Iterable[int], report: Callable[[str], None] = print) -> dict[str, Any]:
    """Train and measure every arm with every seed below `run.folder/arms`; what is done already is read back.

    Args:
        arms: from `find_arms`.

    Returns:
        `{"base": measured, "groups": what the bootstrap resamples together, one per question, "arms": {arm: [{"seed", "seconds",
        "curve", measured...}, ...]}}`: `measured` as from `measure_policy`,
        `curve` the rows of the metrics with step, reward and probe, and `rollouts` drawn up to it.

    Raises:
        InputError: the run is not on phantoms, whose truth is known, or holds an arm that was something else.

    >>> import tempfile
    >>> from medix_lite.runs import open_run
    >>> short = "training.steps=1,training.group_size=2,training.prompts_per_step=1,data.train=4,data.probe=1,data.test=2"
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings=short)
    >>> found = run_arms(run, find_arms("signals", ["random"]), seeds=[0], report=lambda line: None)
    >>> [row["step"] for row in found["arms"]["random"][0]["curve"]], found["arms"]["random"][0]["curve"][-1]["rollouts"]
    ([0, 1], 2)
    >>> run_arms(run, {"random": {"weights": {"format": 1.0}}}, seeds=[0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ...random-0 holds an arm of this name that was another; delete it or choose another run folder
    """
    from .training.grpo import train_policy

    if not run.on_phantoms:
        raise InputError("the ablation needs the truth, so it runs on phantoms only")
    splits, folder = curated(run), run.folder / "arms"
    base = measure_policy(run, None, folder / "base.jsonl")
    found: dict[str, Any] = {"base": base, "arms": {}, "groups": [group_of(sample) for sample in splits["test"]]}
    for arm, how in arms.items():
        profile = change_training(run.profile, how.get("training", {}))
        for seed in seeds:
            place = folder / f"{re.sub('[ ,]+', '-', arm)}-{seed}"
            if not (place / "measured.json").exists():
                options: dict[str, Any] = {"seed": seed, "probe": make_probe(run, splits["probe"])}
                done = train_policy(profile, splits["train"], arm_reward(run, arm, how, seed), place, **options)
                measured = measure_policy(run, place / "adapter", place / "responses.jsonl")
                curve = curve_of(read_jsonl(place / "metrics.jsonl"), profile.training)
                known = {"how": how, "seed": seed, "seconds": done["seconds"], "curve": curve}
                write_json(place / "measured.json", known | measured)
            if (one := read_json(place / "measured.json")).pop("how") != how:
                raise InputError(f"{place} holds an arm of this name that was another; delete it or choose another run folder")
            found["arms"].setdefault(arm, []).append(one)
            gain = paired_difference(one["true"], base["true"])["value"]
            report(f"{arm}, seed {seed}: true accuracy {np.mean(one['true']):.3f}, gain {gain:+.3f}")
    return found


def mean_over_seeds(found: dict[str, Any], arm: str, name: str) -> Any:
    """What was measured of an arm, a number for each question.

    >>> found = {"arms": {"composite": [{"true": [1, 0]}, {"true": [1, 1]}]}}
    >>> mean_over_seeds(found, "composite", "true").tolist()
    [1.0, 0.5]
    """
    return np.mean([np.array(one[name], float) for one in found["arms"][arm]], axis=0)


def ahead_by(found: dict[str, Any], arm: str, other: str) -> dict[str, Any]:
    """By how much an arm ends ahead of another in true accuracy, question by question, with its paired 95% interval and p-value.

    >>> arms = {"composite": [{"true": [1, 1, 1, 0]}], "random": [{"true": [0, 0, 1, 0]}]}
    >>> ahead_by({"arms": arms, "groups": ["a", "b", "c", "d"]}, "composite", "random")["value"]
    0.5
    """
    return paired_difference(mean_over_seeds(found, arm, "true"), mean_over_seeds(found, other, "true"), found["groups"])


def compare_arms(found: dict[str, Any], reference: str = "composite") -> dict[str, dict[str, Any]]:
    """A row for each arm: means over questions and seeds with 95% intervals, gain on the base, and what `reference` has more.

    Questions are resampled with all their seeds, and those of one picture, together.

    >>> arms = {"composite": [{"true": [1, 1, 1, 0]}], "random": [{"true": [0, 0, 1, 0]}]}
    >>> table = compare_arms({"arms": arms, "base": {"true": [0, 0, 0, 0]}, "groups": ["a", "b", "c", "d"]})
    >>> {arm: row["true"]["value"] for arm, row in table.items()}, table["random"]["composite ahead by"]["value"]
    ({'base': 0.0, 'composite': 0.75, 'random': 0.25}, 0.5)
    """

    def row(arm: str) -> dict[str, Any]:
        part: dict[str, Any] = {name: bootstrap(mean_over_seeds(found, arm, name), found["groups"]) for name in found["base"]}
        part["gain"] = paired_difference(mean_over_seeds(found, arm, "true"), found["base"]["true"], found["groups"])
        part["worst_seed"] = round(min(float(np.mean(one["true"])) for one in found["arms"][arm]), 4)
        if reference in found["arms"] and arm != reference:
            part[f"{reference} ahead by"] = ahead_by(found, reference, arm)
        return part

    base = {name: bootstrap(values, found["groups"]) for name, values in found["base"].items()}
    return {"base": base} | {arm: row(arm) for arm in found["arms"]}


def at_equal_rollouts(arms: dict[str, list[dict[str, Any]]]) -> tuple[int, dict[str, list[float]]]:
    """Of each arm and seed the true accuracy on the probe (linear in between) at as many rollouts as every one has drawn.

    >>> grpo = [{"curve": [{"rollouts": 0, PROBED: 0.5}, {"rollouts": 100, PROBED: 0.9}]}]
    >>> dapo = [{"curve": [{"rollouts": 0, PROBED: 0.5}, {"rollouts": 40, PROBED: 0.8}]}]
    >>> at_equal_rollouts({"grpo": grpo, "dapo": dapo})  # grpo ends higher, but was behind when dapo had drawn its last
    (40, {'grpo': [0.66], 'dapo': [0.8]})
    """
    fewest = min(one["curve"][-1]["rollouts"] for of_arm in arms.values() for one in of_arm)

    at = {arm: [points(one["curve"], "rollouts", PROBED).T for one in of_arm] for arm, of_arm in arms.items()}
    return fewest, {arm: [float(np.interp(fewest, *of_seed)) for of_seed in of_arm] for arm, of_arm in at.items()}


def rise(curve: list[dict[str, Any]], name: str) -> float:
    """By how much a column of a curve ends above its start: the means of its last and its first tenth, of one value at least.

    >>> curve = [{"step": step, "reward": reward} for step, reward in enumerate([0.2, 0.9, 0.9, 0.4])]
    >>> round(rise(curve, "reward"), 2)  # a height that it fell from does not count
    0.2
    """
    values = points(curve, "step", name)[:, 1]
    tenth = max(1, len(values) // 10)
    return float(np.mean(values[-tenth:]) - np.mean(values[:tenth]))
