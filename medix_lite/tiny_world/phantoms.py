"""Phantoms: procedural 64x64 pictures that allude to real modalities. In: latent facts. Out: an RGB array.

They are phantoms, not patients: good enough that a small model must look, nothing more. Side follows the radiological
convention: the patient's left is on the right of the picture.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from ..files import InputError
from ..modalities import MODALITIES
from . import optics, radiology
from .drawing import SIZE, TABLES, Array, Latent, Random
from .lexicon import findings

SIDES = ("left", "right")
GRAIN = 0.02
CHILD_SCALE = 52 / 64  # how much smaller a child is in the same field of view

_DRAWERS = vars(optics) | vars(radiology)
DRAW: dict[str, Callable[[Latent, Random], Array]] = {tag: _DRAWERS[f"draw_{tag.lower()}"] for tag in MODALITIES}
PAIRED: dict[str, str] = TABLES["paired"]
FIELD_OF_VIEW: dict[str, int] = TABLES["field_of_view"]


def draw(
    modality: str,
    finding: str | None,
    side: str | None,
    seed: int,
    *,
    size_mm: float | None = None,
    count: int | None = None,
    child: bool = False,
) -> NDArray[np.uint8]:
    """Draw a phantom.

    Args:
        modality: one of the sixteen tags.
        finding: name of a finding of that modality in the lexicon, or None for a normal picture.
        side: `left` or `right` of the finding (of the organ, where the modality is in `PAIRED`), or None where there is none.
        seed: the same seed gives the same picture.
        size_mm: diameter of a finding that is measured, in mm.
        count: how many there are of a finding that is counted.
        child: whether the patient is a child, and so smaller in the same field of view.

    Returns:
        RGB picture, shape (64, 64, 3), values 0 to 255.

    Raises:
        InputError: there is no phantom of that modality, or none with that finding.

    >>> effusion, normal = (draw("X_RAY", finding, "left", seed=0).astype(int) for finding in ("pleural effusion", None))
    >>> left, right = np.hsplit(abs(effusion - normal), 2)
    >>> bool(right.mean() > 4 * left.mean())  # the patient's left is on the right of the picture
    True
    """
    if modality not in DRAW:
        raise InputError(f"no phantom for modality {modality!r}; the tiny world has {', '.join(DRAW)}")
    if finding and finding not in (known := [concept.name for concept in findings(modality)]):
        raise InputError(f"no phantom with {finding!r} in {modality}; there are {', '.join(known)}")
    rng = np.random.default_rng(seed)
    scale = CHILD_SCALE if child and modality in TABLES["shrinks"] else 1.0
    radius = size_mm / FIELD_OF_VIEW[modality] / scale if size_mm else 0.2
    # A grey picture gets three equal colours.
    picture = np.atleast_3d(DRAW[modality](Latent(finding, side, radius, count or 3), rng)) * np.ones(3)
    if scale < 1:
        smaller = zoom(picture, (scale, scale, 1), order=1)
        margin = (SIZE - smaller.shape[0]) // 2
        picture = np.pad(smaller, ((margin, SIZE - margin - smaller.shape[0]),) * 2 + ((0, 0),), mode="edge")
    picture = picture + rng.normal(0, GRAIN, (SIZE, SIZE, 1))
    picture = picture * rng.uniform(0.9, 1.1) + rng.uniform(-0.03, 0.03)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
