"""Examining a row by itself. In: Rows. Out: for each the checked sample or the reason against it, fingerprints, looks, leaks.

The first rows are examined here; where there are many, one process for each core does the rest, in the same order.
"""

from typing import Any

from ..files import InputError
from .checks import check_row
from .duplicates import fingerprint_of, hash_of
from .leakage import TextIndex
from .pictures import Looking, look_at
from .rows import Row
from .sift import BENCHMARK

Numbered = tuple[int, str, Row]  # number of the source, its name with its path, and the row

_known: list[Any] = []  # in a process of its own: index and how


def examine(numbered: Numbered, index: TextIndex, how: Looking) -> dict[str, Any]:
    """One row by itself: the checked sample or the reason against it, its fingerprints, looks at its pictures, and text leaks."""
    number, spec, row = numbered
    name = spec.partition(":")[0]
    done: dict[str, Any] = {"number": number, "id": row.id, "source": name, "split": row.split, "reason": None}
    done |= {"sample": None, "prints": None, "looks": [], "leaks": []}
    drawn = name == "phantoms"  # each from its own facts and noise: what looks alike is meant to
    try:
        looks = [look_at(picture, how._replace(hashed=not drawn)) for picture in row.pictures if row.problem is None]
        done["looks"] = [look._asdict() for look in looks]
        if number == BENCHMARK:
            return done
        sample = check_row(row, name, [look.path for look in looks], next((look.modality for look in looks if look.modality), None))
        prints = fingerprint_of(sample) | {"group": hash_of(sample.source, sample.group) if sample.group else 0}
        done["prints"] = prints | ({"words": None} if drawn else {})
        done["leaks"] = list(index.leaks(sample))
        done["sample"] = sample.model_dump()
    except InputError as error:
        done["reason"] = str(error)
    return done


def know(index: TextIndex, how: Looking) -> None:
    """What `examine_there` works with, in a process that begins (see `start_processes`)."""
    _known[:] = index, how


def examine_there(row: Numbered) -> dict[str, Any]:
    """As `examine`, in one of these processes."""
    return examine(row, *_known)
