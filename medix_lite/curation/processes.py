"""Processes, one for each core, for work that takes minutes. In: the work. Out: a pool that ends with its parent."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any

FEW = 5_000  # things that are done in this process, because starting others takes seconds
MOST = 8
_work: list[Callable[..., Any]] = []


def start_processes(work: Callable[..., Any]) -> ProcessPoolExecutor:
    """A pool whose processes get `work`, with all that it knows, once and not with every call; `do` does it there.

    >>> with start_processes(sorted) as pool:
    ...     list(pool.map(do, ["cab", "fed"]))
    [['a', 'b', 'c'], ['d', 'e', 'f']]
    """
    return ProcessPoolExecutor(min(os.cpu_count() or 1, MOST), get_context("spawn"), initializer=_begin, initargs=(work,))


def do(*given: Any) -> Any:
    """The work of this process, done on what is given."""
    return _work[0](*given)


def _begin(work: Callable[..., Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work[:] = [work]


def _end_with_parent() -> None:
    """A killed parent closes no pipe that its children would notice."""
    parent_process().join()  # type: ignore[union-attr]
    os._exit(1)
