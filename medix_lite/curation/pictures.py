"""Pictures: a file or its bytes in; where the decoded picture lies and what tells copies of it apart out."""

import hashlib
import io
from contextlib import nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from ..files import InputError, write_aside
from ..samples import open_image
from .dicom import is_dicom, read_dicom
from .processes import FEW, do, start_processes

MIN_SIDE, MAX_ASPECT = 16, 8
CROP, PLACES = 0.05, 3  # of each side: what a copy may lack; of a crop along each side
HASH_SIDE, HASH_BYTES = 16, 32  # imagehash's perceptual hash of 16 x 16 bits
THUMBNAIL = 128  # pixels a side, of which the hashes are made
EXACT_SEARCH = 10_000  # pictures; among more, the nearest are looked for in the likeliest cells only
NEIGHBOURS, BATCH = 4, 1_000  # nearest pictures to a view, itself among them; pictures at once
NEAR = 40  # bits of 256 that may differ
COMPARED, TONES, BLUR, BROAD = 48, 9, 1.2, 0.9  # pixels a side, bends, pixels, share of what JPEG changes


class Look(NamedTuple):
    """What curation knows of a picture.

    Attributes:
        path: the file that samples name: the original, or a PNG below the output folder.
        pixels: hash of size and RGB pixels, 16 hexadecimal digits: the same in every lossless file format.
        hashes: perceptual hashes in hexadecimal, of the whole and of nine crops.
        modality: the tag of a DICOM file, else None.

    >>> import tempfile
    >>> from medix_lite.tiny_world.phantoms import draw
    >>> folder, pixels = Path(tempfile.mkdtemp()), draw("X_RAY", None, None, 0)
    >>> for name in ("a.png", "a.tiff"):
    ...     Image.fromarray(pixels).save(folder / name)
    >>> png, tiff = (look_at(str(folder / name), Looking(folder)) for name in ("a.png", "a.tiff"))
    >>> png.pixels == tiff.pixels, len(png.hashes), png.modality
    (True, 10, None)
    """

    path: str
    pixels: str
    hashes: list[str]
    modality: str | None


class Looking(NamedTuple):
    """How pictures are looked at.

    Attributes:
        folder: takes what is resized, came as bytes, or is DICOM; named by content, so that nothing is written twice.
        size: pictures become `size` x `size` PNG; None keeps originals.
        allow_burned_in: take DICOM files that say that text is burned into their pixels.
        hashed: make perceptual hashes, to find copies.
    """

    folder: Path
    size: int | None = None
    allow_burned_in: bool = False
    hashed: bool = True


def look_at(picture: str | bytes, how: Looking) -> Look:
    """Decode a picture (a path, or the bytes of a file) to its last pixel; write it anew where the original cannot stay as it is.

    Raises:
        InputError: the file is missing, does not decode, is too small, too long for its width, or of one colour.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (64, 64)).save(folder / "black.png")
    >>> look_at(str(folder / "black.png"), Looking(folder))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ...black.png: every pixel is the same...
    """
    if isinstance(picture, bytes):
        return _look(picture, None, how)
    try:
        if Path(picture).exists() and not Path(picture).is_file():
            raise OSError("not a regular file")  # a pipe or a device would be read for ever
        return _look_at_file(picture, Path(picture).stat().st_mtime_ns, how)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read image {picture}: {getattr(error, 'strerror', None) or error}") from error


@lru_cache(maxsize=16)  # several questions about one picture stand side by side
def _look_at_file(path: str, changed: int, how: Looking) -> Look:
    return _look(Path(path).read_bytes(), path, how)


def _look(content: bytes, path: str | None, how: Looking) -> Look:
    name = path or "in the table"
    picture, tag = read_dicom(content, name, how.allow_burned_in) if is_dicom(content) else (open_image(content, name=name), None)
    if min(picture.size) < MIN_SIDE:
        raise InputError(f"{name}: {picture.width} x {picture.height} pixels are too few; a side needs {MIN_SIDE}")
    if max(picture.size) > MAX_ASPECT * min(picture.size):
        raise InputError(f"{name}: one side is more than {MAX_ASPECT} times the other")
    if np.ptp(np.asarray(picture.getextrema()), axis=1).max() == 0:
        raise InputError(f"{name}: every pixel is the same")
    pixels = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()[:16]
    if path is None or tag or (how.size and picture.size != (how.size, how.size)):
        path = str(how.folder / f"{pixels}_{how.size or 'whole'}.png")
        if not Path(path).exists():
            kept = picture.resize((how.size, how.size), Image.Resampling.BICUBIC) if how.size else picture
            with write_aside(path) as aside:
                kept.save(aside, format="PNG")
    return Look(path, pixels, perceptual_hashes(picture) if how.hashed else [], tag)


