"""Sifting: the fingerprints of all rows in; which rows are rejected, and which split each other one goes to, out."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .duplicates import PERMUTATIONS, Keys, clusters, components, contradictory, first_with_same, hash_of, mix, reworded
from .pictures import find_copies
from .rows import BENCHMARK
from .splits import MEASURED, SPLITS, carve, take

PRINTS = ("group", "asked", "reference", "turns")  # the fingerprints of a row that are one key each


class Table(NamedTuple):
    """Fingerprints of `n` rows, about half a kilobyte each. Keys are 64-bit hashes, 0 for none.

    Attributes:
        ids: as the sources have them.
        source: which source each is from, or `BENCHMARK`.
        split: index in `SPLITS`.
        alive: whether it is a usable sample.
        keys: `id`, `group`, `asked` (question and options), `reference`, `turns` and `pixels` (its pictures), each of shape (n,).
        words: MinHash of the question, shape (n, PERMUTATIONS); all 0 for what was drawn and so copies nothing.
        answers: row and key of each accepted answer.
        shown: row, place among the row's pictures, and picture, for each picture of each row.
        pictures: the different pictures: path and perceptual hashes.
        leaks: benchmark questions that a row holds: row, name, share of its shingles.

    >>> table = load_table([])
    >>> isinstance(table, Table), table.ids, table.words.shape == (0, PERMUTATIONS)
    (True, [], True)
    """

    ids: list[str]
    source: NDArray[np.int16]
    split: NDArray[np.int16]
    alive: NDArray[np.bool_]
    keys: dict[str, Keys]
    words: NDArray[np.uint32]
    answers: tuple[NDArray[np.int64], Keys]
    shown: NDArray[np.int64]
    pictures: list[tuple[str, bytes]]
    leaks: list[tuple[int, str, float]]


class Sifted(NamedTuple):
    """What is to become of the rows.

    Attributes:
        reasons: why a row is rejected, by row number.
        clusters: rows of `clusters.jsonl`: who stays, and who was rejected as its copy.
        leaks: rows of `leaks.jsonl`.
        split: index in `SPLITS`, -1 for rows that are rejected or not drawn.
        kept: number of rows that were not rejected, by split.

    >>> sifted = sift(load_table([]), {"train": 9}, seed=0)
    >>> isinstance(sifted, Sifted), sifted.reasons, sifted.kept
    (True, {}, {'train': 0, 'test': 0, 'probe': 0})
    """

    reasons: dict[int, str]
    clusters: list[dict[str, Any]]
    leaks: list[dict[str, Any]]
    split: NDArray[np.int8]
    kept: dict[str, int]


def load_table(rows: Iterable[dict[str, Any]]) -> Table:
    """The table of examined rows (see `checks.examine`).

    >>> from pathlib import Path
    >>> from medix_lite.curation.checks import examine
    >>> from medix_lite.curation.leakage import TextIndex
    >>> from medix_lite.curation.pictures import Looking
    >>> from medix_lite.curation.rows import Row
    >>> asked = {"a": "Which nerve is cut?", "b": "Which valve leaks?", "c": "WHICH NERVE IS CUT"}
    >>> rows = [Row(name, "train", {"question": question, "reference": "it"}) for name, question in asked.items()]
    >>> examined = [examine((0, "folder:mine", row), TextIndex([]), Looking(Path())) for row in rows]
    >>> table = load_table(examined)
    >>> table.ids, table.alive.tolist()
    (['a', 'b', 'c'], [True, True, True])
    >>> sifted = sift(table, {"train": 9}, seed=0)
    >>> sifted.kept["train"], sifted.reasons
    (2, {2: 'duplicate of a: the same pictures and words'})
    """
    ids, about, hashes, minhashes, accepted, seen, leaks = [], [], [], bytearray(), [], [], []
    pictures: dict[str, tuple[int, str, bytes]] = {}
    for number, row in enumerate(rows):
        prints, looks = row.get("prints", {}), row.get("looks", [])
        ids.append(row["id"])
        about.append((row["number"], SPLITS.index(row["split"]), row["reason"] is None))
        pixels = hash_of(*(look["pixels"] for look in looks))
        hashes.append((hash_of(row["id"]), pixels, *(prints.get(name, 0) for name in PRINTS)))
        minhashes += bytes.fromhex(prints.get("words") or "00" * 4 * PERMUTATIONS)
        accepted += [(number, answer) for answer in prints.get("answers", ())]
        leaks += [(number, name, share) for name, share in row.get("leaks", ())]
        for place, look in enumerate(looks):
            new = len(pictures), look["path"], bytes.fromhex("".join(look["hashes"]))
            seen.append((number, place, pictures.setdefault(look["pixels"], new)[0]))
    source, split, alive = np.array(about, np.int16).reshape(-1, 3).T
    keys = dict(zip(("id", "pixels", *PRINTS), np.array(hashes, np.uint64).reshape(-1, 2 + len(PRINTS)).T, strict=True))
    words = np.frombuffer(bytes(minhashes), "<u4").reshape(len(ids), PERMUTATIONS)
    answers = np.array([row for row, _ in accepted], np.int64), np.array([key for _, key in accepted], np.uint64)
    shown = np.array(seen, np.int64).reshape(-1, 3)
    different = [(path, hashes) for _, path, hashes in pictures.values()]
    return Table(ids, source, split, alive.astype(bool), keys, words, answers, shown, different, leaks)


def sift(table: Table, sizes: dict[str, int], seed: int) -> Sifted:
    """Decide about every row: copies, contradictions, leaks, splits, sampling, in this order.

    Args:
        table: the rows; `alive` and `split` are used up.
        sizes: at most so many samples a split.
        seed: chooses what is kept from training and which samples are drawn.
    """
    n, copies = len(table.ids), defaultdict[int, list[int]](list)
    found = Sifted(reasons={}, clusters=[], leaks=[], split=np.full(n, -1, np.int8), kept={})
    alive, keys, every = table.alive, table.keys, np.arange(n)
    rank = np.array([(*MEASURED, "train").index(split) for split in SPLITS])[table.split]
    order = np.lexsort((every, rank))

    def reject(rows: NDArray[Any], reason: Any) -> None:
        for row in rows.tolist():
            found.reasons[row] = reason(row)
        alive[rows] = False

    def reject_copies(of: Keys, reason: Any) -> None:
        first = first_with_same(np.where(alive, of, 0), order)
        later = np.flatnonzero(first != every)
        for copy, kept in zip(later.tolist(), first[later].tolist(), strict=True):
            copies[kept].append(copy)
        reject(later, lambda row: reason(table.ids[first[row]], keys["pixels"][row] == keys["pixels"][first[row]]))

    alive &= table.source != BENCHMARK
    twice = first_with_same(np.where(alive, keys["id"], 0), every)
    reject(np.flatnonzero(twice != every), lambda row: "its id stands twice; the first sample keeps it")
    exact = mix(keys["asked"], keys["pixels"], keys["reference"])
    reject_copies(exact, lambda other, _: f"duplicate of {other}: the same pictures and words")
    cluster = clusters(len(table.pictures), find_copies(table.pictures)).astype(np.uint64) + np.uint64(1)
    row_of, place, picture = table.shown.T
    looks = np.ones(n, np.uint64)
    np.add.at(looks, row_of, mix(cluster[picture]) * (2 * place.astype(np.uint64) + 1))
    asked = mix(keys["asked"], looks)

    compared = alive & table.words.any(axis=1)
    pairs = reworded(np.where(compared, mix(keys["turns"], looks), 0), table.words)
    alike = clusters(n, pairs).astype(np.uint64) + np.uint64(1)
    changed = {True: "the same in other words", False: "a changed copy of its picture"}
    reject_copies(np.where(compared, alike, 0), lambda other, same: f"near duplicate of {other}: {changed[same]}")
    disputed = contradictory(np.where(alive, asked, 0), table.answers)
    reject(np.flatnonzero(disputed), lambda row: "the same is asked of the same picture elsewhere, with another answer")

    pictured = row_of, cluster[picture]
    _reject_leaks(table, found, reject, *pictured)
    together = components(n, [(every, keys["group"]), pictured, (every, asked), (every, alike)])
    best = np.full(together.max(initial=0) + 1, len(SPLITS))
    np.minimum.at(best, together[alive], rank[alive])
    astray = np.flatnonzero(alive & (rank > best[together]))
    ties = {"group": keys["group"], "picture": looks, "wording": asked}
    reject(astray, _tie(table, ties, together, np.flatnonzero(alive & (rank == best[together]) & (table.split != 0))))

    _carve_missing(table, together, sizes, seed)
    for kept, others in sorted(copies.items()):
        found.clusters.append({"kept": table.ids[kept], "copies": [table.ids[row] for row in sorted(others)]})
    for index, split in enumerate(SPLITS):
        rows = np.flatnonzero(alive & (table.split == index))
        found.kept[split] = len(rows)
        drawn = take([table.ids[row] for row in rows], sizes.get(split, 0), seed)
        found.split[[row for row in rows if table.ids[row] in drawn]] = index
    return found


def _reject_leaks(table: Table, found: Sifted, reject: Any, rows: NDArray[np.int64], pictures: Keys) -> None:
    """List what stands in a benchmark; reject it but for the test split, which may be that very benchmark."""
    leaks = [(row, name, "text", share) for row, name, share in table.leaks]
    theirs = table.source[rows] == BENCHMARK
    holder = dict(zip(pictures[theirs].tolist(), rows[theirs].tolist(), strict=True))
    ours = zip(rows[~theirs].tolist(), pictures[~theirs].tolist(), strict=True)
    leaks += [(row, table.ids[holder[picture]], "picture", 1.0) for row, picture in ours if picture in holder]
    for row, name, how, share in sorted(leaks):
        if row not in found.reasons:
            split = SPLITS[table.split[row]]
            found.leaks.append({"id": table.ids[row], "split": split, "benchmark_id": name, "by": how, "share": share})
    names = {row: f"it stands in a benchmark by {how}: {name}" for row, name, how, _ in leaks}
    learned = [row for row in sorted(names) if table.alive[row] and SPLITS[table.split[row]] != "test"]
    reject(np.array(learned, np.int64), names.__getitem__)


def _tie(table: Table, ties: dict[str, Keys], together: NDArray[np.int64], measured: NDArray[np.int64]) -> Any:
    """What ties a row to a measured row of its component, in words."""
    shared = {name: np.isin(keys, keys[measured]) & (keys > 1) for name, keys in ties.items()}
    there = dict(zip(together[measured].tolist(), measured.tolist(), strict=True))

    def why(row: int) -> str:
        other = there[int(together[row])]
        by = " and ".join(name for name, found in shared.items() if found[row]) or "way of other rows"
        return f"leak: tied by {by} to {table.ids[other]} in {SPLITS[table.split[other]]}"

    return why


def _carve_missing(table: Table, together: NDArray[np.int64], sizes: dict[str, int], seed: int) -> None:
    """Give each source that lacks a measured split a part of its training rows for it."""
    for index in (SPLITS.index(split) for split in MEASURED if sizes.get(split)):
        having = np.unique(table.source[table.split == index])
        rows = np.flatnonzero(table.alive & (table.split == 0) & ~np.isin(table.source, having))
        rows = rows[~np.isin(together[rows], together[np.setdiff1d(np.flatnonzero(table.alive), rows)])]
        component, first, size = np.unique(together[rows], return_index=True, return_counts=True)
        names = [table.ids[row] for row in rows[first].tolist()]
        away = carve(dict(zip(names, size.tolist(), strict=True)), seed)
        gone = component[[name in away for name in names]]
        table.split[rows[np.isin(together[rows], gone)]] = index
