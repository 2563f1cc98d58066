"""Examining a row by itself. In: Rows. Out: for each the checked sample or the reason against it, fingerprints, looks, leaks.

The first rows are examined here; where there are many, one process for each core does the rest, in the same order.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from ..files import InputError
from .checks import check_row
from .duplicates import fingerprint_of, hash_of
from .leakage import TextIndex
from .pictures import Looking, look_at
from .processes import start_processes
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


@contextmanager
def examiner(index: TextIndex, how: Looking) -> Iterator[Callable[[list[Numbered], bool], Iterable[dict[str, Any]]]]:
    """A function that examines rows in order, and whether in several processes; they end with the context."""
    pool: ProcessPoolExecutor | None = None

    def examine_all(rows: list[Numbered], several: bool) -> Iterable[dict[str, Any]]:
        nonlocal pool
        if not several:
            return (examine(row, index, how) for row in rows)
        pool = pool or start_processes(_know, index, how)
        return pool.map(_examine_there, rows, chunksize=50)

    try:
        yield examine_all
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


def _know(index: TextIndex, how: Looking) -> None:
    _known[:] = index, how


def _examine_there(row: Numbered) -> dict[str, Any]:
    return examine(row, *_known)
