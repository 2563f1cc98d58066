"""Score. In: Responses and Verdicts of one policy. Out: Scores, each a value with n and a 95% interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..judging.verdicts import Verdict
from ..responses import Response
from ..samples import Sample
from ..tiny_world.oracle import check_answer
from .statistics import bootstrap, paired_difference

METRICS = ("true_accuracy", "judged_accuracy", "pass_at_8", "format", "modality")
Array = NDArray[np.float64]
Stage = tuple[list[Sample], list[Response], list[Verdict]]


@dataclass(frozen=True)
class Measured:
    """One policy, question by question: arrays of shape (n,), NaN where a metric does not apply.

    Attributes:
        per_question: metric name -> array.
        hedged: share of sampled answers that the oracle calls vague or hedged, per question.
        greedy_hedged: 1 where the greedy answer is vague or hedged.
        groups: what the bootstrap resamples together.
        unscored: share of greedy answers that the judge could not score.
    """

    samples: list[Sample]
    responses: list[Response]
    verdicts: list[Verdict]
    per_question: dict[str, Array]
    hedged: Array
    greedy_hedged: Array
    groups: list[str]
    unscored: float


def true_accuracy(samples: list[Sample], responses: list[Response]) -> list[float | None]:
    """1 or 0 by the oracle, None where a sample has no facts (real data)."""
    pairs = zip(samples, responses, strict=True)
    return [float(check_answer(s.facts, r.answer, s.options).correct) if s.facts else None for s, r in pairs]


def measure(greedy: Stage, sampled: Stage, copies: int) -> Measured:
    """Put the metrics of one policy together.

    `judged_accuracy` leaves UNSCORED answers out (their share stands beside it). pass@k is whether any of k sampled
    answers is right: by the oracle where there are facts, else by the judge.

    Args:
        greedy: one response for each question.
        sampled: `copies` responses for each question, in the same order.
    """
    samples, responses, verdicts = greedy
    has_facts = any(s.facts for s in samples)
    nan = np.nan
    truth = np.array([nan if t is None else t for t in true_accuracy(samples, responses)])
    judged = np.array([nan if v.score is None else v.score for v in verdicts])
    any_right = (
        [nan if t is None else t for t in true_accuracy(*sampled[:2])] if has_facts else [v.score or 0.0 for v in sampled[2]]
    )
    hedges = [check_answer(s.facts, r.answer, s.options).hedged if s.facts else nan for s, r in zip(*sampled[:2], strict=True)]
    greedy_hedges = [
        check_answer(s.facts, r.answer, s.options).hedged if s.facts else nan for s, r in zip(samples, responses, strict=True)
    ]
    per_question = {
        "true_accuracy": truth,
        "judged_accuracy": judged,
        "pass_at_8": np.array(any_right, dtype=float).reshape(len(samples), copies).max(axis=1),
        "format": np.array([float(not r.problems) for r in responses]),
        "modality": np.array(
            [float(r.modality == s.modality) if s.modality else nan for s, r in zip(samples, responses, strict=True)]
        ),
    }
    return Measured(
        samples,
        responses,
        verdicts,
        per_question,
        np.array(hedges, dtype=float).reshape(len(samples), copies).mean(axis=1),
        np.array(greedy_hedges, dtype=float),
        [s.group or s.id for s in samples],
        float(np.mean(np.isnan(judged))),
    )


def results(base: Measured, trained: Measured, seconds: dict[str, float]) -> dict[str, Any]:
    """The content of `results.json`: both policies, the paired gain, seconds."""

    def scores(measured: Measured) -> dict[str, Any]:
        values = {metric: _score(bootstrap(measured.per_question[metric], measured.groups)) for metric in METRICS}
        return values | {"n": len(measured.samples)}

    def gain(metric: str) -> dict[str, Any]:
        return _score(paired_difference(trained.per_question[metric], base.per_question[metric], base.groups))

    return {
        "base": scores(base),
        "trained": scores(trained),
        "gain": {metric: gain(metric) for metric in METRICS},
        "seconds": seconds,
    }


def _score(interval: dict[str, Any]) -> dict[str, Any]:
    return {"value": interval["value"], "ci95": interval["ci95"]}


def headroom(base: Measured, trained: Measured) -> dict[str, Any]:
    """How much of what the base could do it now does, and whether anything was lost.

    Returns:
        `closed`: share of the base's gap between greedy and pass@k that the trained greedy closes; `kept`: paired gain on
        the questions that the base answered without hedging, and rightly; `vague`: share of hedged answers in the base's samples.
    """
    before, ceiling = base.per_question["true_accuracy"], base.per_question["pass_at_8"]
    after = trained.per_question["true_accuracy"]
    gap = float(np.nanmean(ceiling) - np.nanmean(before))
    committed = base.greedy_hedged == 0
    groups = [g for g, keep in zip(base.groups, committed, strict=True) if keep]
    return {
        "closed": round(float(np.nanmean(after) - np.nanmean(before)) / gap, 3) if gap > 0 else None,
        "kept": paired_difference(after[committed], before[committed], groups),
        "vague": bootstrap(base.hedged, base.groups),
    }
