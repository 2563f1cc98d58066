"""The arms of the reward ablation: what each pays for, and that only this differs."""

import sys
from pathlib import Path

import numpy as np
import pytest

from medix_lite import figures, runs
from medix_lite.ablation import (
    arm_reward,
    at_equal_rollouts,
    compare_arms,
    curve_of,
    exact_judge,
    find_arms,
    mentions_judge,
    reword,
    run_arms,
)
from medix_lite.files import InputError, read_jsonl, read_table
from medix_lite.profiles import change_training, load_profile
from medix_lite.samples import Sample
from medix_lite.tiny_world.oracle import check_answer
from medix_lite.tiny_world.questions import generate

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from train_arms import check_claims

SMALL = "training.steps=2,training.prompts_per_step=2,training.group_size=4,training.probe_every=2,data.train=16,data.probe=4"
SAMPLE = Sample(id="a", question="What is seen?", reference="pleural effusion", references=["effusion"], source="mine")


@pytest.mark.parametrize(
    ("answer", "exact", "mentions"),
    [
        ("Pleural effusion.", "YES", "YES"),
        ("effusion", "YES", "YES"),
        ("an effusion on the left", "NO", "YES"),
        ("no effusion", "NO", "YES"),
        ("pneumonia, effusion, nodule, fracture", "NO", "YES"),
        ("effusions", "NO", "NO"),
        ("", "NO", "NO"),
    ],
)
def test_weak_judges(answer, exact, mentions):
    assert exact_judge(SAMPLE, answer, "t").verdict == exact
    assert mentions_judge(SAMPLE, answer, "t").verdict == mentions


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.open_run(tmp_path_factory.mktemp("arms") / "run", settings=f"{SMALL},data.test=8")


def test_each_arm_pays_for_what_it_says(run):
    """One right answer that is badly formed, one well formed and wrong, one that only mentions the reference."""
    sample = next(s for s in runs.curated(run)["train"] if s.images and not s.options and s.facts["family"] == "finding")
    other = "glioma" if "glioma" not in sample.accepted() else "pneumothorax"
    tag = f"<{sample.modality}>"
    texts = [
        f"<answer>{sample.reference}</answer>",
        f"{tag}<think>I see it.</think><answer>{other}</answer>",
        f"{tag}<think>I see it.</think><answer>not {sample.reference}</answer>",
    ]

    arms = find_arms("signals")

    def paid(arm):
        return [round(value, 3) for value in arm_reward(run, arm, arms[arm], 0)(None, texts, id=[sample.id] * 3)]

    assert paid("judge only") == [1, 0, 0]
    assert paid("exact match") == [1, 0, 0]
    other_words = next(s for s in runs.curated(run)["train"] if reword(s) != s)
    pay = arm_reward(run, "exact match reworded", arms["exact match reworded"], 0)
    answers = [f"<answer>{s.reference}</answer>" for s in (other_words, reword(other_words))]
    assert pay(None, answers, id=[other_words.id] * 2) == [0, 1]
    assert paid("weak judge") == [1, 0, 1]
    assert paid("format only") == [0, 1, 1]
    assert paid("embedding only") == [1, 0, 0]
    assert paid("both") == [1, 0, 0]
    assert paid("composite") == [0.855, 0.145, 0.145]
    assert len(set(paid("random"))) == 3
    assert set(arms) >= {"composite", "judge only", "embedding only", "both", "exact match", "format only", "random"}
    faithful = run._replace(profile=run.profile.model_copy(update={"reward": "faithful"}))
    weak = arm_reward(faithful, "weak judge", arms["weak judge"], 0)
    assert weak(None, texts, id=[sample.id] * 3) == [1, 0, 1], "no rules of the preset before its own"


def test_a_reworded_reference_means_the_same():
    samples = [sample for sample, _ in generate(200, "train", seed=5, pictures=False)]
    reworded = [reword(sample) for sample in samples]
    assert reworded == [reword(sample) for sample in samples], "drawn by id"
    changed = [(a, b) for a, b in zip(samples, reworded, strict=True) if a != b]
    assert len(changed) > 40
    for before, after in changed:
        assert after.model_copy(update={"reference": before.reference}) == before
        assert check_answer(before.facts, after.reference).score == 1, after.reference
        assert not before.options
    assert {"no abnormality", "left"} <= {before.reference for before, _ in changed}
    longer = [(a.reference.split()[-1], b.reference.split()[-1]) for a, b in changed if " on the " in a.reference]
    assert longer
    assert all(before == after for before, after in longer), "what follows the name stays"


def test_arms_are_found_by_experiment_and_name():
    assert list(find_arms("signals", ["random", "both"])) == ["random", "both"]
    assert find_arms("algorithms") == read_table("arms")["algorithms"]
    with pytest.raises(InputError, match="unknown arm 'none'; use one of composite"):
        find_arms("signals", ["none"])
    with pytest.raises(InputError, match="unknown experiment 'none'; use one of signals"):
        find_arms("none")


@pytest.mark.parametrize("arm", find_arms("rates"))
def test_a_rate_is_what_its_name_says(arm):
    changed = change_training(load_profile("tiny-cpu"), find_arms("rates")[arm]["training"]).training
    assert [changed.learning_rate, changed.beta] == [float(value) for value in arm.split(",")]
    assert changed.algorithm == "grpo"


