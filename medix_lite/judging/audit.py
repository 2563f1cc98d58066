"""Audit of a judge. In: labelled pairs of a reference and a candidate, and a judge. Out: agreement, with intervals."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import binomtest

from ..files import InputError, read_jsonl
from ..samples import Sample, content_id, validated
from .judges import Judge, judge_answers, judge_to_file
from .templates import BASE
from .verdicts import Verdict

DRAWS = 2000
Counts = NDArray[np.float64]


class Pair(Sample):
    """A labelled pair (the `audit pairs` file format): a sample, whose id does not matter, and a candidate.

    Attributes:
        label: whether the candidate is right.
        kind: what kind of candidate it is; results are also given by kind.

    >>> asked = {"question": "What is seen?", "reference": "pneumonia"}
    >>> one, other = (Pair(**asked, candidate=candidate, label=False) for candidate in ("no pneumonia", "effusion"))
    >>> one.sample() == other.sample()  # one question, whatever is said to it
    True
    >>> Pair(**asked, candidate="pneumonia", label=1)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: a label is true or false, not 1
    """

    id: str = ""
    candidate: str
    label: bool = Field(strict=True)
    kind: str = "all"

    def sample(self) -> Sample:
        """The question as a sample, named by what it asks."""
        fields = self.model_dump(include={"question", "reference", "references", "options", "modality", "local_only"})
        return Sample(id=content_id(self.question, self.reference), **fields)


def read_pairs(path: Path) -> list[Pair]:
    """Labelled pairs from a JSONL file.

    Raises:
        InputError: a row is malformed, or there is none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.jsonl"
    >>> _ = path.write_text('{"question": "Seen?", "reference": "flu", "candidate": "cold", "label": "no"}')
    >>> read_pairs(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ...pairs.jsonl, row 1: field 'label': Input should be a valid boolean
    """
    pairs = [validated(Pair, row, f"{path}, row {number}") for number, row in enumerate(read_jsonl(path), start=1)]
    if not pairs:
        raise InputError(f"{path} holds no labelled pair")
    return pairs


def judge_pairs(pairs: Sequence[Pair], judge: Judge, out: Path | None = None) -> list[Verdict]:
    """A judge's verdicts on labelled pairs; `out` takes them as they come (see `judge_to_file`), with the row as `sample_index`.

    >>> from medix_lite.judging.judges import make_judge
    >>> candidates = {"no pneumonia": False, "Pneumonia, I think.": True, "something in the lung": False}
    >>> pairs = [Pair(question="Seen?", reference="pneumonia", candidate=text, label=label) for text, label in candidates.items()]
    >>> [(verdict.verdict, verdict.decided_by) for verdict in judge_pairs(pairs, make_judge("rules"))]
    [('NO', 'lexicon'), ('UNSCORED', 'none'), ('UNSCORED', 'none')]
    """
    samples, candidates = [pair.sample() for pair in pairs], [pair.candidate for pair in pairs]
    if out is None:
        return judge_answers(judge, samples, candidates, BASE)
    return judge_to_file(out, judge, samples, candidates, range(len(pairs)), BASE)


def audit(pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How verdicts agree with the labels.

    UNSCORED counts as NO in everything but `unscored`, its share. Intervals (95%) are Wilson's for shares and multinomial
    bootstraps for Cohen's kappa and Matthews' correlation.

    Returns:
        `n, kappa, mcc, accuracy, sensitivity, specificity, unscored` and `by_kind` with `n, fpr, fnr, unscored`; each but the n as
        `{"value", "ci95"}`, None where it is not defined.

    >>> said = {True: ["YES", "UNSCORED"], False: ["NO", "UNSCORED"]}
    >>> rows = [(label, verdict) for label, verdicts in said.items() for verdict in verdicts]
    >>> pairs = [Pair(question="Seen?", reference="flu", candidate="cold", label=label) for label, _ in rows]
    >>> verdicts = [Verdict(id="a", verdict=verdict, decided_by="model", score=None) for _, verdict in rows]
    >>> found = audit(pairs, verdicts)  # silence misses what is right, and lets nothing wrong pass
    >>> {name: found[name]["value"] for name in ("sensitivity", "specificity", "unscored")}
    {'sensitivity': 0.5, 'specificity': 1.0, 'unscored': 0.5}
    """
    label, kinds = np.array([pair.label for pair in pairs]), np.array([pair.kind for pair in pairs])
    yes = np.array([verdict.verdict == "YES" for verdict in verdicts])
    unscored = np.array([verdict.verdict == "UNSCORED" for verdict in verdicts])
    table = np.array([[(yes & label).sum(), (~yes & label).sum()], [(yes & ~label).sum(), (~yes & ~label).sum()]], float)
    result = {"kappa": _interval(kappa, table), "mcc": _interval(mcc, table), "accuracy": share(yes == label)}
    result |= {"sensitivity": share(yes[label]), "specificity": share(~yes[~label]), "unscored": share(unscored)}

    def faults(own: NDArray[np.bool_]) -> dict[str, Any]:
        shares = {"fpr": share(yes[own & ~label]), "fnr": share(~yes[own & label]), "unscored": share(unscored[own])}
        return {"n": int(own.sum())} | shares

    by_kind = {str(kind): faults(kinds == kind) for kind in dict.fromkeys(kinds)}
    return {"n": len(pairs), "judge": verdicts[0].judge_id} | result | {"by_kind": by_kind}


def share(hits: NDArray[np.bool_]) -> dict[str, Any]:
    """A share with Wilson's 95% interval, which does not shrink to nothing at 0 or 1.

    >>> share(np.zeros(20, bool))  # none in 20 does not prove that there are none
    {'value': 0.0, 'ci95': [0.0, 0.1611]}
    """
    if not hits.size:
        return {"value": None, "ci95": [None, None]}
    interval = binomtest(int(hits.sum()), hits.size).proportion_ci(method="wilson")
    return {"value": round(float(hits.mean()), 4), "ci95": [round(float(interval.low), 4), round(float(interval.high), 4)]}


def kappa(table: Counts) -> Counts:
    """Cohen's kappa of 2 x 2 tables, shape (..., 2, 2): label by verdict; nan where chance alone agrees fully.

    >>> good, always_no = np.array([[[45.0, 5], [15, 35]], [[0, 50], [0, 50]]])
    >>> float(kappa(good).round(3)), float(kappa(always_no))  # right in 80% and in 50%; always NO is no better than chance
    (0.6, 0.0)
    """
    n = table.sum((-1, -2))
    observed = np.trace(table, axis1=-2, axis2=-1) / n
    expected = (table.sum(-1) * table.sum(-2)).sum(-1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((observed - expected) / (1 - expected))


def mcc(table: Counts) -> Counts:
    """Matthews' correlation coefficient of 2 x 2 tables, shape (..., 2, 2); nan where a row or column is empty.

    >>> float(mcc(np.array([[45.0, 5], [15, 35]])).round(3)), float(mcc(np.array([[0.0, 50], [0, 50]])))
    (0.612, nan)
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.linalg.det(table) / np.sqrt((table.sum(-1).prod(-1)) * (table.sum(-2).prod(-1))))


def _interval(statistic: Callable[[Counts], Counts], table: Counts) -> dict[str, Any]:
    n = int(table.sum())
    draws = np.random.default_rng(0).multinomial(n, table.ravel() / n, size=DRAWS).reshape(DRAWS, 2, 2).astype(float)
    value, values = float(statistic(table)), statistic(draws)
    if not np.isfinite(value):
        return {"value": None, "ci95": [None, None]}
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return {"value": round(value, 4), "ci95": [round(float(low), 4), round(float(high), 4)]}
