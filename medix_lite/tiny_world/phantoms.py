"""Phantoms: procedural 64x64 pictures that allude to real modalities. In: latent facts. Out: an RGB array.

They are phantoms, not patients: good enough that a small model must look, nothing more. Side follows the radiological
convention: the patient's left is on the right of the picture. In a fundus photograph the optic disc lies on the nasal
side: on the right of the picture for a right eye.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..files import InputError

SIZE = 64
SIDES = ("left", "right")
Array = NDArray[np.float64]
Random = np.random.Generator

_AXIS = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
X, Y = np.meshgrid(_AXIS, _AXIS)


def soft(distance: Array, edge: float = 0.06) -> Array:
    """A mask that is 1 where `distance` < 0 and fades to 0 over `edge` (in units of half a picture)."""
    return 1 / (1 + np.exp(np.clip(distance / edge * 4, -30, 30)))


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, edge: float = 0.06) -> Array:
    """A soft filled ellipse; centre and radii in units of half a picture, angle in radians."""
    dx, dy = X - cx, Y - cy
    u = dx * np.cos(angle) + dy * np.sin(angle)
    v = dy * np.cos(angle) - dx * np.sin(angle)
    return soft((np.hypot(u / rx, v / ry) - 1) * min(rx, ry), edge)


def blend(picture: Array, mask: Array, value: float | tuple[float, float, float], strength: float = 1.0) -> Array:
    """Paint `value` where `mask` is, over a grey (64, 64) or colour (64, 64, 3) picture."""
    alpha = mask * strength
    if picture.ndim == 3:
        alpha = alpha[..., None]
    return picture * (1 - alpha) + np.asarray(value) * alpha


def _sign(side: str) -> int:
    return 1 if side == "left" else -1


def draw_x_ray(finding: str | None, side: str | None, rng: Random) -> Array:
    """A frontal chest: dark lungs, heart towards the patient's left, ribs."""
    tilt = rng.uniform(-0.06, 0.06)
    picture = np.full((SIZE, SIZE), 0.08)
    picture = blend(picture, ellipse(0, 0.15, 0.95, 1.15), 0.55)
    lungs = [ellipse(s * 0.43 + tilt, -0.02, 0.33, 0.62, s * 0.12) for s in (1, -1)]
    for lung in lungs:
        picture = blend(picture, lung, 0.18)
    ribs = 0.07 * np.sin((Y + 0.25 * X**2) * 17 + rng.uniform(0, 6))
    picture = picture + ribs * np.clip(lungs[0] + lungs[1], 0, 1)
    picture = blend(picture, ellipse(tilt, 0, 0.12, 0.95), 0.68)
    picture = blend(picture, ellipse(0.16 + tilt, 0.28, 0.27, 0.3, 0.4), 0.72)
    if finding and side:
        s = _sign(side)
        lung = lungs[0] if s == 1 else lungs[1]
        if finding == "pneumonia":
            patch = ellipse(s * 0.46 + tilt, rng.uniform(-0.3, 0.1), rng.uniform(0.19, 0.25), rng.uniform(0.17, 0.23), edge=0.3)
            picture = blend(picture, patch * lung, 0.85, 0.9)
        elif finding == "pleural effusion":
            level = rng.uniform(0.15, 0.35)
            base = soft(level - 0.5 * (s * X - 0.43) - Y)
            picture = blend(picture, base * ellipse(s * 0.45 + tilt, 0.05, 0.38, 0.7), 0.9)
        elif finding == "pneumothorax":
            inner = ellipse(s * 0.34 + tilt, 0.12, 0.23, 0.45, s * 0.12)
            picture = blend(picture, lung * (1 - inner), 0.0)
            picture = blend(picture, np.clip(inner * (1 - inner) * 4, 0, 1) * lung, 0.75)
            picture = blend(picture, inner, 0.42, 0.7)
    return picture + rng.normal(0, 0.02, picture.shape)


