"""Splits: rows with their components in; which split each goes to out. What belongs together is never divided."""

from collections.abc import Iterable

from ..samples import content_id

SPLITS = ("train", "test", "probe")
MEASURED = ("test", "probe")  # where a row stays when its component stands in several splits, first to last
CARVED = 0.1  # of the training rows, for a split that the source does not have


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order that depends on the seed and each name only, not on the other names or their order.

    >>> order = seeded_order("abcdef", seed=0)
    >>> order == seeded_order("fedcba", seed=0), [name for name in order if name in "abc"] == seeded_order("abc", seed=0)
    (True, True)
    """
    return sorted(names, key=lambda name: content_id(str(seed), name))


def carve(members: dict[str, int], seed: int) -> set[str]:
    """Which components leave training for a split that the source lacks: a tenth of the rows, filled until its last component
    reaches or exceeds that; one component at least stays.

    Args:
        members: name of each component and its number of rows.
        seed: chooses the components.

    >>> gone = carve({f"patient {number}": 10 for number in range(20)}, seed=0)
    >>> len(gone), carve({"only one": 10}, seed=0)
    (2, set())
    """
    waiting, gone, placed = seeded_order(members, seed), set(), 0
    while placed < CARVED * sum(members.values()) and len(waiting) > 1:
        gone.add(name := waiting.pop())
        placed += members[name]
    return gone


def take(names: list[str], size: int, seed: int) -> set[str]:
    """At most `size` names, chosen by seed and name alone: more rows never reshuffle the choice.

    >>> take(list("abc"), 2, seed=0) <= take(list("abcd"), 3, seed=0)
    True
    """
    return set(seeded_order(names, seed)[:size])
