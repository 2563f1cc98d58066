"""`Sample`: one question with its reference answer. The first noun; everything starts here."""

import base64
import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from PIL import Image
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from .files import InputError, read_jsonl, write_jsonl
from .modalities import MODALITIES

OPTION_LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_PIXELS = 100_000_000
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def known_modality(tag: str) -> str:
    """The tag, if it is one of the sixteen; else a ValueError.

    >>> known_modality("CT")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: unknown modality 'CT'; use one of X_RAY, ...
    """
    if tag not in MODALITIES:
        raise ValueError(f"unknown modality {tag!r}; use one of {', '.join(MODALITIES)}, or null for text only")
    return tag


Row = TypeVar("Row", bound=BaseModel)


class Sample(BaseModel, extra="allow"):
    """One medical question.

    Attributes:
        id: stable name of the sample, unique in its file.
        question: the question, without the options.
        reference: the answer a judge compares with.
        references: other answers that count as right.
        modality: one of the sixteen tags, or None for a text-only question.
        source: where it comes from.
        group: what must not cross splits (the patient, or the picture).
        images: paths, relative to the samples file or absolute.
        options: texts of a multiple-choice question, labelled A, B, C ... in order; None for an open question.
        facts: what is true in the tiny world's picture, for the oracle (and the warm-up before RL); None on real data.
        graded: whether an evaluation marks it from 0 to 5 by the MIMIC rubric, as a report; else it is right or wrong.
        local_only: whether its text may not leave this machine, as a data use agreement may ask.

    >>> sample = Sample(id="a", question="Seen?", reference="flu", options=["cold", "flu"], modality="CT_SCAN", patient=7)
    >>> sample.option_label(), sample.has_image, sample.patient  # its picture need not be at hand; fields of your own are kept
    ('B', True, 7)
    >>> Sample(id="a", question="Seen?", reference="flu", modality="CT")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: ... unknown modality 'CT'; use one of X_RAY...
    """

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    reference: str = Field(min_length=1)
    references: list[str] = []
    modality: Annotated[str, AfterValidator(known_modality)] | None = None
    source: str = "unknown"
    group: str | None = None
    images: list[str] = []
    options: list[str] | None = Field(default=None, max_length=len(OPTION_LABELS))
    facts: dict[str, Any] | None = None
    graded: bool = False
    local_only: bool = False

    @property
    def has_image(self) -> bool:
        """Whether the question is about a picture; its file need not be at hand to judge an answer."""
        return self.modality is not None or bool(self.images)

    def accepted(self) -> list[str]:
        """The reference and its accepted alternatives, without repeats."""
        return list(dict.fromkeys([self.reference, *self.references]))

    def option_label(self) -> str | None:
        """Label (A, B, ...) of the option that is the reference, or None."""
        options = self.options or []
        return OPTION_LABELS[options.index(self.reference)] if self.reference in options else None


def validated(model: type[Row], row: dict[str, Any], where: str) -> Row:
    """A row of a file as `model`, a pydantic class.

    Raises:
        InputError: a field is missing or wrong; `where` (file and line) is named.

    >>> validated(Sample, {"id": "a", "question": "Seen?"}, "mine.jsonl, row 3")
    Traceback (most recent call last):
    medix_lite.files.InputError: mine.jsonl, row 3: field 'reference': missing or empty
    """
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ").replace("Field required", "missing or empty")
        raise InputError(f"{where}: field {field!r}: {why}") from error


def read_samples(path: Path | str) -> list[Sample]:
    """All samples of a JSONL file; image paths become absolute.

    Raises:
        InputError: a line is not JSON or not a sample, or an id stands twice.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "samples.jsonl"
    >>> write_jsonl(path, [{"id": "a", "question": "Seen?", "reference": "flu", "modality": "XRAY"}])
    >>> read_samples(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ...samples.jsonl, row 1: field 'modality': unknown modality 'XRAY'; use one of ...
    """
    path = Path(path)
    folder = path.parent.resolve()
    samples: dict[str, Sample] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        sample = validated(Sample, row, f"{path}, row {number}")
        if sample.id in samples:
            raise InputError(f"{path}, row {number}: id {sample.id!r} stands twice; ids must be unique")
        sample.images = [os.path.abspath(folder / image) for image in sample.images]
        samples[sample.id] = sample
    return list(samples.values())