def _head(bone: float, gap: float, brain: float, rng: Random) -> tuple[Array, float]:
    shift = rng.uniform(-0.05, 0.05)
    picture = np.full((SIZE, SIZE), 0.02)
    picture = blend(picture, ellipse(shift, 0, 0.76, 0.92, edge=0.04), bone)
    picture = blend(picture, ellipse(shift, 0, 0.68, 0.84, edge=0.04), gap)
    picture = blend(picture, ellipse(shift, 0, 0.64, 0.8, edge=0.04), brain)
    return picture, shift


def draw_ct_scan(finding: str | None, side: str | None, rng: Random) -> Array:
    """An axial head CT: white bone rim, grey brain, dark ventricles."""
    picture, shift = _head(1.0, 0.9, 0.42, rng)
    for s in (1, -1):
        picture = blend(picture, ellipse(s * 0.1 + shift, -0.05, 0.06, 0.25, -s * 0.35, edge=0.05), 0.15)
    if finding and side:
        s = _sign(side)
        if finding == "intracerebral haemorrhage":
            x, y = s * rng.uniform(0.3, 0.4) + shift, rng.uniform(-0.25, 0.3)
            picture = blend(picture, ellipse(x, y, rng.uniform(0.13, 0.18), rng.uniform(0.13, 0.2), rng.uniform(0, 3)), 0.92)
        elif finding == "subdural haematoma":
            outer = ellipse(shift, 0, 0.65, 0.81, edge=0.04)
            inner = ellipse(shift - s * rng.uniform(0.16, 0.22), 0, 0.64, 0.85, edge=0.04)
            picture = blend(picture, outer * (1 - inner) * soft(-s * (X - shift) + 0.1), 0.85)
        elif finding == "ischaemic stroke":
            angle = rng.uniform(-0.35, 0.35)
            bearing = np.arctan2(Y, s * (X - shift - s * 0.12)) - angle
            wedge = soft(np.abs(bearing) - 0.55, 0.3) * soft(0.05 - s * (X - shift - s * 0.12))
            picture = blend(picture, wedge * ellipse(shift, 0, 0.63, 0.79), 0.18, 0.95)
    return picture + rng.normal(0, 0.02, picture.shape)


def draw_mri_scan(finding: str | None, side: str | None, rng: Random) -> Array:
    """An axial head MRI: bright scalp, dark bone, folded cortex, white matter."""
    picture, shift = _head(0.75, 0.03, 0.5, rng)
    folds = np.sin(np.arctan2(Y, X - shift) * 22 + rng.uniform(0, 6)) * soft(0.5 - np.hypot((X - shift) / 0.64, Y / 0.8), 0.2)
    picture = picture + 0.13 * folds * ellipse(shift, 0, 0.62, 0.78, edge=0.04)
    picture = blend(picture, ellipse(shift, 0, 0.42, 0.56, edge=0.2), 0.66)
    for s in (1, -1):
        picture = blend(picture, ellipse(s * 0.08 + shift, 0, 0.05, 0.22, -s * 0.3, edge=0.05), 0.1)
    if finding and side:
        s = _sign(side)
        if finding == "glioma":
            x, y, r = s * rng.uniform(0.28, 0.36) + shift, rng.uniform(-0.3, 0.3), rng.uniform(0.17, 0.21)
            wobble = 1 + 0.12 * np.sin(3 * np.arctan2(Y - y, X - x) + rng.uniform(0, 6))
            distance = np.hypot(X - x, Y - y) - r * wobble
            picture = blend(picture, soft(distance), 1.0)
            picture = blend(picture, soft(distance + 0.11), 0.08)
        elif finding == "meningioma":
            angle = rng.uniform(-0.8, 0.8)
            x, y = s * 0.5 * np.cos(angle) + shift, 0.64 * np.sin(angle)
            picture = blend(picture, ellipse(x, y, rng.uniform(0.14, 0.18), rng.uniform(0.14, 0.18)), 1.0)
        elif finding == "arachnoid cyst":
            angle = rng.uniform(-0.8, 0.8)
            x, y = s * 0.48 * np.cos(angle) + shift, 0.62 * np.sin(angle)
            picture = blend(picture, ellipse(x, y, rng.uniform(0.16, 0.2), rng.uniform(0.16, 0.2)), 0.04)
    return picture + rng.normal(0, 0.02, picture.shape)


