"""Why not string overlap? In: Samples and answers. Out: the scores of each metric, and how well these tell right from wrong."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from ..judging.audit import kappa
from ..rewards.signals import embed
from ..samples import Sample
from ..text import normalise


def contains(answer: str, reference: str) -> bool:
    """The usual shortcut: whether the reference is a part of the answer, whatever the case (parts of words count).

    >>> contains("No PLEURAL EFFUSION", "pleural effusion")  # why it is a shortcut
    True
    """
    return bool(reference) and reference.casefold() in answer.casefold()


def token_f1(answer: str, reference: str) -> float:
    """F1 of two bags of words, without ASCII punctuation and articles (SQuAD: Rajpurkar et al. 2016).

    >>> round(token_f1("Nodule in the left lung.", "a left lung nodule"), 3)
    0.857
    """
    plain = (re.sub("[!-/:-@[-`{-~]", "", text.lower()) for text in (answer, reference))
    given, wanted = (Counter(re.sub(r"\b(a|an|the)\b", " ", text).split()) for text in plain)
    return 2 * (given & wanted).total() / max(given.total() + wanted.total(), 1)


def rouge_l(answer: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words (Lin 2004); words as in the package `rouge-score`, not stemmed.

    >>> round(rouge_l("Nodule in the left lung.", "a left lung nodule"), 3)
    0.444
    """
    given, wanted = (np.array(re.findall("[a-z0-9]+", text.lower()), dtype=object) for text in (answer, reference))
    row = np.zeros(given.size + 1, dtype=int)
    for word in wanted:
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], (row[:-1] + 1) * (given == word)))
    return float(2 * row[-1] / max(given.size + wanted.size, 1))


def overlap(samples: Sequence[Sample], answers: Sequence[str | None], embedder: Any) -> dict[str, list[float]]:
    """What each metric gives each answer, by its best accepted reference; a missing or blank answer gets 0.

    Args:
        samples: n questions.
        answers: n final answers.
        embedder: a `SentenceTransformer`, for the cosine.

    Returns:
        Metric -> n scores: 0 or 1 of "exact match" and "contains"; the cosine lies in [-1, 1], the others in [0, 1]. All read texts
        in the normal form of `text.normalise`.

    >>> from medix_lite.models.load import load_embedder
    >>> asked = Sample(id="a", question="What is seen?", reference="pleural effusion")
    >>> scores = overlap([asked] * 2, ["no pleural effusion", "fluid around the lung"], load_embedder())
    >>> {name: [round(value, 1) for value in pair] for name, pair in scores.items()}  # the first is wrong, the second right
    {'exact match': [0.0, 0.0], 'contains': [1.0, 0.0], 'token F1': [0.8, 0.0], 'ROUGE-L': [0.8, 0.0], 'embedding': [0.6, 1.0]}
    """
    pairs = [(normalise(a or ""), [normalise(text) for text in s.accepted()]) for s, a in zip(samples, answers, strict=True)]
    texts = list(dict.fromkeys(text for answer, references in pairs for text in (answer, *references)))
    vectors = dict(zip(texts, embed(embedder, texts), strict=True))
    metrics: dict[str, Any] = {"exact match": str.__eq__, "contains": contains, "token F1": token_f1, "ROUGE-L": rouge_l}
    metrics["embedding"] = lambda answer, reference: vectors[answer] @ vectors[reference]
    return {name: [max(float(of(a, r)) for r in refs) if a else 0.0 for a, refs in pairs] for name, of in metrics.items()}


def agreement(scores: Sequence[float], truth: Sequence[float], groups: Sequence[Any], seed: int = 0) -> dict[str, Any]:
    """How well scores tell right answers from wrong ones: AUROC, and Cohen's kappa at a threshold.

    Each half of the groups is ruled by the threshold that has the best kappa on the other half: no label chooses its own.

    Args:
        scores: of a metric, shape (n,); of a judge, 1 for YES and 0 for the rest, UNSCORED too.
        truth: 1 for a right answer, else 0; shape (n,).
        groups: what may not be in both halves, one per answer.
        seed: of the halves.

    Returns:
        `{"auroc", "kappa", "n"}`; the first two are NaN where all answers are right, all wrong, or all of one group.

    >>> truth, groups = [1, 1, 1, 0, 0, 0, 0, 0], list("abcdefgh")
    >>> found = agreement([9, 8, 7, 6, 5, 4, 3, 2], truth, groups)
    >>> found["auroc"], round(found["kappa"], 2)  # a perfect order, but each threshold comes from four other answers
    (1.0, 0.71)
    """
    right, (values, level) = np.asarray(truth).astype(bool), np.unique(-np.asarray(scores, float), return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2 or right.all() or not right.any():
        return {"auroc": np.nan, "kappa": np.nan, "n": right.size}
    half, said = np.random.default_rng(seed).permutation(len(names))[group] % 2 == 0, np.zeros_like(right)
    for chosen in (half, ~half):
        yes = np.cumsum([np.bincount(level[chosen & (right == label)], minlength=values.size) for label in (True, False)], axis=1)
        said[~chosen] = level[~chosen] <= np.nan_to_num(kappa(np.stack([yes, yes[:, -1:] - yes], -1).swapaxes(0, 1))).argmax()
    return {"auroc": float(roc_auc_score(right, scores)), "kappa": float(cohen_kappa_score(right, said)), "n": right.size}
