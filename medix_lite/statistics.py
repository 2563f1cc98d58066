"""Statistics. In: per-question numbers. Out: a mean with n and an interval."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = ("true_accuracy", "judged_accuracy", "pass_at_8", "format", "modality")
DRAWS = 2000
PROBED = "probe/true_accuracy"  # column of `metrics.jsonl`


def points(rows: Iterable[dict[str, Any]], x: str, y: str) -> NDArray[np.float64]:
    """Columns `x` and `y` of the rows of metrics that have a `y`, shape (n, 2).

    >>> points([{"step": 0}, {"step": 1, "reward": 0.5}], "step", "reward").tolist()
    [[1.0, 0.5]]
    """
    return np.array([(row[x], row[y]) for row in rows if row.get(y) is not None], dtype=float).reshape(-1, 2)


def bootstrap(values: Sequence[float | None] | NDArray[Any], clusters: list[str] | None = None, seed: int = 0) -> dict[str, Any]:
    """Mean with a 95% percentile bootstrap interval.

    Args:
        values: one number per question, shape (n,); NaN and None are left out.
        clusters: what is resampled as a whole (picture or patient), one per question; None resamples questions.
        seed: of the resampling.

    Returns:
        `{"value": mean, "ci95": [low, high], "n": n}`; value and limits are None where n is 0.

    >>> bootstrap([1, 1, 1, 1])
    {'value': 1.0, 'ci95': [1.0, 1.0], 'n': 4}
    >>> answers, patients = [1, 1, 1, 1, 0, 0, 0, 0], list("aaaabbbb")
    >>> bootstrap(answers)["ci95"], bootstrap(answers, patients)["ci95"]  # of eight questions, or of two patients
    ([0.125, 0.875], [0.0, 1.0])
    """
    numbers = np.asarray(values, dtype=float)
    keep = ~np.isnan(numbers)
    numbers = numbers[keep]
    if numbers.size == 0:
        return {"value": None, "ci95": [None, None], "n": 0}
    _, index = np.unique(np.arange(numbers.size) if clusters is None else np.asarray(clusters)[keep], return_inverse=True)
    sums, counts = np.bincount(index, weights=numbers), np.bincount(index)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(sums.size, size=sums.size) for _ in range(DRAWS))
    means = [sums[draw].sum() / counts[draw].sum() for draw in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"value": round(float(numbers.mean()), 4), "ci95": [round(float(low), 4), round(float(high), 4)], "n": int(numbers.size)}


def gap(values: ArrayLike, inside: ArrayLike, clusters: list[str] | None = None, seed: int = 0) -> dict[str, Any]:
    """Mean of a group's values minus that of all others', with its 95% bootstrap interval.

    Args:
        values: one number per question, shape (n,); NaN and None are left out.
        inside: whether it belongs to the group, shape (n,).
        clusters: as for `bootstrap`.

    Returns:
        as `bootstrap`, n being the group's; all None where one side is empty.

    >>> gap([1, 1, 0, 0], [True, True, False, False])["value"]
    1.0
    >>> gap([1, 1, 0], [True, True, True])  # nobody is outside
    {'value': None, 'ci95': [None, None], 'n': 3}
    """
    numbers, within = np.asarray(values, dtype=float), np.asarray(inside, dtype=bool)
    keep = ~np.isnan(numbers)
    sides, numbers = (within[keep], ~within[keep]), numbers[keep]
    if not all(side.any() for side in sides):
        return {"value": None, "ci95": [None, None], "n": int(sides[0].sum())}
    _, index = np.unique(np.arange(numbers.size) if clusters is None else np.asarray(clusters)[keep], return_inverse=True)
    rng, size = np.random.default_rng(seed), int(index.max()) + 1
    sums, counts = (np.array([np.bincount(index, each * side, size) for side in sides]) for each in (numbers, 1.0))
    draws = (rng.integers(size, size=size) for _ in range(DRAWS))
    with np.errstate(invalid="ignore"):  # a draw without anyone on one side says nothing
        means = np.array([sums[:, draw].sum(1) / counts[:, draw].sum(1) for draw in draws])
    low, high = np.nanpercentile(means[:, 0] - means[:, 1], [2.5, 97.5])
    value = numbers[sides[0]].mean() - numbers[sides[1]].mean()
    return {"value": round(float(value), 4), "ci95": [round(float(low), 4), round(float(high), 4)], "n": int(sides[0].sum())}


def cohens_kappa(first: list[str], second: list[str]) -> float | None:
    """Cohen's kappa of two raters' choices, in order; None where both always choose the same one.

    >>> cohens_kappa(["left", "left", "tie", "tie"], ["left", "left", "tie", "left"]), cohens_kappa(["tie"], ["tie"])
    (0.5, None)
    """
    from sklearn.metrics import cohen_kappa_score

    return round(float(cohen_kappa_score(first, second)), 4) if len({*first, *second}) > 1 else None


def paired_difference(after: ArrayLike, before: ArrayLike, clusters: list[str] | None = None, seed: int = 0) -> dict[str, Any]:
    """Mean of `after - before`, question by question, with its paired bootstrap interval and `p`, from `sign_flip_test`.

    >>> paired_difference([1, 1, 1], [0, 0, 0])  # three of three better: no width, and yet little evidence
    {'value': 1.0, 'ci95': [1.0, 1.0], 'n': 3, 'p': 0.2499}
    """
    differences = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    return bootstrap(differences, clusters, seed) | {"p": sign_flip_test(differences, clusters, seed)}


def sign_flip_test(differences: ArrayLike, clusters: list[str] | None = None, seed: int = 0) -> float | None:
    """Two-sided p-value of paired differences, shape (n,): how often is their sum as far from 0 with every sign drawn anew?

    Differences of a cluster flip together. The p-value counts the data as one of the draws, so that it is never 0; None without
    data.

    >>> sign_flip_test([0.0, 0.0])
    1.0
    """
    numbers = np.asarray(differences, dtype=float)
    keep = ~np.isnan(numbers)
    if not keep.any():
        return None
    _, index = np.unique(np.arange(numbers.size)[keep] if clusters is None else np.asarray(clusters)[keep], return_inverse=True)
    sums = np.bincount(index, weights=numbers[keep])
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, sums.size))
    as_far = np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9
    return round(float((1 + as_far.sum()) / (1 + DRAWS)), 4)


def corrected_mean(judged: ArrayLike, also_judged: ArrayLike, truth: ArrayLike) -> dict[str, Any]:
    """A judge's mean put right by a small set that humans labelled: prediction-powered inference (Angelopoulos et al. 2023).

    The estimate is mean(judged) + mean(truth - also_judged), its variance var(judged) / N + var(truth - also_judged) / n.

    Args:
        judged: the judge's scores where no human looked, shape (N,).
        also_judged: the judge's scores where humans labelled, shape (n,).
        truth: what the humans said there, shape (n,).

    Returns:
        `{"value", "ci95", "n", "labelled"}`.

    Raises:
        ValueError: fewer than two scores of either kind.

    >>> judged, also_judged, truth = [1] * 90 + [0] * 10, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    >>> corrected_mean(judged, also_judged, truth)  # it said 0.9, and was too kind in two of ten
    {'value': 0.7, 'ci95': [0.4321, 0.9679], 'n': 100, 'labelled': 10}
    """
    many, few = np.asarray(judged, dtype=float), np.asarray(truth, dtype=float) - np.asarray(also_judged, dtype=float)
    if min(many.size, few.size) < 2:
        raise ValueError("a correction needs at least two scores with a human's label and two without")
    value, half = many.mean() + few.mean(), 1.96 * np.sqrt(many.var(ddof=1) / many.size + few.var(ddof=1) / few.size)
    ci95 = [round(float(limit), 4) for limit in (value - half, value + half)]
    return {"value": round(float(value), 4), "ci95": ci95, "n": int(many.size), "labelled": int(few.size)}


def calibration(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> dict[str, Any]:
    """Does a confidence of 0.8 mean right in 8 of 10? Confidence in [0, 1] and right in {0, 1}, both of shape (n,).

    Returns:
        `ece` (expected calibration error: the mean distance of confidence and accuracy over equal-width bins, weighted by their
        size; Guo et al. 2017), `bins` (of each that is not empty its mean confidence, accuracy and n), and `risk`: the share of
        wrong answers among the most confident first, second, ... n-th.

    >>> found = calibration([0.9, 0.9, 0.9, 0.9, 0.6], [1, 1, 0, 0, 1])
    >>> found["ece"], found["risk"]  # 0.9 was right in half of the cases; the four surest answers are half wrong, too
    (0.4, [0.0, 0.0, 0.3333, 0.5, 0.4])
    """
    sure, true = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    rows = [
        {"confidence": float(sure[here].mean()), "accuracy": float(true[here].mean()), "n": int(here.sum())}
        for here in (place == i for i in range(bins))
        if here.any()
    ]
    error = sum(abs(row["confidence"] - row["accuracy"]) * row["n"] for row in rows) / sure.size
    order = np.argsort(-sure, kind="stable")
    risk = np.cumsum(1 - true[order]) / np.arange(1, true.size + 1)
    return {"ece": round(error, 4), "bins": rows, "risk": risk.round(4).tolist()}
