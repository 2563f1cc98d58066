"""Phantoms taken with light or drawn on paper: photographs, microscopy, optical coherence tomography, audiogram and ECG.

In: a `Latent`. Out: a picture without grain. In a fundus photograph the optic disc lies on the nasal side: on the right
of the picture for a right eye.
"""

from collections.abc import Sequence

import numpy as np

from .drawing import SIZE, TABLES, Array, Colour, Latent, Random, X, Y, blend, ellipse, soft, stroke

Point = tuple[float, float]
Points = Sequence[Point]


def _ground(colour: Colour) -> Array:
    return np.ones((SIZE, SIZE, 3)) * np.array(colour)


def _clouds(rng: Random, waves: float) -> Array:
    """A smooth random texture of mean 0 and deviation 1; its zero lines look like a net of small vessels."""
    total = np.zeros((SIZE, SIZE))
    for _ in range(8):
        angle, phase, k = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), waves * rng.uniform(0.7, 1.3)
        total += np.sin(k * (X * np.cos(angle) + Y * np.sin(angle)) + phase) / 2
    return total


def _flakes(rng: Random, share: float) -> Array:
    """Soft fine scales that cover about `share` of the picture."""
    grain = rng.random((SIZE + 1, SIZE + 1))
    return soft((grain[1:, 1:] + grain[:-1, 1:] + grain[1:, :-1] + grain[:-1, :-1]) / 4 - share, 0.3)


def _outline(rng: Random, x: float, y: float, radius: float, wobble: float) -> Array:
    """Signed distance to an irregular closed line around (x, y): negative within."""
    angle = np.arctan2(Y - y, X - x)
    bumps = sum((rng.uniform(0.2, 1) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)), np.zeros_like(X))
    return np.hypot(X - x, Y - y) - radius * (1 + wobble * bumps)


def _scatter(rng: Random, number: int, gap: float, reach: float, centre: Point = (0, 0), taken: Points = ()) -> list[Point]:
    """Up to `number` random points in a disc (in the square of the picture where reach > 1), `gap` apart and off `taken`."""
    points: list[Point] = []
    for dx, dy in rng.uniform(-reach, reach, (number * 30, 2)):
        if len(points) == number:
            break
        x, y = centre[0] + dx, centre[1] + dy
        if (reach > 1 or np.hypot(dx, dy) < reach) and all(np.hypot(x - px, y - py) > gap for px, py in (*points, *taken)):
            points.append((x, y))
    return points


def _spots(picture: Array, rng: Random, points: Points, smallest: float, largest: float, colour: Colour) -> Array:
    """Paint a small ellipse at each point."""
    for x, y in points:
        r = rng.uniform(smallest, largest)
        picture = blend(picture, ellipse(x, y, r, r * rng.uniform(0.55, 1), rng.uniform(0, np.pi)), colour)
    return picture