def perceptual_hashes(picture: Image.Image) -> list[str]:
    """Hashes of the whole and of nine crops, so that a picture is found by a copy that lacks a margin.

    >>> from medix_lite.tiny_world.phantoms import draw
    >>> one, other = (Image.fromarray(draw("X_RAY", None, None, seed)) for seed in (0, 1))
    >>> whole, brighter, patient = (int(perceptual_hashes(p)[0], 16) for p in (one, one.point(lambda value: value * 1.1), other))
    >>> [(whole ^ copy).bit_count() <= NEAR for copy in (brighter, patient)]  # of 256 bits
    [True, False]
    """
    grey = picture.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    return [str(imagehash.phash(grey.crop(box), hash_size=HASH_SIDE)) for box in _boxes(THUMBNAIL, THUMBNAIL)]


def _boxes(width: int, height: int) -> list[tuple[float, float, float, float]]:
    """The whole, then the places of a crop without `CROP` of each side, as (left, top, right, bottom)."""
    places = [(x, y) for x in np.linspace(0, CROP, PLACES).tolist() for y in np.linspace(0, CROP, PLACES).tolist()]
    crops = [(x * width, y * height, (x + 1 - CROP) * width, (y + 1 - CROP) * height) for x, y in places]
    return [(0, 0, width, height), *crops]


