"""Leakage: benchmarks' own files in; which of a source's texts hold one of their questions out. Pictures: see `curate`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from ..samples import Sample
from .duplicates import content_words, hash_of, words_of
from .mcq import QUESTION_LINE

SHINGLE = 5  # words
CONTAINED = 0.8  # of a benchmark question's shingles: what makes a leak
COMMON = 50  # a shingle that so many questions share says nothing
MIN_CONTENT_WORDS = 4  # a question with fewer leaks only together with its options


class TextIndex:
    """Questions of benchmarks by their shingles (runs of five words).

    Args:
        questions: name, question and options of each.

    >>> exam = "Which nerve is most often injured when the surgical neck of the humerus breaks?"
    >>> index = TextIndex([("exam-1", exam, [])])
    >>> list(index.leaks(Sample(id="a", question=f"Quiz! {exam.upper()} Be brief.", reference="axillary nerve")))
    [('exam-1', 1.0)]
    >>> reworded = "The surgical neck of the humerus breaks: which nerve is injured most often?"
    >>> list(index.leaks(Sample(id="b", question=reworded, reference="axillary nerve")))  # other words are not found
    []
    """

    def __init__(self, questions: Iterable[tuple[str, str, list[str]]]) -> None:
        self._names, holders = list[str](), defaultdict[int, list[int]](list)
        for number, (name, question, options) in enumerate(questions):
            self._names.append(name)
            for shingle in shingles(_distinctive(question, options)):
                holders[shingle].append(number)
        self._holders = {shingle: numbers for shingle, numbers in holders.items() if len(numbers) <= COMMON}
        self._sizes = Counter(number for numbers in self._holders.values() for number in numbers)  # how many shingles count

    def leaks(self, sample: Sample) -> Iterator[tuple[str, float]]:
        """Names of the benchmark questions that a sample holds, each with the share of its shingles that are there."""
        if not self._names:
            return
        found = shingles(f"{sample.question} {' '.join(sample.options or ())}") | {hash_of(*words_of(_asked(sample.question)))}
        hits = Counter(holder for shingle in found for holder in self._holders.get(shingle, ()))
        for holder, count in sorted(hits.items()):
            if count >= CONTAINED * self._sizes[holder]:
                yield self._names[holder], round(count / self._sizes[holder], 3)


def shingles(text: str) -> set[int]:
    """Hashes of all runs of `SHINGLE` words; of the whole text where it has fewer.

    >>> len(shingles("which nerve is most often injured")), len(shingles("which nerve")), len(shingles(""))
    (2, 1, 0)
    """
    words = words_of(text)
    return {hash_of(*words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))} if words else set()


def _distinctive(question: str, options: list[str]) -> str:
    asked = _asked(question)
    return f"{asked} {' '.join(options)}" if len(content_words(words_of(asked))) < MIN_CONTENT_WORDS else asked


def _asked(question: str) -> str:
    return question.rpartition(QUESTION_LINE)[2].removesuffix("Answer yes, no or maybe.")
