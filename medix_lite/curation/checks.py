"""Checks: Samples in, the usable ones out; every other one is a rejected row that says why."""

from pathlib import Path
from typing import Any

from ..files import InputError
from ..samples import Sample, open_image

MAX_REFERENCE_CHARACTERS = 2000


def check_samples(samples: list[Sample]) -> tuple[list[Sample], list[dict[str, Any]]]:
    """Kept samples, and rejected rows `{id, source, reason}`, both in the order given; together as many as came in."""
    kept, rejected = [], []
    seen: set[str] = set()
    pictures: dict[str, str | None] = {}
    for sample in samples:
        reason = problem_of(sample, pictures)
        if reason is None and sample.id in seen:
            reason = "its id stands twice; the first sample keeps it"
        if reason is None:
            seen.add(sample.id)
            kept.append(sample)
        else:
            rejected.append({"id": sample.id, "source": sample.source, "reason": reason})
    return kept, rejected


def problem_of(sample: Sample, pictures: dict[str, str | None]) -> str | None:
    """Why a sample cannot be used, or None. `pictures` remembers what was wrong with each picture already opened."""
    if not sample.question.strip():
        return "the question is empty"
    if not sample.reference.strip():
        return "the reference is empty"
    if len(sample.reference) > MAX_REFERENCE_CHARACTERS:
        return f"the reference has {len(sample.reference)} characters, more than {MAX_REFERENCE_CHARACTERS}"
    for image in sample.images:
        if image not in pictures:
            pictures[image] = picture_problem(image)
        if pictures[image] is not None:
            return pictures[image]
    return None


def picture_problem(path: Path | str) -> str | None:
    """What is wrong with a picture file, or None if it decodes to its last pixel."""
    try:
        open_image(path)
    except InputError as error:
        return str(error)
    return None
