"""Leakage: benchmarks' own files in; which of a source's texts hold one of their questions out. Pictures: see `curate`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from ..samples import Sample
from .duplicates import content_words, hash_of, words_of
from .pubmedqa import QUESTION_LINE

SHINGLE = 5  # words
CONTAINED = 0.8  # of a benchmark question's shingles: what makes a leak
COMMON = 50  # a shingle that so many questions share says nothing
MIN_CONTENT_WORDS = 4  # a question with fewer leaks only together with its options


class TextIndex:
    """Questions of benchmarks by their shingles (runs of five words).

    Args:
        questions: name, question and options of each.
    """

    def __init__(self, questions: Iterable[tuple[str, str, list[str]]]) -> None:
        texts = [(name, shingles(_distinctive(question, options))) for name, question, options in questions]
        holders = Counter(shingle for _, found in texts for shingle in found)
        self._questions: list[tuple[str, int]] = []  # the name, and how many shingles count
        self._holders: defaultdict[int, list[int]] = defaultdict(list)
        for name, found in texts:
            telling = [shingle for shingle in found if holders[shingle] <= COMMON]
            for shingle in telling:
                self._holders[shingle].append(len(self._questions))
            self._questions.append((name, len(telling)))

    def leaks(self, sample: Sample) -> Iterator[tuple[str, float]]:
        """Names of the benchmark questions that a sample holds, each with the share of its shingles that are there."""
        if not self._questions:
            return
        asked = sample.question.rpartition(QUESTION_LINE)[2]
        found = shingles(f"{sample.question} {' '.join(sample.options or ())}") | {hash_of(*words_of(_without_task(asked)))}
        hits = Counter(holder for shingle in found for holder in self._holders.get(shingle, ()))
        for holder, count in sorted(hits.items()):
            name, most = self._questions[holder]
            if count >= CONTAINED * most:
                yield name, round(count / most, 3)


def shingles(text: str) -> set[int]:
    """Hashes of all runs of `SHINGLE` words; of the whole text where it has fewer."""
    words = words_of(text)
    runs = range(max(1, len(words) - SHINGLE + 1))
    return {hash_of(*words[i : i + SHINGLE]) for i in runs} if words else set()


def _distinctive(question: str, options: list[str]) -> str:
    asked = _without_task(question.rpartition(QUESTION_LINE)[2])
    few = len(content_words(words_of(asked))) < MIN_CONTENT_WORDS
    return f"{asked} {' '.join(options)}" if few else asked


def _without_task(question: str) -> str:
    return question.removesuffix("Answer yes, no or maybe.")
