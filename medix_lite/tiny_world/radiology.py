"""Phantoms of radiology and nuclear medicine: radiograph, CT, MRI, ultrasound, angiogram, PET, mammogram, swallow, SPECT.

Each function takes what the picture shows and a generator, and returns a picture with values of about 0 to 1, without grain.
The patient's left is on the right of the picture.
"""

import numpy as np

from .drawing import SIZE, TABLES, Array, Latent, Random, X, Y, blend, ellipse, soft, stroke


def _waves(x: Array, y: Array, length: float, rng: Random) -> Array:
    """A random field that swings about 0 in blobs and bands half a `length` wide; its spread is 1."""
    turns, phases = rng.uniform(0, np.pi, 14), rng.uniform(0, 2 * np.pi, 14)
    waves = [np.cos(2 * np.pi / length * (x * np.cos(t) + y * np.sin(t)) + p) for t, p in zip(turns, phases, strict=True)]
    return np.sum(waves, axis=0) / np.sqrt(7)


def _pick(places: list[tuple[float, float]], count: int, jitter: float, rng: Random) -> list[tuple[float, float]]:
    """As many of the places as wanted, each moved a little."""
    return [(x + rng.uniform(-jitter, jitter), y + rng.uniform(-jitter, jitter)) for x, y in rng.permutation(places)[:count]]


def _lumpy(x: float, y: float, r: float, lobes: int, rng: Random) -> Array:
    """Distance from the edge of a not quite round mass: below 0 inside it."""
    return np.hypot(X - x, Y - y) / (1 + 0.1 * np.sin(lobes * np.arctan2(Y - y, X - x) + rng.uniform(0, 6))) - r


def _union(*masks: Array) -> Array:
    return np.max(masks, axis=0)


def draw_x_ray(latent: Latent, rng: Random) -> Array:
    """A frontal chest: dark lungs with vessels, ribs, heart towards the patient's left, domes of the diaphragm.

    >>> draw_x_ray(Latent("pneumonia", "left"), np.random.default_rng(0)).shape
    (64, 64)
    """
    mid, top, size, s = rng.uniform(-0.05, 0.05), rng.uniform(-0.06, 0.06), rng.uniform(0.93, 1.05), latent.sign
    picture = 0.03 + 0.55 * _union(ellipse(mid, 0.5, 0.93, 1.3), ellipse(mid, -0.15, 1.2, 0.75), ellipse(mid, -1.0, 0.24, 0.6))
    ribs = soft(np.abs((Y - 0.45 * np.abs(X - mid) ** 1.5 + top) % 0.22 - 0.11) - 0.035)
    for t in (-s, s):  # the side of the finding last: its lung is wanted below
        cage = ellipse(mid + t * 0.44, 0.2 + top, 0.38, 1.06, t * 0.06)
        dome = 0.5 + 0.05 * t + top + 1.6 * (X - mid - t * 0.38) ** 2
        lung, airless = cage * soft(Y - dome), t == s and latent.finding == "pneumothorax"
        picture = blend(picture, lung, 0.0 if airless else 0.2)
        for angle in np.arange(-1.2, 1.3, 0.6) + rng.uniform(-0.15, 0.15, 5):
            xs, ys = 0.16 + np.array([0, 0.25, 0.42]) * np.cos(angle), np.array([0, 0.25, 0.55]) * np.sin(angle)
            picture = blend(picture, stroke(mid + t * xs, top - 0.05 + ys, 0.03) * lung, 0.45, 0.0 if airless else 0.5)
        picture = picture + 0.1 * ribs * lung
        picture = blend(picture, stroke([mid + t * 0.08, mid + t * 0.8], [top - 0.62, top - 0.78], 0.04), 0.75, 0.5)
    picture = blend(blend(picture, ellipse(mid, 0, 0.12, 1.3), 0.68), ellipse(mid, -0.7, 0.05, 0.42), 0.4)
    if latent.finding == "pneumothorax":
        rest = ellipse(mid + s * 0.3, top + 0.06, rng.uniform(0.2, 0.25), rng.uniform(0.4, 0.46), s * 0.1)
        picture = blend(blend(picture, rest * lung, 0.45), (4 * rest * (1 - rest)) ** 2 * lung, 0.8, 0.8)
    heart = TABLES["heart"]
    picture = blend(picture, _union(*(ellipse(mid + x, y + top, a * size, b * size, tilt) for x, y, a, b, tilt in heart)), 0.74)
    if latent.finding == "pneumonia":
        x, y = mid + s * rng.uniform(0.46, 0.52), top + rng.uniform(-0.35, 0.05)
        picture = blend(picture, soft(_lumpy(x, y, rng.uniform(0.19, 0.24), 3, rng), 0.24) * lung, 0.82, 0.9)
    elif latent.finding == "pleural effusion":
        level = rng.uniform(0.08, 0.25) + top - 1.1 * (X - mid - s * 0.2) ** 2
        fluid = cage * soft(Y - dome - 0.15, 0.45) * soft(0.08 - s * (X - mid), 0.2)
        picture = blend(picture, soft(level - Y) * fluid, 0.9)
    return picture


