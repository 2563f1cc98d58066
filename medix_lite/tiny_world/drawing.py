"""What phantoms are drawn with: soft shapes on a 64 x 64 grid from -1 to 1 in both directions, y downwards."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..files import read_table

SIZE = 64
TABLES = read_table("phantoms")
Array = NDArray[np.float64]
Random = np.random.Generator
Colour = tuple[float, float, float]

_AXIS = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
X, Y = np.meshgrid(_AXIS, _AXIS)


@dataclass(frozen=True)
class Latent:
    """What a phantom shows.

    Attributes:
        finding: name of the finding, or None for a normal picture.
        side: `left` or `right` of the patient, or None.
        radius: of a finding that is measured, in units of half a picture.
        count: of a finding that is counted.

    >>> Latent("pneumothorax", "left").sign, Latent("pneumothorax", "right").sign
    (1, -1)
    """

    finding: str | None = None
    side: str | None = None
    radius: float = 0.2
    count: int = 3

    @property
    def sign(self) -> int:
        """Direction of the side in the picture: the patient's left is on the right."""
        return 1 if self.side == "left" else -1


def soft(distance: Array, edge: float = 0.06) -> Array:
    """A mask that is 1 where `distance` < 0 and fades to 0 over `edge` (in units of half a picture).

    >>> soft(np.array([-1.0, 0.0, 1.0])).round(2).tolist()
    [1.0, 0.5, 0.0]
    """
    return 1 / (1 + np.exp(np.clip(distance / edge * 4, -30, 30)))


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, edge: float = 0.06) -> Array:
    """A soft filled ellipse; centre and radii in units of half a picture, angle in radians.

    >>> disc = ellipse(0, 0, 0.5, 0.25)
    >>> disc.shape, disc[32, [0, 24, 32, 40, 63]].round().tolist(), disc[[0, 20, 32, 44, 63], 32].round().tolist()
    ((64, 64), [0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0])
    """
    dx, dy = X - cx, Y - cy
    u = dx * np.cos(angle) + dy * np.sin(angle)
    v = dy * np.cos(angle) - dx * np.sin(angle)
    return soft((np.hypot(u / rx, v / ry) - 1) * min(rx, ry), edge)


def stroke(xs: list[float] | Array, ys: list[float] | Array, width: float, edge: float = 0.05) -> Array:
    """A soft polyline through the points, `width` across (half a picture = 1).

    >>> line = stroke([-0.5, 0.5], [0, 0], width=0.2)
    >>> line[32, [0, 32, 63]].round().tolist(), line[[0, 32, 63], 32].round().tolist()
    ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    """
    distance = np.full((SIZE, SIZE), np.inf)
    for (ax, ay), (bx, by) in itertools.pairwise(zip(xs, ys, strict=True)):
        dx, dy = bx - ax, by - ay
        along = np.clip(((X - ax) * dx + (Y - ay) * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
        distance = np.minimum(distance, np.hypot(X - ax - along * dx, Y - ay - along * dy))
    return soft(distance - width / 2, edge)


def blend(picture: Array, mask: Array, value: float | Colour, strength: float = 1.0) -> Array:
    """Paint `value` where `mask` is, over a grey (64, 64) or colour (64, 64, 3) picture.

    >>> blend(np.zeros((2, 2)), np.array([[1.0, 0], [0, 1]]), 0.8, strength=0.5).tolist()
    [[0.4, 0.0], [0.0, 0.4]]
    """
    alpha = mask * strength
    if picture.ndim == 3:
        alpha = alpha[..., None]
    return picture * (1 - alpha) + np.asarray(value) * alpha
