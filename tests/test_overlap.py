"""Overlap metrics: values by hand, properties, and what their agreement with the truth may and may not see."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from medix_lite.evaluation.overlap import agreement, contains, overlap, rouge_l, token_f1
from medix_lite.files import DATA
from medix_lite.models.load import load_embedder
from medix_lite.samples import Sample

VOCABULARY = ["left", "right", "lung", "nodule", "no", "effusion", "5", "mm"]
WORDS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=9).map(" ".join)


def sample(reference: str, *references: str) -> Sample:
    return Sample(id="x", question="What is seen?", reference=reference, references=list(references))


@pytest.mark.parametrize(
    ("answer", "reference", "f1", "rouge"),
    [
        ("pleural effusion", "Pleural effusion.", 1, 1),
        ("no effusion", "effusion", 2 / 3, 2 / 3),
        ("left lung", "right lung", 1 / 2, 1 / 2),  # the wrong side, and half of the marks
        ("lung nodule left", "left lung nodule", 1, 2 / 3),  # only the order differs
        ("the nodule", "a nodule", 1, 1 / 2),  # articles: SQuAD drops them, ROUGE does not
        ("x-ray", "x ray", 0, 1),  # hyphens: SQuAD joins, ROUGE parts
        ("nodule nodule nodule", "nodule", 1 / 2, 1 / 2),
        ("hard to say", "nodule", 0, 0),
        ("...", "nodule", 0, 0),
        ("the", "the", 0, 1),  # SQuAD keeps nothing of it
    ],
)
def test_words_in_common_by_hand(answer: str, reference: str, f1: float, rouge: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(f1)
    assert rouge_l(answer, reference) == pytest.approx(rouge)


def test_contains() -> None:
    assert contains("A PLEURAL Effusion, on the left.", "pleural effusion")
    assert contains("no pleural effusion", "pleural effusion")
    assert contains("abnormal", "normal")
    assert not contains("effusion", "pleural effusion")
    assert not contains("anything", "")


@given(WORDS, WORDS)
def test_word_metrics_are_symmetric_in_range_and_1_for_the_same_text(a: str, b: str) -> None:
    for metric in (token_f1, rouge_l):
        assert metric(a, b) == metric(b, a)
        assert 0 <= metric(a, b) <= 1
        assert metric(a, a) == 1
    assert rouge_l(a, b) <= token_f1(a, b) + 1e-9  # words in order are words in common


@given(WORDS, WORDS)
def test_longest_common_subsequence_is_the_textbooks(a: str, b: str) -> None:
    def longest(x: list[str], y: list[str]) -> int:
        table = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
        for i, one in enumerate(x):
            for j, other in enumerate(y):
                table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
        return table[-1][-1]

    x, y = a.split(), b.split()
    assert rouge_l(a, b) == pytest.approx(2 * longest(x, y) / (len(x) + len(y)))


def test_the_best_reference_counts_and_texts_are_normalised() -> None:
    asked = [sample("pleural effusion", "fluid around the lung")] * 4 + [sample("September\u00a013")]
    found = overlap(asked, ["**Fluid  around the lung.**", "pneumothorax", None, "  ", "on September 13."], load_embedder())
    assert found["exact match"] == [1, 0, 0, 0, 0]
    assert found["contains"] == [1, 0, 0, 0, 1]
    assert found["token F1"] == pytest.approx([1, 0, 0, 0, 4 / 5])
    assert found["ROUGE-L"] == pytest.approx([1, 0, 0, 0, 4 / 5])
    assert found["embedding"][0] > 0.9 > 0.67 > found["embedding"][1]
    assert found["embedding"][2:4] == [0, 0]
    # A reference that nothing is left of is no reason to pay for silence.
    assert all(scores == [0] for scores in overlap([sample("...")], [""], load_embedder()).values())


def test_the_cosine_is_that_of_the_embedder() -> None:
    embedder = load_embedder()
    one, other = embedder.encode(["pleural effusion", "fluid around the lung"], normalize_embeddings=True)
    same, near = overlap([sample("pleural effusion")] * 2, ["pleural effusion", "fluid around the lung"], embedder)["embedding"]
    assert same == pytest.approx(1, abs=1e-5)
    assert near == pytest.approx(float(one @ other), abs=1e-5)


def test_agreement_by_hand() -> None:
    # Of the nine pairs of a right and a wrong answer seven are in order and one is a tie: 7.5 / 9.
    scores, truth = [0.9, 0.8, 0.3, 0.8, 0.2, 0.1], [1, 1, 1, 0, 0, 0]
    assert agreement(scores, truth, list("abcdef"))["auroc"] == pytest.approx(7.5 / 9)
    judge = [1, 1, 0, 1, 0, 0] * 20
    found = agreement(judge, truth * 20, list(range(120)))
    assert found == {"auroc": pytest.approx(2 / 3), "kappa": pytest.approx(1 / 3), "n": 120}


def test_a_perfect_score_has_a_perfect_threshold_and_chance_has_none() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.3
    perfect = agreement(truth + rng.random(2000) / 10, truth, range(2000))
    assert perfect == {"auroc": 1, "kappa": pytest.approx(1, abs=0.01), "n": 2000}
    noise = agreement(rng.random(2000), truth, range(2000))
    assert noise["auroc"] == pytest.approx(0.5, abs=0.05)
    # A threshold chosen on the labels that it is measured on finds something in noise; one chosen on other labels does not.
    values = rng.random((100, 20))
    labels = rng.random((100, 20)) < 0.5
    unfair = [max(cohen_kappa_score(y, x >= cut) for cut in x) for x, y in zip(values, labels, strict=True)]
    fair = [agreement(x, y, range(20))["kappa"] for x, y in zip(values, labels, strict=True)]
    assert np.mean(unfair) > 0.15
    assert abs(np.mean(fair)) < 0.08


def test_a_group_chooses_no_threshold_for_itself() -> None:
    # Two groups, in which a high score means opposite things: the threshold of one says nothing of the other.
    scores, truth, groups = [0, 0, 1, 1] * 2, [0, 0, 1, 1, 1, 1, 0, 0], [1] * 4 + [2] * 4
    assert agreement(scores, truth, groups)["kappa"] <= 0
    assert agreement([0, 0, 1, 1] * 2, [0, 0, 1, 1] * 2, groups)["kappa"] == 1


@pytest.mark.parametrize(("truth", "groups"), [([1, 1], "ab"), ([0, 0], "ab"), ([0, 1], "aa"), ([], "")])
def test_agreement_says_nothing_where_there_is_nothing_to_tell(truth: list[int], groups: str) -> None:
    nothing = pytest.approx(float("nan"), nan_ok=True)
    assert agreement([0.5] * len(truth), truth, list(groups)) == {"auroc": nothing, "kappa": nothing, "n": len(truth)}


def test_the_kept_measurement_agrees_with_that_of_the_judge_and_holds_no_text() -> None:
    humans, judged = (json.loads((DATA / "reference" / f"{name}-humans.json").read_text()) for name in ("overlap", "judge"))
    assert humans["n"] == judged["rules"]["n"]
    for name, of in (("judge (rules)", "rules"), ("contains, texts as they are", "contains")):
        assert humans["metrics"][name]["kappa"]["value"] == judged[of]["kappa"]["value"]
    for found in humans["metrics"].values():
        for key in ("auroc", "kappa"):
            low, high = found[key]["ci95"]
            assert low < found[key]["value"] < high
