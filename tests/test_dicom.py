"""DICOM: pixels and modality come out, each file is read or refused in one line, and no other word of a header comes out."""

import io
import json
import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from medix_lite.curation.curate import curate
from medix_lite.curation.dicom import is_dicom, read_dicom
from medix_lite.curation.pictures import Looking, look_at
from medix_lite.files import InputError, read_jsonl
from medix_lite.modalities import MODALITIES

# What pydicom ships lies in this folder; the rest of its files would be downloaded, and is left out.
SHIPPED = Path(pydicom.data.__file__).parent / "test_files"
# As many as this pydicom reads without other decoders than Pillow's; a new one may read more, none may read fewer.
READABLE = 70
SECRET = "DOE^JANE"
RAMP = np.linspace(0, 1000, 32 * 32).reshape(32, 32).astype(np.uint16)


def shipped(name: str) -> bytes:
    return Path(get_testdata_file(name, download=False)).read_bytes()


def make_dicom(pixels=RAMP, modality="CT", kind="MONOCHROME2", **header) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("made", {}, file_meta=meta, preamble=b"\0" * 128)
    frames = header.get("NumberOfFrames", 1)
    data.Rows, data.Columns = pixels.shape[frames > 1 :][:2]
    data.SamplesPerPixel = pixels.shape[-1] if pixels.shape[-1] == 3 else 1
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.Modality, data.PhotometricInterpretation, data.PatientName = modality, kind, SECRET
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    for name, value in header.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    return saved(data)


def saved(data: pydicom.Dataset) -> bytes:
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def grey(content: bytes) -> np.ndarray:
    picture, _ = read_dicom(content, "file")
    pixels = np.asarray(picture).astype(int)
    assert (np.ptp(pixels, axis=2) == 0).all()
    return pixels[..., 0]


def refused(content: bytes, **options) -> str:
    with pytest.raises(InputError) as error:
        read_dicom(content, "scan.dcm", **options)
    message = str(error.value)
    assert message.startswith("scan.dcm: ")
    assert "\n" not in message
    return message


def make_folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    rows = []
    for number, (name, content) in enumerate(files.items()):
        (path / name).write_bytes(content)
        rows.append({"id": str(number), "question": f"What is finding {number}?", "reference": "a nodule", "images": [name]})
    (path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_file_that_pydicom_ships_is_read_or_refused_in_one_line(tmp_path):
    files = [file for file in sorted(SHIPPED.rglob("*")) if file.is_file() and not file.name.endswith((".py", ".pyc"))]
    assert len(files) > 150
    read, said = {}, {}
    for file in files:
        try:
            read[file] = look_at(str(file), Looking(tmp_path))
        except InputError as error:
            said[file] = str(error)
    assert len(read) + len(said) == len(files)
    assert len(read) >= READABLE
    for file, reason in said.items():
        assert str(file) in reason
        assert "\n" not in reason
        assert " at 0x" not in reason
    for look in read.values():
        assert look.modality in MODALITIES
        with Image.open(look.path) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_pydicoms_files_through_curation_are_all_accounted_for(tmp_path):
    files = {f"{n}.dcm": file.read_bytes() for n, file in enumerate(sorted(SHIPPED.glob("*.dcm"))) if file.stat().st_size < 2**20}
    folder = make_folder(tmp_path / "mine", files)
    report = curate(f"folder:{folder}", tmp_path / "out", sizes={"train": 10**6}, seed=0, image_size=64)
    counts = report["counts"]
    assert counts["in"] == len(files) == counts["kept"] + counts["rejected"]
    rejected = {row["id"] for row in read_jsonl(tmp_path / "out" / "rejected.jsonl") if row["reason"]}
    kept = {row["id"] for row in read_jsonl(tmp_path / "out" / "samples_train.jsonl")}
    assert kept | rejected == {str(n) for n in range(len(files))}
    assert len(kept) > 20


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("CT_small.dcm", "CT_SCAN"),
        ("MR_small_RLE.dcm", "MRI_SCAN"),
        ("dicomdirtests/77654033/CR1/6154", "X_RAY"),
        ("examples_palette.dcm", "ULTRASOUND"),
        ("SC_rgb_rle.dcm", "OTHER"),
    ],
)
def test_the_tag_comes_from_the_modality(name, tag):
    content = (SHIPPED / name).read_bytes()
    assert is_dicom(content)
    assert read_dicom(content, name)[1] == tag


def test_codes_that_say_too_little_are_other():
    assert [read_dicom(make_dicom(modality=code), "f")[1] for code in ("NM", "SEG", "", "ct ", "PT")] == [
        *["OTHER"] * 3,
        "CT_SCAN",
        "PET_SCAN",
    ]


def test_values_without_a_window_are_stretched_over_all_greys():
    picture = grey(make_dicom())
    assert (picture.min(), picture.max()) == (0, 255)
    assert (np.diff(picture.ravel()) >= 0).all()
    assert len(np.unique(picture)) == 256


