"""Does a policy look at the picture? In: Samples. Out: the same questions with a blank picture or another question's."""

from pathlib import Path

import numpy as np
from PIL import Image

from ..files import write_aside
from ..samples import Sample, open_image


def without_sight(samples: list[Sample], how: str, folder: Path, seed: int = 0) -> list[Sample]:
    """Questions whose pictures say nothing; who answers them as well as before did not look.

    Args:
        samples: questions with a picture.
        how: `blank` (grey, of the same size) or `shuffled` (another question's picture of the same modality, if there is one).
        folder: for the blank pictures.

    >>> tags = {"a": "X_RAY", "b": "X_RAY", "c": "CT_SCAN"}
    >>> asked = [Sample(id=i, question="Seen?", reference="flu", modality=tag, images=[f"{i}.png"]) for i, tag in tags.items()]
    >>> {s.id: s.images for s in without_sight(asked, "shuffled", Path("unused"))}  # the only CT has no other to take
    {'a': ['b.png'], 'b': ['a.png'], 'c': ['c.png']}
    """
    order, others = np.random.default_rng(seed).permutation(len(samples)).tolist(), dict[int, int]()
    for modality in {sample.modality for sample in samples}:
        here = [place for place in order if samples[place].modality == modality]
        others |= dict(zip(here, [*here[1:], *here[:1]], strict=True))
    seen = [
        samples[others[place]].images if how == "shuffled" else [_blank(path, folder) for path in sample.images]
        for place, sample in enumerate(samples)
    ]
    return [sample.model_copy(update={"images": images}) for sample, images in zip(samples, seen, strict=True)]


def _blank(path: str, folder: Path) -> str:
    size = open_image(path).size
    blank = folder / f"blank-{size[0]}x{size[1]}.png"
    if not blank.exists():
        with write_aside(blank) as aside:
            Image.new("RGB", size, "grey").save(aside, "png")
    return str(blank)
