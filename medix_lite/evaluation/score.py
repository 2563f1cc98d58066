"""Score. In: Responses and Verdicts of one policy. Out: Scores, each a value with n and a 95% interval."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..files import InputError
from ..judging.verdicts import Verdict
from ..responses import Response
from ..rewards.signals import format_signal, modality_signal
from ..samples import Sample, group_of, kind_of
from ..statistics import METRICS, bootstrap, gap, paired_difference
from ..text import normalise
from ..tiny_world.oracle import Truth, check_answer

Array = NDArray[np.float64]
Stage = tuple[list[Sample], list[Response], list[Verdict]]


class Measured(NamedTuple):
    """One policy, question by question: arrays of shape (n,), NaN where a metric does not apply.

    Attributes:
        per_question: metric name -> array.
        hedged: share of sampled answers that the oracle calls vague or hedged, per question.
        greedy_hedged: 1 where the greedy answer is vague or hedged.
        agreement: share of sampled answers that say the same as the greedy one: how sure the policy is of it.
        groups: what the bootstrap resamples together.
        unscored: share of greedy answers that the judge could not score.
    """

    samples: list[Sample]
    responses: list[Response]
    verdicts: list[Verdict]
    per_question: dict[str, Array]
    hedged: Array
    greedy_hedged: Array
    agreement: Array
    groups: list[str]
    unscored: float


def truths(samples: list[Sample], responses: list[Response]) -> list[Truth | None]:
    """What the oracle says of each answer; None where the sample is not of the tiny world.

    >>> facts = {"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left"}
    >>> ours = Sample(id="a", question="What is seen?", reference="glioma", source="phantoms", facts=facts)
    >>> mine = ours.model_copy(update={"source": "mine"})
    >>> answer = Response(None, None, "a glial tumour on the right")
    >>> truths([ours, mine], [answer, answer])
    [Truth(correct=False, hedged=False, why='it is false: contradicted right side', score=0.0), None]
    """
    pairs = zip(samples, responses, strict=True)
    return [check_answer(s.facts, r.answer, s.options) if s.facts and s.source == "phantoms" else None for s, r in pairs]


def measure(greedy: Stage, sampled: Stage, copies: int) -> Measured:
    """Put the metrics of one policy together.

    A report counts with its share of five points. `judged_accuracy` leaves UNSCORED answers out (their share stands beside it).
    pass@k is the best of k sampled answers: by the oracle on the tiny world, else by the judge; it is NaN unless k is 8, the k of
    its name.

    Args:
        greedy: one response for each question.
        sampled: `copies` responses for each question, in the same order.

    >>> facts = {"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left"}
    >>> asked = Sample(id="a", question="What is seen?", reference="glioma", source="phantoms", facts=facts)
    >>> wrong, right = (Response(None, "I see.", answer) for answer in ("meningioma", "glioma"))
    >>> no, yes = (Verdict(id="a", verdict=v, decided_by="exact", score=float(v == "YES")) for v in ("NO", "YES"))
    >>> measured = measure(([asked], [wrong], [no]), ([asked] * 8, [wrong] * 7 + [right], [no] * 7 + [yes]), 8)
    >>> {name: values.tolist() for name, values in measured.per_question.items() if name in ("true_accuracy", "pass_at_8")}
    {'true_accuracy': [0.0], 'pass_at_8': [1.0]}
    >>> measured.agreement.tolist()  # seven of eight say the same as the greedy answer
    [0.875]
    """
    samples, responses, verdicts = greedy

    def column(values: Iterable[float | None]) -> Array:
        return np.array(list(values), dtype=float)  # None becomes NaN

    first, several = truths(samples, responses), truths(*sampled[:2])
    known = any(truth is not None for truth in several)
    right = column(None if t is None else t.score for t in several) if known else column(v.score for v in sampled[2])
    best = np.fmax.reduce(right.reshape(len(samples), copies), axis=1) if copies == 8 else np.full(len(samples), np.nan)
    judged = column(v.score for v in verdicts)
    per_question = {"true_accuracy": column(None if t is None else t.score for t in first), "judged_accuracy": judged}
    per_question |= {"pass_at_8": best, "format": column(map(format_signal, responses))}
    per_question |= {"modality": column(map(modality_signal, samples, responses))}
    hedged = column(None if t is None else t.hedged for t in several).reshape(len(samples), copies).mean(axis=1)
    greedy_hedged, groups = column(None if t is None else t.hedged for t in first), [group_of(s) for s in samples]
    said, again = ([normalise(r.answer or "") for r in some] for some in (responses, sampled[1]))
    agreement = column(a == said[i // copies] for i, a in enumerate(again)).reshape(len(samples), copies).mean(axis=1)
    return Measured(*greedy, per_question, hedged, greedy_hedged, agreement, groups, float(np.mean(np.isnan(judged))))


def results(base: Measured, trained: Measured, seconds: dict[str, float]) -> dict[str, Any]:
    """The content of `results.json`: both policies, the paired gain, seconds.

    >>> def right(n):
    ...     values = np.repeat([1.0, 0.0], [n, 20 - n])
    ...     return Measured([], [], [], dict.fromkeys(METRICS, values), values, values, values, [str(i) for i in range(20)], 0.0)
    >>> found = results(right(8), right(14), {"train": 60.0})
    >>> [found[part]["format"]["ci95"] for part in ("base", "trained", "gain")]  # these two overlap, and the gain is sure
    [[0.2, 0.6], [0.5, 0.9], [0.1, 0.5]]
    """

    def short(interval: dict[str, Any]) -> dict[str, Any]:
        return {"value": interval["value"], "ci95": interval["ci95"]}

    def scores(m: Measured) -> dict[str, Any]:
        return {name: short(bootstrap(m.per_question[name], m.groups)) for name in METRICS} | {"n": len(m.samples)}

    gain = {name: short(paired_difference(trained.per_question[name], base.per_question[name], base.groups)) for name in METRICS}
    return {"base": scores(base), "trained": scores(trained), "gain": gain, "seconds": seconds}


def headroom(base: Measured, trained: Measured) -> dict[str, Any]:
    """How much of what the base could do it now does, and whether anything was lost.

    Returns:
        `closed`: share of the base's gap between greedy and pass@k that the trained greedy closes; `kept`: paired gain on
        the questions that the base answered without hedging; `vague`: share of hedged answers in the base's samples.

    >>> def policy(*right):
    ...     known = {"true_accuracy": np.array(right, float), "pass_at_8": np.ones(4)}
    ...     return Measured([], [], [], known, *[np.array([1.0, 1, 0, 0])] * 3, ["a", "b", "c", "d"], 0.0)
    >>> found = headroom(policy(0, 0, 1, 1), policy(1, 1, 1, 0))  # the base hedged on the first two
    >>> found["closed"], found["kept"]["value"], found["vague"]["value"]
    (0.5, -0.5, 0.5)
    """
    before, after = (policy.per_question["true_accuracy"] for policy in (base, trained))
    gap = float(np.mean(base.per_question["pass_at_8"]) - np.mean(before))
    committed = base.greedy_hedged == 0
    groups = [g for g, keep in zip(base.groups, committed, strict=True) if keep]
    closed = round(float(np.mean(after) - np.mean(before)) / gap, 3) if gap > 0 else None
    kept = paired_difference(after[committed], before[committed], groups)
    return {"closed": closed, "kept": kept, "vague": bootstrap(base.hedged, base.groups)}


def column_of(samples: list[Sample], column: str) -> NDArray[np.str_]:
    """What each sample has in a field, also one of your own, a fact (`age`, `sex`, ...), or `kind` (of question); "" for nothing.

    Raises:
        InputError: no sample has the column.

    >>> asked = [Sample(id=i, question="Seen?", reference="flu", facts={"age": age}) for i, age in (("a", "child"), ("b", None))]
    >>> column_of(asked, "age").tolist()
    ['child', '']
    """
    found = (kind_of(s) if column == "kind" else (s.facts or {}).get(column, s.model_dump().get(column)) for s in samples)
    values = np.array(["" if value in (None, "", [], "unknown") else str(value) for value in found])
    if not (values != "").any():
        raise InputError(f"no sample has anything in the column {column!r}; slice by another one")
    return values


def slice_scores(samples: list[Sample], scores: ArrayLike, column: str) -> dict[str, dict[str, Any]]:
    """Is anyone worse off? The score of each value of a column, and its gap to all other samples.

    Args:
        scores: one per sample, shape (n,); NaN and None are left out.
        column: as for `column_of`.

    Returns:
        `{value: {"score": ..., "gap": ...}}`, each with n and interval; samples without the column are left out.

    >>> ages = ["child"] * 4 + ["adult"] * 8
    >>> samples = [Sample(id=str(i), question="Seen?", reference="flu", facts={"age": age}) for i, age in enumerate(ages)]
    >>> slice_scores(samples, [0, 0, 0, 1, *[1] * 8], "age")["child"]
    {'score': {'value': 0.25, 'ci95': [0.0, 0.75], 'n': 4}, 'gap': {'value': -0.75, 'ci95': [-1.0, -0.25], 'n': 4}}
    """
    values = column_of(samples, column)
    numbers, groups = np.where(values == "", np.nan, np.asarray(scores, dtype=float)), [group_of(s) for s in samples]
    found = {}
    for name in np.unique(values[values != ""]):
        own = bootstrap(np.where(values == name, numbers, np.nan), groups)
        found[str(name)] = {"score": own, "gap": gap(numbers, values == name, groups)}
    return found