def test_the_window_decides_what_is_seen():
    picture = grey(make_dicom(WindowCenter=500, WindowWidth=200))
    assert (picture[RAMP < 395] == 0).all()
    assert (picture[RAMP > 605] == 255).all()
    assert abs(int(picture[np.abs(RAMP.astype(int) - 500) < 2].mean()) - 127) <= 2


def test_of_several_windows_the_first_is_taken():
    several = make_dicom(WindowCenter=[500, 100], WindowWidth=[200, 20])
    assert np.array_equal(grey(several), grey(make_dicom(WindowCenter=500, WindowWidth=200)))


def test_a_window_counts_in_rescaled_values():
    rescaled = make_dicom(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=0, WindowWidth=400)
    assert np.abs(grey(rescaled) - grey(make_dicom(WindowCenter=500, WindowWidth=200))).max() <= 1


@pytest.mark.parametrize("window", [{"WindowCenter": 40}, {"WindowWidth": 400}, {"WindowCenter": None, "WindowWidth": None}])
def test_half_a_window_or_an_empty_one_is_none(window):
    assert np.array_equal(grey(make_dicom(**window)), grey(make_dicom()))


def test_monochrome1_is_turned_so_that_more_is_brighter():
    plain, inverse = grey(make_dicom()), grey(make_dicom(kind="MONOCHROME1"))
    assert np.array_equal(inverse, 255 - plain)
    window = {"WindowCenter": 500, "WindowWidth": 200}
    assert np.array_equal(grey(make_dicom(kind="MONOCHROME1", **window)), 255 - grey(make_dicom(**window)))


