"""Splits: Samples in, the same Samples out by split; groups and pictures never stand on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path

from ..files import InputError
from ..samples import Sample, open_image


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order that depends on the seed and each name only, not on the other names or their order."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\x1f{name}".encode("utf-8", "surrogatepass")).digest())


def group_of(sample: Sample) -> str:
    """What must stay together: the group, or else the first picture, or else the sample alone."""
    return sample.group or (sample.images[0] if sample.images else sample.id)


def split_by_group(samples: list[Sample], fractions: dict[str, float], seed: int) -> dict[str, list[Sample]]:
    """Divide samples so that no group crosses splits; each split keeps the order of `samples`.

    Args:
        samples: any number; a sample without a group is kept with those of the same picture.
        fractions: share of the samples per split, adding up to 1. Small splits are filled first, each until its share
            is reached or exceeded by its last group; the largest takes the rest.
        seed: chooses which groups go where.

    Raises:
        InputError: the fractions are negative or do not add up to 1.
    """
    if min(fractions.values(), default=-1) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise InputError(f"fractions must be >= 0 and add up to 1, not {fractions}")
    members: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        members[group_of(sample)].append(sample)
    waiting = seeded_order(members, seed)
    *small, largest = sorted(fractions, key=lambda split: (fractions[split], split))
    split_of = {}
    for split in small:
        placed = 0
        while placed < fractions[split] * len(samples) and len(waiting) > 1:
            group = waiting.pop()
            split_of[group] = split
            placed += len(members[group])
    division: dict[str, list[Sample]] = {split: [] for split in fractions}
    for sample in samples:
        division[split_of.get(group_of(sample), largest)].append(sample)
    return division


def pixel_hash(path: Path | str) -> str:
    """A hash of a picture's size and RGB pixels: the same for the same picture in another file format.

    Raises:
        InputError: the picture does not decode.
    """
    picture = open_image(path)
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()


def check_no_leak(splits: dict[str, list[Sample]]) -> None:
    """Refuse splits of which two share a group (within one source) or a picture, pixel for pixel.

    Raises:
        InputError: something stands in more than one split; the message gives how many and one example.
    """
    hashes: dict[str, str] = {}
    places: dict[str, dict[Hashable, dict[str, str]]] = {"group": defaultdict(dict), "picture": defaultdict(dict)}
    for split, samples in splits.items():
        for sample in samples:
            if sample.group:
                places["group"][sample.source, sample.group].setdefault(split, sample.id)
            for image in sample.images:
                if image not in hashes:
                    hashes[image] = pixel_hash(image)
                places["picture"][hashes[image]].setdefault(split, sample.id)
    for what, found in places.items():
        crossing = [where for where in found.values() if len(where) > 1]
        if crossing:
            example = " and ".join(f"{sample!r} in {split}" for split, sample in crossing[0].items())
            raise InputError(
                f"{len(crossing)} {what}(s) stand in more than one split, e.g. that of {example}; "
                f"give samples that belong together the same group"
            )