def _head(bone: float, gap: float, brain: float, rng: Random) -> tuple[Array, float]:
    """A head from below: scalp or bone, what lies inside it, brain; also where its middle is. The forehead is at the top."""
    mid, wide = rng.uniform(-0.05, 0.05), rng.uniform(-0.015, 0.015)
    picture = np.full((SIZE, SIZE), 0.02)
    for grow, value in ((0.1, bone), (0.05, gap), (0.0, brain)):
        picture = blend(picture, _egg(mid, 0.66 + wide + grow, 0.8 + grow), value)
    return picture, mid


def _egg(mid: float, rx: float, ry: float) -> Array:
    return soft((np.hypot((X - mid) / (rx * (1 + 0.08 * Y)), Y / ry) - 1) * rx, 0.04)


def _ventricles(picture: Array, mid: float, grey: float, fluid: float, rng: Random) -> Array:
    """The deep grey nuclei and the ventricles between them: horns in front, the slit in the middle, horns behind."""
    size = rng.uniform(0.9, 1.1)
    for t in (1, -1):
        nuclei = ellipse(mid + t * 0.27, -0.02, 0.08, 0.17, -t * 0.3), ellipse(mid + t * 0.1, 0.1, 0.07, 0.11, -t * 0.3)
        picture = blend(picture, _union(*nuclei), grey)
        front = stroke(mid + t * np.array([0.15, 0.07, 0.05]) * size, np.array([-0.36, -0.24, -0.1]) * size, 0.09 * size)
        behind = stroke(mid + t * np.array([0.2, 0.25, 0.22]) * size, np.array([0.2, 0.3, 0.42]) * size, 0.08 * size)
        picture = blend(picture, _union(front, behind), fluid)
    return blend(picture, stroke([mid, mid], [0.02, 0.16], 0.03), fluid)


def _rim(mid: float, s: int, radius: float, rng: Random) -> tuple[float, float]:
    """Where a ball of this radius touches the inside of the skull from within."""
    angle = rng.uniform(-0.5, 0.4)
    y = (0.8 - radius) * np.sin(angle)
    return mid + s * (0.66 * (1 + 0.08 * y) - radius) * np.cos(angle), y


def draw_ct_scan(latent: Latent, rng: Random) -> Array:
    """An axial head CT: white bone, grey brain, dark ventricles and furrows; what is beside pushes the ventricles away.

    >>> draw_ct_scan(Latent("intracerebral haemorrhage", "left", radius=0.3), np.random.default_rng(0)).shape
    (64, 64)
    """
    picture, mid = _head(1.0, 1.0, 0.42, rng)
    s, r = latent.sign, latent.radius
    inside = _egg(mid, 0.65, 0.79)
    furrows = soft(np.abs(_waves(np.abs(X - mid), Y, 0.4, rng)) - 0.15, 0.3) * inside * (1 - _egg(mid, 0.52, 0.66))
    picture = blend(picture + 0.05 * inside * (1 - _egg(mid, 0.46, 0.6)), furrows, 0.22, 0.7)
    push = {"intracerebral haemorrhage": 0.25 * r, "subdural haematoma": 0.07}.get(latent.finding or "", 0.0)
    picture = blend(picture, stroke([mid, mid], [-0.78, -0.35], 0.02) + stroke([mid, mid], [0.4, 0.78], 0.02), 0.6, 0.6)
    picture = _ventricles(picture, mid - s * push, 0.48, 0.08, rng)
    if latent.finding == "intracerebral haemorrhage":
        x, y = mid + s * rng.uniform(0.33, 0.4), rng.uniform(-0.25, 0.25)
        picture = blend(blend(picture, ellipse(x, y, r + 0.07, r + 0.07, edge=0.1) * inside, 0.25), ellipse(x, y, r, r), 0.95)
    elif latent.finding == "subdural haematoma":
        pressed = ellipse(mid - s * rng.uniform(0.17, 0.23), rng.uniform(-0.1, 0.1), 0.66, 0.9, edge=0.04)
        picture = blend(picture, _egg(mid, 0.67, 0.81) * (1 - pressed) * soft(-s * (X - mid)), 0.85)
    elif latent.finding == "ischaemic stroke":
        across, angle = s * (X - mid) - 0.2, rng.uniform(-0.2, 0.3)
        wedge = soft((np.abs(np.arctan2(Y, across) - angle) - rng.uniform(0.55, 0.7)) * np.hypot(across, Y), 0.1) * soft(-across)
        picture = blend(picture, wedge * inside, 0.17, 0.95)
    return picture


