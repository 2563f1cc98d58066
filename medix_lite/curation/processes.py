"""Processes, one for each core, for work that takes minutes. In: what they are to know. Out: a pool that ends with its parent."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any

FEW = 5_000  # things that are done in this process, because starting others takes seconds
MOST = 8


def start_processes(begin: Callable[..., None] | None = None, *known: Any) -> ProcessPoolExecutor:
    """A pool whose processes each call `begin(*known)` first."""
    return ProcessPoolExecutor(min(os.cpu_count() or 1, MOST), get_context("spawn"), initializer=_begin, initargs=(begin, known))


def _begin(begin: Callable[..., None] | None, known: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin:
        begin(*known)


def _end_with_parent() -> None:
    """A killed parent closes no pipe that its children would notice."""
    if parent := parent_process():
        parent.join()
        os._exit(1)