def draw_ultrasound(finding: str | None, side: str | None, rng: Random) -> Array:
    """A transverse neck in a fan: trachea in the middle, a thyroid lobe on each side, speckle."""
    shift = rng.uniform(-0.05, 0.05)
    picture = np.full((SIZE, SIZE), 0.3) + 0.1 * np.sin(Y * 9 + rng.uniform(0, 6))
    for s in (1, -1):
        picture = blend(picture, ellipse(s * 0.36 + shift, -0.05, 0.25, 0.36, s * 0.2), 0.55)
    picture = blend(picture, ellipse(shift, -0.02, 0.13, 0.16), 0.04)
    picture = blend(picture, ellipse(shift, -0.17, 0.13, 0.05), 0.85)
    if finding and side:
        x, y = _sign(side) * rng.uniform(0.34, 0.42) + shift, rng.uniform(-0.2, 0.05)
        r = rng.uniform(0.13, 0.17)
        below = soft(np.abs(X - x) - r * 0.8) * soft(y + r - Y)
        if finding == "thyroid cyst":
            picture = blend(picture, below, 0.8, 0.8)
            picture = blend(picture, ellipse(x, y, r, r), 0.0)
        elif finding == "thyroid nodule":
            picture = blend(picture, ellipse(x, y, r * 1.25, r * 1.25), 0.12)
            picture = blend(picture, ellipse(x, y, r * 0.95, r * 0.95), 0.8)
        elif finding == "thyroid calcification":
            picture = blend(picture, below, 0.0)
            picture = blend(picture, ellipse(x, y, r, r * 0.5), 1.0)
    picture = picture * rng.gamma(14, 1 / 14, picture.shape)
    fan = soft(np.abs(np.arctan2(X, Y + 1.9)) - 0.42, 0.05) * soft(0.95 - np.hypot(X, Y + 1.9)) * soft(np.hypot(X, Y + 1.9) - 2.75)
    return picture * fan


def draw_microscopy(finding: str | None, side: str | None, rng: Random) -> Array:
    """A blood film: red cells with pale centres on a light ground. It has no side."""
    picture = np.ones((SIZE, SIZE, 3)) * np.array([0.96, 0.9, 0.88])
    red, nucleus = (0.85, 0.48, 0.5), (0.42, 0.18, 0.55)
    grid = [(gx, gy) for gx in np.linspace(-0.75, 0.75, 4) for gy in np.linspace(-0.75, 0.75, 4)]
    special = set(rng.permutation(len(grid))[: int(rng.integers(4, 7))].tolist()) if finding else set()
    for index, (gx, gy) in enumerate(grid):
        x, y = gx + rng.uniform(-0.06, 0.06), gy + rng.uniform(-0.06, 0.06)
        if index in special and finding == "sickle cell disease":
            angle = rng.uniform(0, np.pi)
            body = ellipse(x, y, 0.25, 0.11, angle)
            bite = ellipse(x - 0.08 * np.sin(angle), y + 0.08 * np.cos(angle), 0.2, 0.08, angle)
            picture = blend(picture, body * (1 - bite), (0.7, 0.25, 0.3))
        elif index in special and finding == "leukaemia":
            picture = blend(picture, ellipse(x, y, 0.23, 0.23), (0.75, 0.7, 0.88))
            picture = blend(picture, ellipse(x, y, 0.18, 0.18), nucleus)
        else:
            picture = blend(picture, ellipse(x, y, 0.18, 0.17), red)
            picture = blend(picture, ellipse(x, y, 0.07, 0.07), (0.94, 0.75, 0.75))
            if index in special and finding == "malaria":
                picture = blend(picture, ellipse(x + 0.05, y, 0.075, 0.075), nucleus)
                picture = blend(picture, ellipse(x + 0.04, y, 0.02, 0.02), (0.94, 0.75, 0.75))
    return picture + rng.normal(0, 0.02, picture.shape)