def draw_mri_scan(latent: Latent, rng: Random) -> Array:
    """An axial head MRI, T1 with contrast: bright scalp, black bone, folded grey cortex on white matter, dark ventricles.

    >>> draw_mri_scan(Latent("glioma", "left", radius=0.3), np.random.default_rng(0)).shape
    (64, 64)
    """
    picture, mid = _head(0.8, 0.04, 0.12, rng)
    s, r = latent.sign, latent.radius
    picture = blend(picture, _egg(mid, 0.72, 0.86) * (1 - _egg(mid, 0.68, 0.82)), 0.03)
    fold = np.abs(_waves(np.abs(X - mid) + 0.03 * np.sin(5 * Y + 3 * X), Y, 0.36, rng))
    fold, inside = fold + 1.6 * _egg(mid, 0.42, 0.54), _egg(mid, 0.64, 0.78)
    picture = picture * (1 - inside) + inside * (0.2 + 0.22 * soft(0.16 - fold, 0.3) + 0.26 * soft(0.8 - fold, 0.4))
    picture = blend(picture, stroke([mid, mid], [-0.8, -0.42], 0.03) + stroke([mid, mid], [0.45, 0.8], 0.03), 0.08)
    picture = _ventricles(picture, mid, 0.47, 0.06, rng)
    if latent.finding == "glioma":
        x, y = mid + s * rng.uniform(0.32, 0.36), rng.uniform(-0.3, 0.3)
        distance = _lumpy(x, y, r, 3, rng)
        picture = blend(picture, soft(distance - 0.09, 0.1) * inside, 0.28)
        picture = blend(blend(picture, soft(distance), 1.0), soft(distance + 0.035 + 0.25 * r), 0.05)
    elif latent.finding == "meningioma":
        x, y = _rim(mid, s, r, rng)
        tail = ellipse(x, y, r + 0.12, r + 0.12) * (_egg(mid, 0.66, 0.8) - _egg(mid, 0.63, 0.77))
        picture = blend(picture, _union(ellipse(x, y, r, r), tail), 1.0)
    elif latent.finding == "arachnoid cyst":
        picture = blend(picture, ellipse(*_rim(mid, s, r, rng), r, r), 0.02)
    return picture


def _below(x: float, y: float, width: float) -> Array:
    """What lies in the beam of the fan behind (x, y)."""
    return soft(np.abs(X - x * (Y + 2.4) / (y + 2.4)) - width) * soft(y - Y)