def draw_microscopy(latent: Latent, rng: Random) -> Array:
    """A stained blood film: red cells with pale centres; parasites, sickled cells or blasts are counted.

    >>> draw_microscopy(Latent("malaria", count=2), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    finding, picture, purple = latent.finding, _ground((0.96, 0.91, 0.89)), (0.4, 0.16, 0.55)
    corners = rng.permutation([(-1, -1), (-1, 1), (1, -1), (1, 1)])[: latent.count if finding else 0]
    special = [(0.44 * cx + rng.uniform(-0.12, 0.12), 0.44 * cy + rng.uniform(-0.12, 0.12)) for cx, cy in corners]
    room = 0.0 if finding == "malaria" else 0.12
    taken = [(x + dx * room, y + dy * room) for x, y in special for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    for x, y in [*_scatter(rng, 40, 0.37, 1.1, taken=taken), *(special if finding == "malaria" else [])]:
        picture = blend(picture, ellipse(x, y, 0.175, rng.uniform(0.16, 0.175), rng.uniform(0, 3)), (0.85, 0.49, 0.49))
        picture = blend(picture, ellipse(x, y, 0.07, 0.07, edge=0.1), (0.95, 0.78, 0.76))
    for x, y in special:
        angle = rng.uniform(0, 2 * np.pi)
        dx, dy = np.cos(angle), np.sin(angle)
        if finding == "malaria":
            picture = blend(picture, soft(np.abs(np.hypot(X - x, Y - y) - 0.08) - 0.018), purple)
            picture = blend(picture, ellipse(x + 0.09 * dx, y + 0.09 * dy, 0.045, 0.045), (0.35, 0.02, 0.25))
        elif finding == "sickle cell disease":
            body, bite = (np.hypot(X - x - s * dx, Y - y - s * dy) - r for s, r in ((0.18, 0.28), (0.68, 0.62)))
            picture = blend(picture, soft(np.maximum(body, -bite)), (0.58, 0.08, 0.18))
        else:
            picture = blend(picture, ellipse(x, y, 0.27, 0.25, angle), (0.62, 0.66, 0.9))
            picture = blend(picture, ellipse(x + 0.02 * dx, y + 0.02 * dy, 0.22, 0.2, angle), purple)
            nucleoli = [(x + s * dx, y + s * dy) for s in (-0.08, 0.08)]
            picture = _spots(picture, rng, nucleoli, 0.035, 0.04, (0.62, 0.45, 0.78))
    return picture


def draw_clinical_photography(latent: Latent, rng: Random) -> Array:
    """A close-up of skin with fine lines and a few hairs; tones from fair to brown.

    >>> draw_clinical_photography(Latent("melanoma", radius=0.3), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    finding, r, tone = latent.finding, latent.radius, rng.uniform(0, 1)
    light = 1 + 0.07 * (X * rng.uniform(-1, 1) + Y * rng.uniform(-1, 1)) + 0.018 * _clouds(rng, 30) + 0.015 * _clouds(rng, 5)
    picture = _ground((0.9 - 0.28 * tone, 0.71 - 0.27 * tone, 0.6 - 0.26 * tone)) * light[..., None]
    along = np.linspace(-0.2, 0.2, 5)
    for _ in range(int(rng.integers(3, 7))):
        x, y, angle = rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9), rng.uniform(0.8, 1.6)
        hair = stroke(x + along * np.cos(angle) + along**2, y + along * np.sin(angle), 0.012)
        picture = blend(picture, hair, (0.3, 0.2, 0.16), 0.5)
    x, y = rng.uniform(-1, 1, 2) * (max(0.0, 0.85 - 1.25 * r) if finding == "melanoma" else 0.15)
    if finding == "melanoma":
        line = _outline(rng, x, y, r, 0.12)
        picture = blend(picture, soft(line, 0.09), (0.42, 0.24, 0.15))
        for colour, strength in (((0.5, 0.2, 0.15), 0.8), ((0.3, 0.31, 0.37), 0.7), ((0.06, 0.04, 0.05), 0.95)):
            angle = rng.uniform(0, 2 * np.pi)
            spot = _outline(rng, x + 0.5 * r * np.cos(angle), y + 0.5 * r * np.sin(angle), 0.45 * r, 0.15)
            picture = blend(picture, soft(spot, 0.7 * r) * soft(line + 0.04, 0.1), colour, strength)
    elif finding == "psoriasis":
        papules = [(*point, rng.uniform(0.08, 0.15)) for point in _scatter(rng, 4, 0.72, 0.9, taken=[(x, y)])]
        for px, py, size in [(x, y, rng.uniform(0.46, 0.56)), *papules]:
            line = _outline(rng, px, py, size, 0.07)
            picture = blend(picture, soft(line), (0.76, 0.28, 0.26), 0.9)
            picture = blend(picture, _flakes(rng, 0.55) * soft(line + 0.08, 0.1), (0.95, 0.92, 0.91), 0.8)
    elif finding == "ringworm":
        line = _outline(rng, x, y, rng.uniform(0.48, 0.62), 0.045)
        picture = blend(picture, soft(line, 0.1), (0.8, 0.5, 0.42), 0.35)
        picture = blend(picture, soft(np.abs(line + 0.07) - 0.075 - 0.02 * _clouds(rng, 12), 0.1), (0.76, 0.22, 0.19), 0.85)
        picture = blend(picture, _flakes(rng, 0.4) * soft(np.abs(line + 0.12) - 0.05), (0.95, 0.86, 0.82), 0.8)
    return picture


