"""Intervals hold the truth as often as they say, tests raise false alarms as seldom, and corrections correct."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medix_lite.statistics import bootstrap, calibration, corrected_mean, paired_difference, sign_flip_test

TRIALS = 1000


def covered(intervals, truth):
    return float(np.mean([low <= truth <= high for low, high in intervals]))


@pytest.mark.slow
def test_plain_intervals_hold_the_truth_in_95_of_100():
    rng = np.random.default_rng(1)
    intervals = [bootstrap((rng.random(200) < 0.7).astype(float), seed=i)["ci95"] for i in range(TRIALS)]
    assert 0.93 <= covered(intervals, 0.7) <= 0.97


def clustered_scores(rng, shift=0.0):
    """200 questions on 60 pictures, some pictures harder for both of two models; the second is better by `shift`."""
    pictures = rng.integers(60, size=200)
    ease = rng.normal(0, 0.25, 60)[pictures]
    first = ease + rng.normal(0, 0.2, 200)
    return first, first + shift + rng.normal(0, 0.1, 60)[pictures] + rng.normal(0, 0.2, 200), [str(p) for p in pictures]


@pytest.mark.slow
def test_clustered_intervals_hold_the_truth_where_plain_ones_do_not():
    rng = np.random.default_rng(2)
    plain, clustered = [], []
    for i in range(TRIALS):
        scores, _, clusters = clustered_scores(rng)
        plain.append(bootstrap(scores, seed=i)["ci95"])
        clustered.append(bootstrap(scores, clusters, seed=i)["ci95"])
    assert 0.93 <= covered(clustered, 0.0) <= 0.97
    assert covered(plain, 0.0) < 0.85


@pytest.mark.slow
def test_paired_intervals_and_p_values():
    rng = np.random.default_rng(3)
    intervals, alarms, found = [], 0, 0
    for i in range(TRIALS):
        before, after, clusters = clustered_scores(rng)
        none = paired_difference(after, before, clusters, seed=i)
        intervals.append(none["ci95"])
        alarms += none["p"] <= 0.05
        before, after, clusters = clustered_scores(rng, 0.1)
        found += sign_flip_test(after - before, clusters, seed=i) <= 0.05
    assert 0.93 <= covered(intervals, 0.0) <= 0.97
    assert alarms / TRIALS <= 0.06
    assert found / TRIALS > 0.9, "a real difference is seen"


@pytest.mark.slow
def test_a_corrected_mean_holds_the_truth_where_the_judge_does_not():
    rng = np.random.default_rng(4)
    intervals, naive, alone = [], [], []
    for i in range(TRIALS):
        truth = (rng.random(1100) < 0.6).astype(float)
        judged = np.where(rng.random(1100) < 0.1, 1.0, truth)  # says yes too often
        corrected = corrected_mean(judged[100:], judged[:100], truth[:100])
        intervals.append(corrected["ci95"])
        naive.append(bootstrap(judged[100:], seed=i)["ci95"])
        alone.append(bootstrap(truth[:100], seed=i)["ci95"])
    assert 0.93 <= covered(intervals, 0.6) <= 0.97
    assert covered(naive, 0.6) < 0.5
    width = lambda some: float(np.mean([high - low for low, high in some]))  # noqa: E731
    assert width(intervals) < 0.7 * width(alone), "narrower than the labels alone"


def test_sign_flips_by_hand():
    assert sign_flip_test([1.0] * 3) == pytest.approx(2 / 8, abs=0.04)  # all alike in two of eight
    assert sign_flip_test([1.0] * 3, ["a"] * 3) == pytest.approx(1.0)
    assert sign_flip_test([np.nan]) is None
    assert sign_flip_test([1.0, np.nan, 1.0]) == sign_flip_test([1.0, 1.0])


def test_correction_needs_labels():
    with pytest.raises(ValueError, match="at least two scores"):
        corrected_mean([1, 0, 1], [1], [1])
    exact = corrected_mean([1, 0, 1, 0], [1, 0, 1], [1, 0, 1])
    assert (exact["value"], exact["n"], exact["labelled"]) == (0.5, 4, 3)


def test_calibration_by_hand():
    found = calibration([0.95, 0.95, 0.55, 0.55], [1, 1, 1, 0])
    assert found["ece"] == pytest.approx(0.05)
    assert [row["n"] for row in found["bins"]] == [2, 2]
    assert found["risk"] == [0.0, 0.0, 0.0, 0.25]
    assert calibration([1.0, 1.0], [1, 1])["ece"] == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_stays_in_range(rows):
    confidence, right = zip(*rows, strict=True)
    found = calibration(confidence, right)
    assert 0 <= found["ece"] <= 1
    assert sum(row["n"] for row in found["bins"]) == len(rows)
    assert found["risk"][-1] == pytest.approx(1 - np.mean(right), abs=1e-4)