def draw_ultrasound(latent: Latent, rng: Random) -> Array:
    """A transverse neck in a fan: trachea in the middle, a thyroid lobe and a carotid on each side, speckle.

    >>> draw_ultrasound(Latent("thyroid cyst", "left", radius=0.3), np.random.default_rng(0)).shape
    (64, 64)
    """
    mid, s, r = rng.uniform(-0.04, 0.04), latent.sign, latent.radius
    picture = blend(0.26 + 0.06 * np.sin(Y * 14 + 0.8 * X**2 + rng.uniform(0, 6)), ellipse(mid, -0.62, 1.2, 0.11), 0.16)
    x, y = mid + s * rng.uniform(0.44, 0.47), rng.uniform(-0.14, -0.06)
    for t in (1, -1):
        grow = max(0.3, r + 0.05) if t == s and latent.finding in ("thyroid cyst", "thyroid nodule") else rng.uniform(0.28, 0.32)
        picture = blend(picture, ellipse(mid + t * 0.45, -0.1, grow, grow * 1.1, t * 0.2), 0.46)
        picture = blend(picture, ellipse(mid + t * 0.8, 0.32, 0.1, 0.1), 0.06)
    picture = blend(picture, ellipse(mid, -0.1, 0.3, 0.1), 0.46)
    picture = blend(blend(picture, _below(mid, 0.0, 0.17), 0.05), ellipse(mid, -0.04, 0.17, 0.06), 0.9)
    if latent.finding == "thyroid cyst":
        picture = blend(blend(picture, _below(x, y, 0.85 * r), 0.75, 0.7), ellipse(x, y, r, r), 0.0)
    elif latent.finding == "thyroid nodule":
        picture = blend(blend(picture, ellipse(x, y, r, r), 0.02), ellipse(x, y, r - 0.035, r - 0.035), 1.0)
    elif latent.finding == "thyroid calcification":
        wide = rng.uniform(0.13, 0.17)
        picture = blend(blend(picture, _below(x, y, wide), 0.0, 0.95), ellipse(x, y, wide + 0.02, 0.07), 1.0)
    far = np.hypot(X, Y + 2.4)
    fan = soft(np.abs(np.arctan2(X, Y + 2.4)) - 0.36, 0.03) * soft(1.45 - far) * soft(far - 3.3)
    return picture * rng.gamma(18, 1 / 18, picture.shape) * fan


def draw_angiography(latent: Latent, rng: Random) -> Array:
    """A subtraction angiogram, dark vessels on a light ground: aorta, both renal arteries with their kidneys, iliac fork.

    >>> draw_angiography(Latent("renal artery aneurysm", "left", radius=0.3), np.random.default_rng(0)).shape
    (64, 64)
    """
    mid, s, r = rng.uniform(-0.05, 0.05), latent.sign, latent.radius
    picture = 0.86 + 0.02 * _waves(X, Y, 0.5, rng)
    fork, bend = rng.uniform(0.42, 0.5), rng.uniform(-0.03, 0.03)
    aorta = stroke(mid + bend * np.array([0, 1, 0.5, 0]), [-1.1, -0.5, 0.0, fork], 0.21)
    for t in (1, -1):
        y, sick = rng.uniform(-0.22, -0.14), latent.finding if t == s else None
        xs, ys = mid + t * np.array([0.0, 0.27, 0.42, 0.56]), y + np.array([0.0, 0.02, 0.07, 0.06])
        aorta = _union(aorta, stroke(mid + t * np.array([0, 0.2, 0.42]), [fork, fork + 0.25, 1.1], 0.13))
        if sick == "renal artery occlusion":
            aorta = _union(aorta, stroke(xs[:2], ys[:2], 0.09))
            continue
        picture = blend(picture, ellipse(mid + t * 0.74, y + 0.08, 0.19, 0.34, t * 0.15), 0.68, 0.7)
        for dy in np.array([-0.24, -0.08, 0.1, 0.27]) + rng.uniform(-0.04, 0.04, 4):
            picture = blend(picture, stroke(xs[3] + t * np.array([0, 0.12, 0.26]), ys[3] + dy * np.array([0, 0.8, 1]), 0.03), 0.2)
        if sick == "renal artery stenosis":
            picture = blend(picture, stroke(xs[:2], ys[:2], 0.03), 0.3)
            aorta = _union(aorta, stroke(xs[2:], ys[2:], 0.09), ellipse(xs[1] + t * 0.08, ys[1] + 0.02, 0.1, 0.065, t * 0.3))
        else:
            aorta = _union(aorta, stroke(xs, ys, 0.09))
        if sick == "renal artery aneurysm":
            aorta = _union(aorta, ellipse(mid + t * 0.38, y + 0.05 - r, r, r))
    return blend(picture, aorta, 0.1)


