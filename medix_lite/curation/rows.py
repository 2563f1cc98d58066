"""`Row`: one thing that a source holds, before anyone has looked whether it can become a Sample."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from yaml import YAMLError

from ..files import InputError

BENCHMARK = -1  # in place of the number of a row's source


class Row(NamedTuple):
    """What a reader yields, one for each row, picture or question of its source, readable or not.

    Attributes:
        id: as the source has it, or made from its place there.
        split: train, test or probe: the source's own division; train where it has none.
        fields: a Sample's fields but `id`, `source` and `images`, not yet checked.
        pictures: paths of picture files, or their bytes.
        problem: why the row could not even be read; None if it could.

    >>> Row("a", "train", {"question": "Seen?", "reference": "flu"}).problem is None, bad_row("b", "train", "no question").problem
    (True, 'no question')
    """

    id: str
    split: str
    fields: dict[str, Any]
    pictures: tuple[str | bytes, ...] = ()
    problem: str | None = None


def bad_row(name: str, split: str, problem: str) -> Row:
    """A row that could not be read, with the reason."""
    return Row(name, split, {}, (), problem)


@contextmanager
def as_input_error(what: str) -> Iterator[None]:
    """Turn what a malformed file makes its parser raise into an `InputError` that names it.

    >>> with as_input_error("boxes.json"):
    ...     {}["width"]
    Traceback (most recent call last):
    medix_lite.files.InputError: cannot read boxes.json: KeyError: 'width'
    """
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, SyntaxError, AttributeError, RuntimeError, csv.Error, YAMLError) as error:
        raise InputError(f"cannot read {what}: {type(error).__name__}: {' '.join(str(error).split())}") from error