def draw_fundus_photography(finding: str | None, side: str | None, rng: Random) -> Array:
    """A retina: optic disc on the nasal side, vessels from it, macula on the other side."""
    nasal = 1 if side == "right" else -1
    disc_x, disc_y = nasal * rng.uniform(0.44, 0.52), rng.uniform(-0.06, 0.06)
    picture = np.zeros((SIZE, SIZE, 3)) + np.array([0.82, 0.4, 0.16])
    picture = blend(picture, ellipse(-nasal * 0.18, disc_y, 0.16, 0.16, edge=0.15), (0.55, 0.22, 0.1))
    for bend in (-1, 1):
        for spread in (0.55, 0.95):
            along = nasal * (disc_x - X)
            curve = disc_y + bend * spread * np.sqrt(np.clip(along, 0, None)) * 0.75
            picture = blend(picture, soft(np.abs(Y - curve) - 0.02, 0.07) * soft(-along), (0.5, 0.1, 0.08), 0.8)
    cup = rng.uniform(0.14, 0.16) if finding == "glaucoma" else 0.05
    picture = blend(picture, ellipse(disc_x, disc_y, 0.19, 0.22), (0.93, 0.62, 0.25))
    picture = blend(picture, ellipse(disc_x, disc_y, cup, cup * 1.15), (1.0, 1.0, 0.9))
    if finding == "diabetic retinopathy":
        for _ in range(int(rng.integers(12, 17))):
            angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.8)
            picture = blend(picture, ellipse(radius * np.cos(angle), radius * np.sin(angle), 0.05, 0.05), (0.3, 0.02, 0.02))
    elif finding == "macular degeneration":
        for _ in range(int(rng.integers(9, 13))):
            angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.3)
            x, y = -nasal * 0.18 + radius * np.cos(angle), disc_y + radius * np.sin(angle)
            picture = blend(picture, ellipse(x, y, 0.05, 0.05), (1.0, 0.92, 0.45))
    picture = picture + rng.normal(0, 0.015, picture.shape)
    return picture * ellipse(0, 0, 0.95, 0.95, edge=0.04)[..., None]


DRAW: dict[str, Callable[[str | None, str | None, Random], Array]] = {
    "X_RAY": draw_x_ray,
    "CT_SCAN": draw_ct_scan,
    "MRI_SCAN": draw_mri_scan,
    "ULTRASOUND": draw_ultrasound,
    "MICROSCOPY": draw_microscopy,
    "FUNDUS_PHOTOGRAPHY": draw_fundus_photography,
}
SIDED = tuple(modality for modality in DRAW if modality != "MICROSCOPY")


def draw(modality: str, finding: str | None, side: str | None, seed: int) -> NDArray[np.uint8]:
    """Draw a phantom.

    Args:
        modality: one of the keys of `DRAW`.
        finding: name of a finding of that modality in the lexicon, or None for a normal picture.
        side: `left` or `right` of the finding (of the eye, for a fundus photograph), or None where there is no side.
        seed: the same seed gives the same picture.

    Returns:
        RGB picture, shape (64, 64, 3), values 0 to 255.

    Raises:
        InputError: there is no phantom of that modality.
    """
    if modality not in DRAW:
        raise InputError(f"no phantom for modality {modality!r}; the tiny world has {', '.join(DRAW)}")
    rng = np.random.default_rng(seed)
    picture = DRAW[modality](finding, side, rng)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    picture = picture * rng.uniform(0.9, 1.1) + rng.uniform(-0.03, 0.03)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