def draw_pet_scan(latent: Latent, rng: Random) -> Array:
    """A coronal whole-body projection, uptake dark on white: brain and bladder dark, heart, kidneys and liver faint.

    >>> draw_pet_scan(Latent("lymphoma", count=2), np.random.default_rng(0)).shape
    (64, 64)
    """
    mid, s = rng.uniform(-0.04, 0.04), latent.sign
    parts = TABLES["body"] + [[t * 0.22, 0.9, 0.19, 0.4] for t in (1, -1)]
    picture = 1 - 0.16 * _union(*(ellipse(mid + x, y, rx, ry) for x, y, rx, ry in parts))
    for t in (1, -1):
        picture = blend(picture, stroke(mid + t * np.array([0.42, 0.56, 0.58]), [-0.38, 0.0, 0.5], 0.13), 0.84)
        picture = blend(picture, ellipse(mid + t * 0.23, -0.2, 0.16, 0.23), 0.93)
        picture = blend(picture, ellipse(mid + t * 0.26, 0.38, 0.06, 0.1, t * 0.3), 0.6, 0.8)
    picture = blend(picture, ellipse(mid + 0.1, -0.08, 0.1, 0.09), 0.68, 0.8)
    picture = blend(picture, _union(ellipse(mid - 0.22, 0.13, 0.25, 0.21, -0.1), ellipse(mid, 0.04, 0.21, 0.1, -0.2)), 0.7)
    picture = blend(picture, _union(ellipse(mid, -0.86, 0.12, 0.1), ellipse(mid, 0.68, rng.uniform(0.08, 0.1), 0.07)), 0.05)
    lung = latent.finding == "lung cancer"
    places = [(s * 0.24, y) for y in (-0.32, -0.24)] if lung else TABLES["uptake"].get(latent.finding, [])
    count, jitter, radius = (1, 0.03, 0.085) if lung else (latent.count, 0.015, 0.05)
    for x, y in _pick(places, count, jitter, rng):
        picture = blend(picture, ellipse(mid + x, y, radius, radius), 0.0)
    return picture


def draw_mammography(latent: Latent, rng: Random) -> Array:
    """One breast from above: chest wall at the edge of the picture, nipple towards the other, glandular tissue in fat.

    >>> draw_mammography(Latent("breast cancer", "left", radius=0.3), np.random.default_rng(0)).shape
    (64, 64)
    """
    s, r = latent.sign, latent.radius
    u, centre = s * X, rng.uniform(-0.06, 0.06)
    deep, wide = rng.uniform(1.4, 1.55), rng.uniform(0.82, 0.9)
    depth = 1 - (((u + 1) / deep) ** 2.3 + np.abs((Y - centre) / wide) ** 2.3) ** (1 / 2.3)
    breast, skin = soft(-0.8 * depth), soft(0.8 * depth - 0.03)
    gland = soft((np.hypot((u + 0.45) / 0.75, (Y - centre) / 0.6) - 1) * 0.6, 0.5)
    strands = _waves((Y - centre) / (2.2 - u) * 2.5, u * 0.6, 0.4, rng) + 0.4 * _waves(X, Y, 0.3, rng)
    picture = 0.02 + breast * (0.24 + gland * (0.12 + 0.09 * np.clip(strands, -1, 1.5)))
    picture = blend(blend(picture, breast * skin, 0.42), ellipse(s * (deep - 0.98), centre, 0.06, 0.08), 0.5)
    x, y = s * rng.uniform(-0.4, -0.25), centre + rng.uniform(-0.18, 0.18)
    if latent.finding == "breast cancer":
        picture = blend(picture, soft(_lumpy(x, y, r, 5, rng), 0.09), 1.0)
        for turn in np.arange(11) * 2 * np.pi / 11 + rng.uniform(-0.25, 0.25, 11):
            reach = np.array([0, r + rng.uniform(0.12, 0.24)])
            picture = blend(picture, stroke(x + reach * np.cos(turn), y + reach * np.sin(turn), 0.02), 0.95, 0.8)
    elif latent.finding == "breast fibroadenoma":
        picture = blend(blend(picture, ellipse(x, y, r + 0.06, r + 0.06), 0.14), ellipse(x, y, r, r, edge=0.03), 0.78)
    elif latent.finding == "breast microcalcification":
        for turn, reach in zip(np.arange(9) * 2.4, np.sqrt(np.arange(9) / 9) * 0.24, strict=True):
            dx, dy = reach * np.cos(turn) + rng.uniform(-0.02, 0.02), reach * np.sin(turn) + rng.uniform(-0.02, 0.02)
            picture = blend(picture, ellipse(x + dx, y + dy, 0.03, 0.03, edge=0.03), 1.0)
    return picture