def find_copies(pictures: list[tuple[str, bytes]]) -> NDArray[np.int64]:
    """Pairs of pictures, shape (pairs, 2), that are copies of each other; hashes propose them, pixels decide.

    Args:
        pictures: path and perceptual hashes of each; those without hashes take no part.

    >>> import tempfile
    >>> from medix_lite.tiny_world.phantoms import draw
    >>> folder, (one, other) = Path(tempfile.mkdtemp()), (Image.fromarray(draw("X_RAY", None, None, seed)) for seed in (0, 1))
    >>> paths = [str(folder / name) for name in ("a.png", "a.jpg", "b.png")]
    >>> for picture, path in zip((one, one, other), paths):
    ...     picture.save(path)
    >>> looks = [look_at(path, Looking(folder)) for path in paths]
    >>> find_copies([(look.path, bytes.fromhex("".join(look.hashes))) for look in looks]).tolist()  # the JPEG is a copy still
    [[1, 0]]
    """
    import faiss

    hashed = np.array([number for number, (_, hashes) in enumerate(pictures) if hashes], np.int64)
    if len(hashed) < 2:
        return np.empty((0, 2), np.int64)
    hashes = np.stack([np.frombuffer(pictures[number][1], np.uint8) for number in hashed]).reshape(len(hashed), -1, HASH_BYTES)
    index: Any = faiss.IndexBinaryFlat(8 * HASH_BYTES)
    if len(hashed) > EXACT_SEARCH:
        index = faiss.IndexBinaryIVF(index, 8 * HASH_BYTES, int(min(4 * len(hashed) ** 0.5, len(hashed) / 40)))
        index.nprobe = 64
    whole = np.ascontiguousarray(hashes[:, 0])
    index.train(whole)
    index.add(whole)
    proposed = []  # (outer, inner, view, bits apart)
    for start in range(0, len(hashed), BATCH):
        part = np.ascontiguousarray(hashes[start : start + BATCH]).reshape(-1, HASH_BYTES)
        distances, found = (found.reshape(-1, hashes.shape[1], NEIGHBOURS) for found in index.search(part, NEIGHBOURS))
        own = np.arange(start, start + len(found))
        distances = np.where(found == own[:, None, None], 999, distances)
        for views in (slice(0, 1), slice(1, None)):
            flat = distances[:, views].reshape(len(found), -1)
            best = np.argsort(flat, axis=1, kind="stable")[:, :NEIGHBOURS]
            rows, places = np.nonzero(np.take_along_axis(flat, best, 1) <= NEAR)
            place = best[rows, places]
            inner = found[:, views].reshape(len(found), -1)[rows, place]
            proposed.append(np.stack([own[rows], inner, place // NEIGHBOURS + views.start, flat[rows, place]], axis=1))
    pairs = np.concatenate(proposed)
    pairs[:, :2] = np.where(pairs[:, 2:3] == 0, np.sort(pairs[:, :2])[:, ::-1], pairs[:, :2])
    pairs = pairs[np.lexsort(pairs.T[[2, 3, 1, 0]])]  # of several views of a pair, the nearest
    candidates = pairs[np.unique(pairs[:, :2], axis=0, return_index=True)[1]]
    paths = [pictures[number][0] for number in hashed]
    looked_at = [paths[b] for b in candidates[:, 1]], [paths[a] for a in candidates[:, 0]], candidates[:, 2].tolist()
    with start_processes(broad_difference) if len(candidates) > FEW else nullcontext() as pool:
        differences = list(pool.map(do, *looked_at, chunksize=200) if pool else map(broad_difference, *looked_at))
    return hashed[candidates[np.array(differences, float) <= BROAD, :2]].reshape(-1, 2)


def broad_difference(inner: str, outer: str, view: int = 0) -> float:
    """How much two picture files differ in the broad, measured by what harsh compression would change; 0 for the same picture.

    A part of the outer one is laid over the inner: its edges by least squares, starting from the whole (view 0) or from one
    of the crops, its tones by a curve, which takes up brightness, contrast and what they cut off. What then differs between
    a picture and its copy is fine; two pictures that only look alike also differ in the broad. So the rest is blurred, and its
    root mean square divided by that of the same picture after JPEG at quality 50. Coarse to fine: most pairs are far apart
    already at half the resolution. Calibrated on phantoms of one class (`tests/benchmarks/planted_faults.py` measures what
    comes of it).

    >>> import tempfile
    >>> from medix_lite.tiny_world.phantoms import draw
    >>> one, cropped, other = (str(Path(tempfile.mkdtemp()) / "x.png") for _ in range(3))
    >>> Image.fromarray(draw("X_RAY", None, None, 0)).save(one)
    >>> open_image(one).crop((2, 1, 63, 62)).point(lambda value: value * 1.1).save(cropped)
    >>> Image.fromarray(draw("X_RAY", None, None, 1)).save(other)
    >>> broad_difference(cropped, one) <= BROAD, broad_difference(other, one) <= BROAD  # a copy, and another normal chest
    (True, False)
    """
    one, other = _grey(inner), _grey(outer)
    box: tuple[float, ...] = _boxes(*other.size)[view]
    for finest in (COMPARED // 2, COMPARED):
        side = min(finest, *one.size, *other.size)
        target = _pixels(one, (0, 0, *one.size), side)
        fitted, box = _laid_over(target, other, box)
        told = np.minimum(_pixels(_told(one), (0, 0, *one.size), side), _pixels(_told(other), box, side)) > 250
        told |= told.mean() < 0.1  # too little is left to judge by
        blur = partial(gaussian_filter, sigma=BLUR * side / COMPARED)
        weight = np.maximum(blur(told.astype(np.float32)), 1e-3)
        fine = [_compressed(picture) - picture for picture in (fitted, target)]
        broad = [np.sqrt(((blur(np.where(told, part, 0)) / weight)[told] ** 2).mean()) for part in (target - fitted, *fine)]
        far = float(broad[0] / max(*broad[1:], 0.4))
        if far > BROAD:
            break
    return far


def _laid_over(target: Any, outer: Image.Image, box: tuple[float, ...]) -> tuple[Any, tuple[float, ...]]:
    """The part of `outer` that best explains `target`, in its tones, and its edges: solves for both by the slopes, twice."""
    side = len(target)
    along = (np.arange(side) + 0.5) / side
    size = np.array(outer.size, float)
    margin = 2 * CROP * size
    low, high = np.concatenate([0 * size, size - margin]), np.concatenate([margin, size])
    down, right = np.gradient(target)
    down, right = down * side / size[1], right * side / size[0]
    edges = [right * (1 - along), down * (1 - along)[:, None], right * along, down * along[:, None]]
    for _ in range(2):
        tones = _tones(_pixels(outer, box, side))
        terms = np.stack([*tones, *edges]).reshape(len(tones) + 4, -1)
        solution = np.linalg.lstsq(terms @ terms.T, terms @ target.ravel(), rcond=1e-6)[0]
        step = np.clip(solution[len(tones) :], -margin.min() / 4, margin.min() / 4)
        box = tuple(np.clip(np.array(box) + step, low, high))
    tones = _tones(_pixels(outer, box, side)).reshape(len(tones), -1)
    curve = np.linalg.lstsq(tones @ tones.T, tones @ target.ravel(), rcond=1e-6)[0]
    return (curve @ tones).reshape(side, side).astype(np.float32), box


def _tones(picture: Any) -> NDArray[np.float32]:
    """Tents over the greys of a picture, shape (TONES, side, side): sums of them are curves with bends at its quantiles."""
    knots = np.quantile(picture, np.linspace(0, 1, TONES)) + np.arange(TONES) * 1e-3
    place = np.interp(picture, knots, np.arange(TONES)).astype(np.float32)
    return np.maximum(1 - np.abs(place - np.arange(TONES, dtype=np.float32)[:, None, None]), 0)


def _compressed(picture: Any) -> NDArray[np.float32]:
    buffer = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=50)
    return np.asarray(Image.open(buffer), np.float32)


def _pixels(picture: Image.Image, box: tuple[float, ...], side: int) -> NDArray[np.float32]:
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, box=box), np.float32)  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def _grey(path: str) -> Image.Image:
    picture = open_image(path).convert("L")
    picture.thumbnail((4 * COMPARED, 4 * COMPARED))
    return picture


def _told(picture: Image.Image) -> Image.Image:
    """White where a grey picture is not cut off to black or white."""
    return picture.point([255 if 2 < value < 250 else 0 for value in range(256)])