def write_samples(path: Path | str, samples: Iterable[Sample]) -> None:
    """Write samples as JSONL; image paths are stored relative to the file where they lie below its folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()).resolve()
    >>> sample = Sample(id="a", question="Seen?", reference="flu", modality="CT_SCAN", images=[str(folder / "a.png")])
    >>> write_samples(folder / "samples.jsonl", [sample])
    >>> read_jsonl(folder / "samples.jsonl")[0]["images"], read_samples(folder / "samples.jsonl") == [sample]  # the folder may move
    (['a.png'], True)
    """
    folder = Path(path).parent.resolve()
    write_jsonl(path, (sample_row(sample, folder) for sample in samples))


def sample_row(sample: Sample, folder: Path) -> dict[str, Any]:
    """The row of a samples file in `folder` (absolute).

    >>> sample = Sample(id="a", question="Seen?", reference="flu", images=["/data/mine/a.png", "/elsewhere/b.png"])
    >>> sample_row(sample, Path("/data/mine"))["images"]  # what lies outside stays absolute
    ['a.png', '/elsewhere/b.png']
    """
    inside = [str(p.relative_to(folder) if p.is_relative_to(folder) else p) for p in map(Path, sample.images)]
    return sample.model_dump() | {"images": inside}


def open_image(file: Path | str | bytes, size: int | None = None, name: str = "") -> Image.Image:
    """A fully decoded RGB picture, resized to `size` x `size` pixels if given.

    Pixels of 16 bits, as medical PNG and TIFF files have, are scaled to 8 (Pillow alone clips nearly all to white).

    Args:
        file: path of a picture file, or its bytes.
        name: how an error calls it, if not by its path.

    Raises:
        InputError: the file is missing, empty or does not decode, or its header promises more than 100 million pixels.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "deep.png"
    >>> Image.new("I;16", (8, 8), 32768).save(path)  # 16 bits: half of the brightest
    >>> Image.open(path).convert("L").getpixel((0, 0)), open_image(path).getpixel((0, 0))
    (255, (127, 127, 127))
    """
    try:
        content = file if isinstance(file, bytes) else Path(file).read_bytes()
        if not content:
            raise OSError("the file is empty")
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise OSError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}")
            deep = image.mode.startswith("I;16")
            picture = (image.convert("I").point(lambda value: value / 257).convert("L") if deep else image).convert("RGB")
    # Pillow's decoders raise nearly everything on a damaged file.
    except Exception as error:
        # Pillow names its buffer by an address, which would make two runs differ.
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()).partition(" <_io")[0]
        raise InputError(f"cannot read image {name or str(file)}: {reason}; replace the file or remove its sample") from error
    return picture if size is None else picture.resize((size, size), Image.Resampling.BICUBIC)


def picture_url(picture: Image.Image) -> str:
    """A picture as a URL that holds it, without loss (PNG).

    >>> picture_url(Image.new("RGB", (8, 8)))[:32]
    'data:image/png;base64,iVBORw0KGg'
    """
    picture.save(buffer := io.BytesIO(), "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def content_id(*parts: str) -> str:
    """A stable id: the first 16 hexadecimal digits of the SHA-256 of the parts.

    >>> content_id("left lung", "yes") == content_id("left", "lung yes")  # parts stay apart
    False
    """
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def kind_of(sample: Sample) -> str:
    """The kind of question: the field `kind`, or the tiny world's family.

    >>> asked = {"id": "a", "question": "Seen?", "reference": "yes", "facts": {"family": "yes_no"}}
    >>> kind_of(Sample(**asked)), kind_of(Sample(**asked, kind="screening"))  # a field of your own goes first
    ('yes_no', 'screening')
    """
    return str((sample.model_extra or {}).get("kind") or (sample.facts or {}).get("family") or "unknown")


def group_of(sample: Sample) -> str:
    """What must stay together: the group, or else the first picture, or else the sample alone.

    >>> asked = {"id": "a", "question": "Seen?", "reference": "flu"}
    >>> [group_of(Sample(**asked | more)) for more in ({}, {"images": ["b.png"]}, {"images": ["b.png"], "group": "patient 7"})]
    ['a', 'b.png', 'patient 7']
    """
    return sample.group or (sample.images[0] if sample.images else sample.id)