def draw_fluoroscopy(latent: Latent, rng: Random) -> Array:
    """A barium swallow: a white column down the oesophagus into the stomach, before the spine, through the diaphragm.

    >>> draw_fluoroscopy(Latent("achalasia"), np.random.default_rng(0)).shape
    (64, 64)
    """
    mid, hiatus = rng.uniform(-0.2, -0.1), rng.uniform(0.2, 0.28)
    picture = 0.24 + 0.02 * _waves(X, Y, 0.8, rng)
    dome = hiatus - 0.12 + 0.4 * (np.abs(X - mid - 0.1) - 0.5) ** 2
    picture = blend(blend(picture, soft(dome - Y, 0.08), 0.42), ellipse(mid + 0.3, hiatus - 0.28, 0.45, 0.36, 0.4), 0.36, 0.8)
    bodies = soft(np.abs((Y + rng.uniform(0, 0.3)) % 0.3 - 0.15) - 0.11)
    picture = picture + soft(np.abs(X - mid + 0.04) - 0.2) * (0.05 + 0.12 * bodies)
    way = mid + 0.04 * np.sin(3 * Y + rng.uniform(0, 6)) + 0.3 * np.clip((Y - hiatus + 0.25) / 0.45, 0, 1) ** 2
    half = 0.07 + 0.012 * np.sin(Y * 9 + rng.uniform(0, 6))
    if latent.finding == "achalasia":
        half = 0.02 + rng.uniform(0.2, 0.25) * np.clip((hiatus - Y) / 0.4, 0, 1) ** 0.7
    elif latent.finding == "oesophageal cancer":
        level, ragged = rng.uniform(-0.4, -0.2), _waves(Y, 0 * Y, 0.25, rng)
        sick = soft(np.abs(Y - level) - 0.19, 0.08)
        half = (1 - sick) * np.where(level > Y, 0.16, 0.09) + sick * (0.03 + 0.01 * ragged)
        way = way + sick * 0.03 * ragged
    stomach = _union(ellipse(mid + 0.52, hiatus + 0.24, 0.3, 0.26), ellipse(mid + 0.46, hiatus + 0.66, 0.2, 0.5, 0.3))
    if latent.finding == "hiatus hernia":
        pouch = ellipse(mid + 0.05, hiatus - 0.2, rng.uniform(0.26, 0.31), rng.uniform(0.18, 0.22))
        stomach = _union(stomach, pouch, stroke([mid + 0.1, mid + 0.4], [hiatus - 0.1, hiatus + 0.2], 0.2))
    picture = blend(picture, soft(np.abs(X - way) - half, 0.04) * soft(Y - hiatus - 0.2), 0.98)
    picture = blend(picture, stomach, 0.88, 0.25 if latent.finding == "achalasia" else 1.0)
    return picture + 0.06 * stomach * np.sin(18 * (X + 0.3 * Y))


def draw_spect(latent: Latent, rng: Random) -> Array:
    """Axial brain perfusion in hot colours: cortex and deep nuclei warm, white matter and ventricles cool.

    >>> draw_spect(Latent("Alzheimer disease"), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    mid, s = rng.uniform(-0.05, 0.05), latent.sign
    brain = ellipse(mid, 0, 0.66, 0.84, edge=0.12)
    heat = 0.02 + brain * (0.78 - 0.42 * ellipse(mid, 0, 0.42, 0.58, edge=0.3)) + 0.04 * brain * _waves(X, Y, 0.4, rng)
    heat = blend(heat, stroke([mid, mid], [-0.6, 0.6], 0.03, 0.15), 0.35, 0.5)
    for t in (1, -1):
        heat = blend(heat, ellipse(mid + t * 0.2, -0.1, 0.08, 0.16, -t * 0.3, edge=0.12), 0.8, 0.9)
        heat = blend(heat, ellipse(mid + t * 0.12, 0.14, 0.08, 0.09, edge=0.12), 0.75, 0.9)
        if latent.finding in TABLES["cold"] and (t == s or latent.finding != "temporal lobe epilepsy"):
            x, y, rx, ry, angle = TABLES["cold"][latent.finding]
            heat = blend(heat, ellipse(mid + t * x, y, rx, ry, -t * angle, edge=0.18) * brain, 0.2, rng.uniform(0.9, 1))
    return np.clip(np.stack([2.6 * heat, 2.6 * heat - 0.85, 2.6 * heat - 1.7], axis=2), 0, 1)
