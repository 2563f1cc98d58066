"""Statistics. In: per-question numbers. Out: a mean with n and an interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = ("true_accuracy", "judged_accuracy", "pass_at_8", "format", "modality")
DRAWS = 2000


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


def paired_difference(after: ArrayLike, before: ArrayLike, clusters: list[str] | None = None, seed: int = 0) -> dict[str, Any]:
    """Mean of `after - before`, question by question, with its paired bootstrap interval."""
    return bootstrap(np.asarray(after, dtype=float) - np.asarray(before, dtype=float), clusters, seed)