def draw_fundus_photography(latent: Latent, rng: Random) -> Array:
    """A retina: optic disc on the nasal side, arcades of vessels from it around the darker macula on the other side.

    >>> draw_fundus_photography(Latent("diabetic retinopathy", "left"), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    nasal, warm, t = -latent.sign, rng.uniform(-0.04, 0.04), np.linspace(0, 1, 9)
    disc_x, disc_y = nasal * rng.uniform(0.44, 0.52), rng.uniform(-0.08, 0.04)
    macula = (-nasal * rng.uniform(0.17, 0.23), disc_y + 0.05)
    picture = _ground((0.8 + warm, 0.38 + warm, 0.16)) * (1 + 0.03 * _clouds(rng, 8))[..., None]
    picture = blend(picture, ellipse(*macula, 0.2, 0.2, edge=0.3), (0.5, 0.18, 0.08))
    for bend in (-1, 1):
        for wide, height, width, colour in ((1.3, 0.62, 0.06, (0.42, 0.05, 0.07)), (1.05, 0.46, 0.03, (0.62, 0.12, 0.08))):
            rise, wave = bend * height * rng.uniform(0.92, 1.08), 0.025 * np.sin(9 * t + rng.uniform(0, 6))
            arcade = stroke(disc_x - nasal * wide * t**1.9, disc_y + rise * np.sin(2.1 * t**0.8) + wave, width)
            inward = stroke(disc_x + nasal * 0.45 * t**1.5 + wave, disc_y + rise * 1.1 * t, width * 0.8)
            branch = stroke(disc_x - nasal * (0.2 + 0.3 * t**2), disc_y + rise * (0.75 + 0.7 * t), width * 0.6)
            picture = blend(picture, np.maximum(np.maximum(arcade, inward), branch), colour, 0.85)
    cup = 0.14 if latent.finding == "glaucoma" else 0.06
    picture = blend(picture, ellipse(disc_x, disc_y, 0.19, 0.22), (0.92, 0.55, 0.25), 0.85)
    picture = blend(picture, ellipse(disc_x - nasal * 0.01, disc_y, cup * 0.9, cup * 1.1), (0.98, 0.93, 0.74))
    if latent.finding == "diabetic retinopathy":
        blots = _scatter(rng, 16, 0.15, 0.8, taken=[(disc_x, disc_y + dy) for dy in (-0.15, 0, 0.15)])
        exudates = _scatter(rng, 7, 0.07, 0.17, (macula[0] - nasal * 0.2, rng.choice([-0.32, 0.32])))
        picture = _spots(picture, rng, blots, 0.03, 0.08, (0.28, 0.01, 0.02))
        picture = _spots(picture, rng, exudates, 0.03, 0.035, (1.0, 0.9, 0.5))
    elif latent.finding == "macular degeneration":
        picture = _spots(picture, rng, _scatter(rng, 18, 0.09, 0.3, macula), 0.03, 0.06, (1.0, 0.87, 0.48))
    return picture * ellipse(0, 0, 0.95, 0.95, edge=0.04)[..., None]


def draw_oct_scan(latent: Latent, rng: Random) -> Array:
    """A B-scan of the macula: dark vitreous, banded retina with the foveal pit, bright pigment epithelium, choroid.

    >>> draw_oct_scan(Latent("macular hole"), np.random.default_rng(0)).shape
    (64, 64)
    """
    finding, u = latent.finding, X - rng.uniform(-0.12, 0.12)
    base = rng.uniform(0.42, 0.5) + rng.uniform(-0.06, 0.06) * X - 0.06 * u**2
    inner, outer = 0.36 - 0.33 * np.exp(-((u / 0.27) ** 2)), 0.26  # thickness of the inner and of the outer retina
    lift, cysts = np.zeros_like(X), []
    if finding == "macular oedema":
        inner = 0.38 + rng.uniform(0.2, 0.3) * np.exp(-((u / 0.5) ** 2))
        cysts = TABLES["cysts"]
    elif finding == "macular hole":
        inner, lift = 0.38 + 0.12 * np.exp(-((u / 0.4) ** 2)), 0.08 * np.exp(-((u / 0.3) ** 2))
    elif finding == "retinal detachment":
        centre, ripple = rng.choice([-1, 1]) * rng.uniform(0.7, 0.9), 1 + 0.08 * np.sin(9 * u + rng.uniform(0, 6))
        lift = rng.uniform(0.36, 0.46) * ripple * np.exp(-(np.abs((u - centre) / rng.uniform(0.6, 0.85)) ** 3))
    above = base - lift - Y  # height above the outer end of the retina
    depth = np.where(above > outer, 0.5 - 0.5 * (above - outer) / inner, 1 - 0.5 * above / outer)
    picture = np.interp(depth, *np.transpose(TABLES["retina"]))
    for x, y, r in cysts + rng.uniform(-0.02, 0.02, (len(cysts), 3)) if cysts else []:
        picture = blend(picture, soft(np.hypot((u - x) / r, (above - y) / (1.25 * r)) * r - r), 0.04)
    if finding == "macular hole":
        half = rng.uniform(0.12, 0.18) + 0.15 * (np.clip(above - 0.42, 0, None) / 0.2) ** 2
        picture = blend(picture, soft(np.abs(u) - half, 0.08), 0.05)
    below = Y - base
    picture = blend(picture, soft(-below), (0.62 + 0.12 * _clouds(rng, 14)) * np.exp(-np.clip(below, 0, None) * 3.2))
    picture = blend(picture, soft(np.abs(below - 0.02) - 0.03), 0.98)
    return picture * rng.gamma(18, 1 / 18, picture.shape)


def draw_endoscopy(latent: Latent, rng: Random) -> Array:
    """A colon: pink mucosa with small vessels, folds receding to a dark lumen, black corners.

    >>> draw_endoscopy(Latent("colonic polyp", radius=0.3), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    finding, r, way = latent.finding, latent.radius, rng.uniform(0, 2 * np.pi)
    aside = np.array([np.cos(way), np.sin(way)])
    lumen = -aside * (0.3 if finding == "colonic polyp" else rng.uniform(0, 0.2))
    triangle = 1 + 0.08 * np.cos(3 * np.arctan2(Y - lumen[1], X - lumen[0]) + rng.uniform(0, 6))
    away = np.hypot(X - lumen[0], Y - lumen[1]) * triangle + 1e-6
    fold = (np.log(away / 0.2) * 1.7 + rng.uniform(0, 1)) % 1  # 0 at the crest of a fold, 1 in the shadow of the next
    shade = (0.72 + 0.28 * np.clip(away, 0, 1)) * (1 + 0.02 * _clouds(rng, 20))
    if finding == "ulcerative colitis":
        picture = _ground((0.84, 0.34, 0.28)) * (shade * (1 + 0.08 * _clouds(rng, 24)))[..., None]
        sores = _scatter(rng, 17, 0.25, 0.85, taken=[tuple(lumen)])
        picture = _spots(picture, rng, sores[:6], 0.05, 0.08, (0.5, 0.02, 0.04))
        for x, y in sores[6:]:
            picture = blend(picture, soft(_outline(rng, x, y, rng.uniform(0.06, 0.1), 0.1)), (0.93, 0.84, 0.64), 0.9)
    else:
        picture = blend(_ground((0.93, 0.62, 0.54)), soft(np.abs(_clouds(rng, 7)) - 0.06, 0.3), (0.8, 0.33, 0.3), 0.45)
        picture = picture * (shade * (1.08 - 0.45 * fold**2 * np.clip(8 - 8 * fold, 0, 1)))[..., None]
    picture = blend(picture, soft(away - 0.2, 0.25), (0.12, 0.02, 0.02), 0.95)
    if finding == "colonic polyp":
        x, y = aside * min(0.45, 0.88 - r)
        line = _outline(rng, x, y, r, 0.025)
        picture = blend(picture, ellipse(x - 0.04, y + 0.06, r * 1.08, r * 1.08, edge=0.12), (0.3, 0.06, 0.06), 0.7)
        picture = blend(picture, soft(line), (0.55, 0.14, 0.14))
        dome = np.sqrt(np.clip(-line / r, 0, 1)) * (1 + 0.06 * _clouds(rng, 22))
        picture = blend(picture, np.clip(dome, 0, 1), (0.97, 0.46, 0.4), 0.9)
        picture = blend(picture, ellipse(x - 0.3 * r, y - 0.35 * r, 0.08 * r + 0.02, 0.05 * r + 0.02), (1.0, 0.95, 0.92), 0.8)
    elif finding == "diverticulosis":
        for index in range(latent.count):
            angle = way + (index + rng.uniform(-0.12, 0.12)) * 2 * np.pi / max(latent.count, 3)
            x, y = rng.uniform(0.58, 0.64) * np.cos(angle), rng.uniform(0.58, 0.64) * np.sin(angle)
            picture = blend(picture, ellipse(x, y, 0.18, 0.17), (0.98, 0.74, 0.64), 0.9)
            picture = blend(picture, ellipse(x, y, rng.uniform(0.11, 0.13), 0.11, angle), (0.1, 0.01, 0.01))
    frame = np.maximum(np.maximum(np.abs(X), np.abs(Y)), (np.abs(X) + np.abs(Y)) / 1.4)
    return picture * soft(frame - 0.95, 0.04)[..., None]


def draw_graphics(latent: Latent, rng: Random) -> Array:
    """A pure-tone audiogram, 250 Hz to 8 kHz, loss downwards: red O and < for the right ear, blue X and > for the left.

    >>> draw_graphics(Latent("conductive hearing loss", "left"), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    right, paper = latent.sign == -1, (0.93, 0.93, 0.92)
    colour: Colour = (0.85, 0.05, 0.1) if right else (0.05, 0.15, 0.85)
    loss = np.array(TABLES["hearing_loss"][latent.finding or "normal"]) + 5 * rng.integers(-1, 2, 6) + 5 * rng.integers(-1, 2)
    bone = 5 + 5 * rng.integers(-1, 2, 6) if latent.finding == "conductive hearing loss" else loss
    picture, xs, (ys, bone_ys) = _ground(paper), np.linspace(-0.72, 0.72, 6), (np.array([loss, bone]) - 50) / 75
    for across, levels in ((X, xs), (Y, np.linspace(-2 / 3, 2 / 3, 6))):
        for level in (*levels, -0.92, 0.92):
            line = soft(np.abs(across - level) - 0.006) * soft(np.maximum(np.abs(X), np.abs(Y)) - 0.93)
            picture = blend(picture, line, (0.4, 0.4, 0.45), 0.9 if abs(level) > 0.9 else 0.45)
    picture = blend(picture, stroke(xs, ys, 0.025), colour, 0.8)
    for index, (x, y, bone_y) in enumerate(zip(xs, ys, bone_ys, strict=True)):
        if right:
            picture = blend(picture, ellipse(x, y, 0.085, 0.085), paper)
            mark = soft(np.abs(np.hypot(X - x, Y - y) - 0.085) - 0.02)
        else:
            mark = np.maximum(*(stroke([x - 0.08, x + 0.08], [y - dy, y + dy], 0.035) for dy in (-0.08, 0.08)))
        if latent.finding and 0 < index < 5:
            tip, tail = x + latent.sign * 0.16, x + latent.sign * 0.1
            mark = np.maximum(mark, stroke([tail, tip, tail], [bone_y - 0.06, bone_y, bone_y + 0.06], 0.025))
        picture = blend(picture, mark, colour)
    return picture


def draw_other(latent: Latent, rng: Random) -> Array:
    """One ECG lead on pink paper, 2.4 seconds; a box is 0.2 seconds across and 0.5 mV high.

    >>> draw_other(Latent("atrial fibrillation"), np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    finding, picture = latent.finding, _ground((0.96, 0.87, 0.86))
    for axis in (X + rng.uniform(0, 1), Y + rng.uniform(0, 1)):
        picture = blend(picture, soft(np.abs((axis * 6) % 1 - 0.5) / 6 - 0.008, 0.03), (0.9, 0.54, 0.57), 0.75)
    t, height, level = np.linspace(0, 2.4, 161), rng.uniform(0.9, 1.1), rng.uniform(0.15, 0.3)
    if finding == "ventricular tachycardia":
        turn = 2 * np.pi * (t / rng.uniform(0.32, 0.38) + rng.uniform(0, 1))
        volts, level = 1.3 * np.sin(turn + 0.5 * np.sin(turn)), rng.uniform(-0.05, 0.1)
    else:
        volts, steps = np.zeros_like(t), rng.uniform(0.72, 0.88) + rng.uniform(-0.01, 0.01, 9)
        waves = TABLES["ecg"]["p"] + TABLES["ecg"]["st_elevation" if finding == "myocardial infarction" else "qrs_and_t"]
        if finding == "atrial fibrillation":
            waves, steps = TABLES["ecg"]["qrs_and_t"], rng.permutation([0.36, 0.45, 0.6, 0.75, 0.92]) * rng.uniform(0.92, 1.08, 5)
            volts = 0.1 * np.sin(2 * np.pi * rng.uniform(6, 7) * t + 2 * np.sin(3 * t) + rng.uniform(0, 6))
        for beat in np.cumsum(steps) - rng.uniform(0.45, 0.8):
            for after, size, width in waves:
                volts = volts + size * np.exp(-(((t - beat - after) / width) ** 2) / 2)
    return blend(picture, stroke(t / 1.2 - 1, level - volts * height / 3, 0.03, 0.045), (0.08, 0.08, 0.12))