def test_an_algorithm_brings_its_preset_and_takes_it_along():
    plain = load_profile("tiny-cpu")
    dapo = change_training(plain, find_arms("algorithms")["dapo"]["training"])
    assert (dapo.training.loss_type, dapo.training.epsilon_high, dapo.training.dynamic_sampling) == ("dapo", 0.28, "std")
    assert dapo.training.learning_rate == plain.training.learning_rate
    again = change_training(dapo, {"algorithm": "grpo", "beta": plain.training.beta})
    assert again == plain
    gspo = change_training(plain, find_arms("algorithms")["gspo"]["training"] | {"updates_per_batch": 2}).training
    assert (gspo.importance_sampling_level, gspo.epsilon_low, gspo.updates_per_batch) == ("sequence", 3e-4, 2)


def test_a_curve_counts_what_was_drawn():
    training = load_profile("tiny-cpu", {"training.updates_per_batch": 2}).training
    rows = [{"step": 0}, {"step": 1, "rollouts": 200}, {"step": 2, "reward": 0.5}, {"step": 3}, {"step": 4}]
    assert [row["rollouts"] for row in curve_of(rows, training)] == [0, 200, 200, 328, 328]


def test_arms_are_compared_where_all_have_drawn_as_much():
    def arm(*points):
        return [
            {"curve": [{"rollouts": drawn} | ({} if true is None else {"probe/true_accuracy": true}) for drawn, true in points]}
        ]

    drawn, then = at_equal_rollouts({"plain": arm((0, 0.5), (64, None), (128, 0.7)), "wasteful": arm((0, 0.5), (256, 0.9))})
    assert drawn == 128
    assert then == {"plain": [0.7], "wasteful": [pytest.approx(0.7)]}


def made_up(ends, rewards=(0.5, 0.6)):
    """An ablation of two seeds with 200 questions: each arm's true accuracies and what its reward rises from and to."""
    rng = np.random.default_rng(0)

    def one(true, paid):
        right = rng.permutation(np.arange(200) < 200 * true).astype(float).tolist()
        curve = [{"step": 0, "probe/true_accuracy": 0.5}, {"step": 1, "reward": paid[0]}, {"step": 2, "reward": paid[1]}]
        return {"true": right, "format": [1.0] * 200, "curve": [*curve, {"step": 3, "probe/true_accuracy": true}]}

    def arm(name):
        true, paid = ends.get(name, (0.6, 0.6)), rewards.get(name, (0.5, 0.6)) if isinstance(rewards, dict) else rewards
        return [one(value, paid) for value in true]

    names = [name for name in find_arms("signals") if name != "random"]
    return {"base": {"true": [0.5] * 200}, "groups": list(map(str, range(200))), "arms": {name: arm(name) for name in names}}


def test_claims_are_reproduced_only_where_the_numbers_show_them():
    def shown(*args):
        return [claim["reproduced"] for claim in check_claims(made_up(*args))]

    assert shown({}) == [False, False, False, False, True, False, False]
    paper = {"judge only": (0.45, 0.6), "both": (0.75, 0.75), "composite": (0.95, 0.95), "exact match": (0.4, 0.4)}
    fair = {"composite": (0.5, 0.95), "both": (0.5, 0.75)}
    assert shown(paper, fair) == [True, False, True, True, True, True, False]
    assert shown({"exact match reworded": (0.4, 0.4)})[-2:] == [False, True]
    assert shown({"embedding only": (0.871, 0.821)})[0] is False, "0.05 apart is not further apart, whatever floats make of it"
    assert shown(paper, fair | {"embedding only": (0.2, 0.9)})[1], "paid far beyond the truth"
    assert not shown({"composite": (0.5, 0.9)})[4]


@pytest.mark.slow
def test_arms_are_trained_measured_and_compared(run):
    told, arms = [], find_arms("signals", ["composite", "random"])
    found = run_arms(run, arms, [0, 1], told.append)
    assert len(told) == 4
    table = compare_arms(found)
    assert set(table) == {"base", "composite", "random"}
    assert table["composite"]["true"]["n"] == 8
    assert table["random"]["composite ahead by"]["value"] is not None
    for name in ("reasoning", "consistent", "format", "judged", "words", "gain"):
        assert table["composite"][name]["value"] is not None, name
    before = (run.folder / "arms" / "composite-1" / "metrics.jsonl").stat().st_mtime_ns
    again = run_arms(run, arms, [0, 1], told.append)
    assert again == found, "what is done is read back"
    assert (run.folder / "arms" / "composite-1" / "metrics.jsonl").stat().st_mtime_ns == before
    first = [read_jsonl(run.folder / "arms" / f"{arm}-0" / "metrics.jsonl")[0] for arm in ("composite", "random")]
    assert first[0]["probe/true_accuracy"] == first[1]["probe/true_accuracy"], "all arms start from the same base"
    for draw in (figures.arm_curves, figures.algorithm_curves):
        figures.save(draw(found), run.folder / "arms.png")
        assert (run.folder / "arms.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="composite-0 holds an arm of this name that was another"):
        run_arms(run, {"composite": {"weights": {"format": 1.0}}}, [0])
    bccd = run._replace(source="folder:x")
    with pytest.raises(InputError, match="phantoms only"):
        run_arms(bccd, arms, [0])
