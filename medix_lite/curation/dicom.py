"""DICOM in; pixels and the modality tag out. No other header field leaves this file: it promises no de-identification.

Names, dates and numbers can also be burned into the pixels, which nothing here looks for.
"""

import io
import warnings
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from ..files import InputError, read_table

TAGS = {code: tag for tag, codes in read_table("modalities")["dicom"].items() for code in codes}
MAX_BYTES = 1 << 30  # of decoded pixels, all frames


def is_dicom(content: bytes) -> bool:
    """Whether the bytes carry DICOM's mark after the 128-byte preamble.

    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"\\x89PNG")
    (True, False)
    """
    return content[128:132] == b"DICM"


def read_dicom(content: bytes, name: str, allow_burned_in: bool = False) -> tuple[Image.Image, str]:
    """The picture (of several frames the middle one) as RGB, and its modality tag; `name` is how an error calls the file.

    Grey values pass the modality and VOI tables or windows of the file (its first window), or else are stretched from their
    lowest to their highest; MONOCHROME1 is inverted, so that more is always brighter; palettes and YBR become RGB.

    Raises:
        InputError: no pixels, pixels that do not decode, or the file says that text is burned into them.

    >>> from pathlib import Path
    >>> from pydicom.data import get_testdata_file
    >>> content = Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes()
    >>> picture, tag = read_dicom(content, "CT_small.dcm")
    >>> picture.mode, picture.size, tag
    ('RGB', (128, 128), 'CT_SCAN')
    >>> read_dicom(content[:2000], "cut.dcm")  # nothing of the header is in a message
    Traceback (most recent call last):
    medix_lite.files.InputError: cut.dcm: it holds no picture
    """
    try:
        # pydicom repeats odd header fields in its warnings.
        with warnings.catch_warnings(action="ignore"):
            return _read(pydicom.dcmread(io.BytesIO(content)), allow_burned_in)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    # pydicom and its decoders raise nearly everything on a damaged file; each such file is a row with a reason.
    except Exception as error:
        # What a header holds stands in quotes in such a message; only the decoders' own messages may have them.
        said = str(error) if isinstance(error, RuntimeError) or not {"'", '"'} & set(str(error)) else ""
        said = f": {' '.join(said.split())[:200]}" if said else ""
        raise InputError(f"{name}: cannot be decoded as DICOM ({type(error).__name__}{said})") from error


def _read(header: pydicom.Dataset, allow_burned_in: bool) -> tuple[Image.Image, str]:
    if str(header.get("BurnedInAnnotation", "")).strip().upper() == "YES" and not allow_burned_in:
        raise InputError("the file says that text is burned into its pixels; allow it only after looking")
    if "PixelData" not in header:
        raise InputError("it holds no picture")
    frames = int(header.get("NumberOfFrames") or 1)
    if header.Rows * header.Columns * header.SamplesPerPixel * frames * max(1, header.BitsAllocated // 8) > MAX_BYTES:
        raise InputError(f"its pixels would take more than {MAX_BYTES >> 20} MiB")
    pixels = pixel_array(header, index=frames // 2 if frames > 1 else None)
    modality = str(header.get("Modality", "")).strip().upper()
    return Image.fromarray(_visible(header, pixels)).convert("RGB"), TAGS.get(modality, "OTHER")


def _visible(header: pydicom.Dataset, pixels: Any) -> Any:
    kind = header.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
        return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    if header.SamplesPerPixel == 3:
        return pixels if pixels.dtype == np.uint8 else _stretched(pixels, pixels.min(), pixels.max())
    seen = apply_voi_lut(apply_modality_lut(pixels, header), header, index=0).astype(float)
    low, high = seen.min(), seen.max()
    if all(key in header and header[key].VM for key in ("WindowCenter", "WindowWidth")) and "VOILUTSequence" not in header:
        # What the window maps to is known: a picture that lies wholly inside it keeps its contrast.
        low, high = apply_voi_lut(np.array([-1e9, 1e9]), header, index=0)
    picture = _stretched(seen, low, high)
    return 255 - picture if kind == "MONOCHROME1" else picture


def _stretched(values: Any, low: float, high: float) -> Any:
    return (np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255).round().astype(np.uint8)
