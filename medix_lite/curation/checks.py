"""Checks of a row by itself: is it a Sample that one can learn from? In: a Row. Out: the Sample, or why not."""

import json
import re
from functools import cache
from typing import Any

from ..files import InputError
from ..samples import Sample, validated
from ..text import normalise
from .duplicates import fingerprint_of, hash_of
from .leakage import TextIndex
from .mcq import QUESTION_LINE
from .pictures import Looking, look_at
from .rows import BENCHMARK, Row

MAX_REFERENCE_CHARACTERS, MAX_QUESTION_CHARACTERS = 2_000, 20_000
LEAK_CHARACTERS = 8  # a shorter reference can stand in a question by chance
LANGUAGE_WORDS = 8  # fewer words do not tell a language from another
_LABEL = re.compile(r"\(?[A-J]\)?[.:)]?")
_LISTED = re.compile(r"(?>.*?(?:^|\s)\(?A[.:)](?=\s)).*\s\(?B[.:)]\s", re.DOTALL)  # atomic: linear in the question's length


def examine(numbered: tuple[int, str, Row], index: TextIndex, how: Looking) -> dict[str, Any]:
    """One row by itself: the checked sample or the reason against it, its fingerprints, looks at its pictures, and text leaks.

    Args:
        numbered: number of the source (or `BENCHMARK`), its name with its path, and the row.
        index: the benchmarks' questions.
        how: how pictures are looked at.

    >>> from pathlib import Path
    >>> from medix_lite.curation.rows import Row
    >>> asked = "What is it?", "This meningioma: what is it?"
    >>> rows = [Row("a", "train", {"question": question, "reference": "meningioma"}) for question in asked]
    >>> [examine((0, "folder:mine", row), TextIndex([]), Looking(Path()))["reason"] for row in rows]
    [None, 'the reference stands in the question']
    """
    number, spec, row = numbered
    name = spec.partition(":")[0]
    done: dict[str, Any] = {"number": number, "id": row.id, "source": name, "split": row.split, "reason": None}
    drawn = name == "phantoms"  # each from its own facts and noise: what looks alike is meant to
    try:
        looks = [look_at(picture, how._replace(hashed=not drawn)) for picture in row.pictures if row.problem is None]
        done["looks"] = [look._asdict() for look in looks]
        if number == BENCHMARK:
            return done
        sample = check_row(row, name, [look.path for look in looks], next((look.modality for look in looks if look.modality), None))
        prints = fingerprint_of(sample) | {"group": hash_of(sample.source, sample.group) if sample.group else 0}
        prints |= {"words": None} if drawn else {}
        done |= {"prints": prints, "leaks": list(index.leaks(sample)), "sample": sample.model_dump()}
    except InputError as error:
        done["reason"] = str(error)
    return done


def check_row(row: Row, source: str, images: list[str], modality: str | None = None) -> Sample:
    """The row as a Sample with these picture files (`modality` where the row has none); odd languages are marked, not refused.

    Raises:
        InputError: it cannot be used; the message is the reason that stands in `rejected.jsonl`.

    >>> from medix_lite.curation.rows import Row
    >>> check_row(Row("a", "train", {"question": "Seen?", "reference": "flu", "modality": "CT"}), "mine", [])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: not a sample: field 'modality': unknown modality 'CT'; use one of ...
    """
    if row.problem:
        raise InputError(row.problem)
    fields: dict[str, Any] = {"source": source} | row.fields | {"id": row.id, "images": images}
    fields["modality"] = modality if fields.get("modality") is None else fields["modality"]
    sample = validated(Sample, fields, "not a sample")
    if problem := problem_of(sample):
        raise InputError(problem)
    try:
        json.dumps(sample.model_dump(), allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"it holds what a JSON file in UTF-8 cannot: {error}") from error
    if language := other_language(sample.question):
        sample.language = language  # type: ignore[attr-defined]
    return sample


def problem_of(sample: Sample) -> str | None:
    """Why a sample's texts cannot be used, or None.

    >>> problem_of(Sample(id="a", question="This meningioma: what is it?", reference="meningioma"))
    'the reference stands in the question'
    >>> problem_of(Sample(id="b", question="Is it a glioma or a meningioma?", reference="meningioma"))  # None: it must name both
    >>> problem_of(Sample(id="c", question="Which one is it?", reference="B", options=["glioma", "normal"]))
    "the reference is only the label of an option; give the option's text"
    """
    others = "\n".join((*sample.references, *(sample.options or ()))) or "none"
    texts = {"question": sample.question, "reference": sample.reference, "list of options and further references": others}
    for name, text in texts.items():
        most = MAX_REFERENCE_CHARACTERS if name == "reference" else MAX_QUESTION_CHARACTERS
        if not text.strip():
            return f"the {name} is empty"
        if len(text) > most:
            return f"the {name} has {len(text)} characters, more than {most}"
    if sample.options and sample.reference not in sample.options and _LABEL.fullmatch(sample.reference.strip()):
        return "the reference is only the label of an option; give the option's text"
    if not sample.options and _LABEL.fullmatch(sample.reference.strip()) and _LISTED.match(sample.question):
        return "the reference is only the label of an option that the question lists; give the option's text"
    if bool(sample.modality) != bool(sample.images):
        return "it has a modality but no picture" if sample.modality else "it has a picture but no modality"
    return _answer_in_question(sample)


def _answer_in_question(sample: Sample) -> str | None:
    asked = normalise(sample.question.rpartition(QUESTION_LINE)[2])
    answer = normalise(sample.reference)
    # A report that is to be summed up may hold its summary, and "is it X or Y?" must hold both.
    # The tiny world keeps its own, 4 in 1,000, such as "stones in the gallbladder: which organ is it in?".
    ours = sample.facts and sample.source == "phantoms"
    open_question = not (sample.graded or sample.options or ours or re.search(r"\bor\b", asked))
    found = open_question and len(answer) >= LEAK_CHARACTERS and re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", asked)
    return "the reference stands in the question" if found else None


def other_language(text: str) -> str | None:
    """The language of a text (ISO 639-1) if it is surely not English, else None.

    >>> other_language("Was ist auf diesem Bild der Lunge zu sehen, und wo?")
    'de'
    """
    if len(text.split()) < LANGUAGE_WORDS and text.isascii():
        return None
    language, probability = _identifier().classify(text)
    return language if language != "en" and probability > 0.7 else None


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