def test_signed_values_and_the_sixteenth_bit_are_kept_apart():
    assert np.array_equal(grey(make_dicom(RAMP.astype(np.int16) - 500)), grey(make_dicom()))
    assert np.array_equal(grey(make_dicom(RAMP * 60)), grey(make_dicom(RAMP * 60 // 2 * 2)))


def test_a_palette_becomes_colours():
    picture, _ = read_dicom(shipped("examples_palette.dcm"), "f")
    pixels = np.asarray(picture).astype(int)
    assert np.ptp(pixels, axis=2).max() > 30
    stored = pydicom.dcmread(io.BytesIO(shipped("examples_palette.dcm")))
    table = np.frombuffer(stored.RedPaletteColorLookupTableData, "<u2") >> 8
    assert np.array_equal(pixels[..., 0], table[stored.pixel_array])


def test_ybr_becomes_rgb():
    rgb, ybr = (
        np.asarray(read_dicom(shipped(name), "f")[0]).astype(int) for name in ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_jpeg.dcm")
    )
    assert rgb.shape == ybr.shape == (3, 3, 3)
    assert np.abs(rgb - ybr).mean() < 12
    red = np.zeros((32, 32, 3), np.uint8) + np.array([76, 85, 255], np.uint8)  # red, in YBR_FULL
    picture, _ = read_dicom(make_dicom(red, kind="YBR_FULL"), "f")
    assert np.abs(np.asarray(picture).astype(int) - [255, 0, 0]).max() <= 2


def test_colours_of_16_bits_become_8():
    pixels = np.stack([RAMP * 60, RAMP * 30, RAMP * 0], axis=-1)
    picture = np.asarray(read_dicom(make_dicom(pixels, kind="RGB"), "f")[0]).astype(int)
    assert picture[-1, -1].tolist() == [255, 128, 0]


@pytest.mark.parametrize(("frames", "middle"), [(1, 0), (2, 1), (5, 2)])
def test_of_several_frames_the_middle_one_is_taken(frames, middle):
    stack = np.stack([np.roll(RAMP, 100 * number) for number in range(frames)])
    pixels = stack if frames > 1 else stack[0]
    assert np.array_equal(grey(make_dicom(pixels, NumberOfFrames=frames)), grey(make_dicom(stack[middle])))


@pytest.mark.parametrize("said", ["YES", "Yes ", "yes"])
def test_burned_in_text_is_refused_unless_allowed(said):
    content = make_dicom(BurnedInAnnotation=said)
    assert "burned into its pixels" in refused(content)
    assert np.array_equal(np.asarray(read_dicom(content, "f", allow_burned_in=True)[0])[..., 0], grey(make_dicom()))
    assert grey(make_dicom(BurnedInAnnotation="NO")).max() == 255


def test_burned_in_text_through_curation(tmp_path):
    folder = make_folder(tmp_path / "mine", {"a.dcm": make_dicom(BurnedInAnnotation="YES"), "b.dcm": make_dicom(RAMP.T)})
    settings = {"sizes": {"train": 9}, "seed": 0, "image_size": None}
    report = curate(f"folder:{folder}", tmp_path / "out", **settings)
    assert (report["counts"]["kept"], report["counts"]["rejected"]) == (1, 1)
    (row,) = read_jsonl(tmp_path / "out" / "rejected.jsonl")
    assert "burned into its pixels" in row["reason"]
    allowed = curate(f"folder:{folder}", tmp_path / "allowed", allow_burned_in=True, **settings)
    assert allowed["counts"]["kept"] == 2


def test_no_word_of_a_header_reaches_any_output(tmp_path):
    words = {name: f"{SECRET}{number}" for number, name in enumerate(("PatientName", "PatientID", "InstitutionName", "StudyID"))}
    words |= {"PatientComments": f"{SECRET}9", "StudyDescription": f"{SECRET}8", "ImageComments": f"{SECRET}7"}
    files = {
        "a.dcm": make_dicom(**words, PatientBirthDate="19470101"),
        "b.dcm": make_dicom(RAMP.T, modality="MR", **words),
        "c.dcm": make_dicom(**words)[:-900],
        "d.dcm": make_dicom(BurnedInAnnotation="YES", **words),
    }
    folder, out = make_folder(tmp_path / "mine", files), tmp_path / "out"
    report = curate(f"folder:{folder}", out, sizes={"train": 9}, seed=0, image_size=None)
    assert (report["counts"]["kept"], report["counts"]["rejected"]) == (2, 2)
    assert {row["modality"] for row in read_jsonl(out / "samples_train.jsonl")} == {"CT_SCAN", "MRI_SCAN"}
    written = [file for file in out.rglob("*") if file.is_file()]
    assert len(written) > 10
    for file in written:
        content = file.read_bytes()
        assert not any(word in content for word in (b"DOE", b"JANE", b"19470101")), file
    for picture in (out / "images").iterdir():
        with Image.open(picture) as image:
            assert image.info == {}


@pytest.mark.parametrize(
    "field",
    [
        *("NumberOfFrames", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "VOILUTFunction"),
        *("PhotometricInterpretation", "Modality", "BurnedInAnnotation", "PixelSpacing", "ModalityLUTSequence"),
    ],
)
def test_a_name_in_the_wrong_field_is_not_repeated_by_the_reason(field):
    data = pydicom.dcmread(io.BytesIO(make_dicom(WindowCenter=500, WindowWidth=100)))
    tag = Tag(tag_for_keyword(field))
    data._dict[tag] = RawDataElement(tag, dictionary_VR(tag), 8, SECRET.encode(), 0, False, True)
    content = saved(data)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            _, said = read_dicom(content, "scan.dcm")
        except InputError as error:
            said = str(error)
    assert "DOE" not in said
    assert "JANE" not in said
    assert not [str(warning.message) for warning in warned if SECRET in str(warning.message)]


def test_what_holds_no_picture_or_too_much_is_refused():
    assert "holds no picture" in refused(shipped("rtplan.dcm"))
    assert "less than expected" in refused(shipped("MR_truncated.dcm"))
    bomb = pydicom.dcmread(io.BytesIO(make_dicom()))
    bomb.NumberOfFrames = 10**6
    assert "more than 1024 MiB" in refused(saved(bomb))
    assert "cannot be decoded as DICOM" in refused(shipped("JPEGLSNearLossless_08.dcm"))


def test_dicom_inside_a_table_is_told_from_other_pictures(tmp_path):
    look = look_at(make_dicom(modality="MG"), Looking(tmp_path))
    assert look.modality == "MAMMOGRAPHY"
    assert Path(look.path).parent == tmp_path
    assert look_at(make_dicom(modality="MG"), Looking(tmp_path)) == look


def mutated(content: bytes, rng: random.Random) -> bytes:
    torn = bytearray(content)
    for _ in range(rng.choice((1, 8, 64))):
        torn[rng.randrange(128, len(torn))] = rng.randrange(256)
    return bytes(torn[: rng.randrange(140, len(torn))] if rng.random() < 0.2 else torn)


def fuzz(n: int, folder: Path) -> int:
    """How many of `n` damaged files are read all the same; the others are refused, none crashes."""
    rng, names = random.Random(0), ("CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_jp2klossless.dcm")
    contents = [*map(shipped, names), make_dicom(WindowCenter=500, WindowWidth=100)]
    read, lines = 0, set()
    for number in range(n):
        try:
            look_at(mutated(contents[number % len(contents)], rng), Looking(folder, hashed=False))
            read += 1
        except InputError as error:
            lines.update(str(error).splitlines()[1:])
    assert not lines
    shutil.rmtree(folder, ignore_errors=True)
    return read


def test_damaged_files_are_read_or_refused(tmp_path):
    assert 20 < fuzz(300, tmp_path) < 290


@pytest.mark.slow
def test_many_damaged_files_are_read_or_refused(tmp_path):
    assert 300 < fuzz(6000, tmp_path) < 5900
