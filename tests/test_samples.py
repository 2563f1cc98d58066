"""Samples: the first noun keeps what it was given, and refuses what it cannot be."""

import json
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medix_lite.files import InputError
from medix_lite.modalities import MODALITIES
from medix_lite.samples import Sample, content_id, open_image, read_samples, write_samples

SOME_TEXT = st.text(min_size=1)
EXTRA = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1).map(lambda name: "x_" + name),
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2),
    max_size=3,
)
FIELDS = st.fixed_dictionaries(
    {"id": SOME_TEXT, "question": SOME_TEXT, "reference": SOME_TEXT},
    optional={
        "references": st.lists(st.text(), max_size=3),
        "modality": st.sampled_from([None, *MODALITIES]),
        "source": st.text(),
        "group": st.none() | st.text(),
        "images": st.lists(st.from_regex(r"[a-z0-9\x00]{1,4}/[^/]{1,4}[.]png", fullmatch=True), max_size=2),
        "options": st.none() | st.lists(st.text(), max_size=26),
        "facts": st.none() | st.dictionaries(st.text(), st.integers(), max_size=2),
    },
)


@given(FIELDS, EXTRA)
def test_jsonl_round_trip_keeps_unknown_fields(fields, extra):
    sample = Sample(**fields, **extra)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.jsonl"
        write_samples(path, [sample])
        (again,) = read_samples(path)
        assert again.images == [str(path.parent.resolve() / image) for image in sample.images]
        assert again.model_copy(update={"images": sample.images}) == sample
        assert extra.items() <= json.loads(path.read_text()).items()


def test_unknown_fields_cannot_hide_methods(tmp_path):
    row = {"id": "a", "question": "q", "reference": "r", "accepted": "mine", "model_dump": "mine too"}
    (tmp_path / "s.jsonl").write_text(json.dumps(row))
    (sample,) = read_samples(tmp_path / "s.jsonl")
    assert sample.accepted() == ["r"]
    write_samples(tmp_path / "t.jsonl", [sample])
    assert row.items() <= json.loads((tmp_path / "t.jsonl").read_text()).items()


def test_image_paths_move_with_the_folder(tmp_path):
    folder = tmp_path / "old"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(folder / "images" / "a.png")
    inside, outside = folder / "images" / "a.png", tmp_path / "elsewhere.png"
    write_samples(folder / "s.jsonl", [Sample(id="a", question="q", reference="r", images=[str(inside), str(outside)])])
    assert json.loads((folder / "s.jsonl").read_text())["images"] == ["images/a.png", str(outside)]
    folder.rename(tmp_path / "new")
    assert read_samples(tmp_path / "new" / "s.jsonl")[0].images == [str(tmp_path / "new/images/a.png"), str(outside)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modality": "XRAY"}, "unknown modality 'XRAY'"),
        ({"reference": ""}, "'reference'"),
        ({"question": None}, "'question'"),
        ({"images": "a.png"}, "'images'"),
        ({"options": ["x"] * 27}, "'options'"),
        ({"id": 7}, "'id'"),
    ],
)
def test_a_bad_row_is_named(tmp_path, change, said):
    row = {"id": "a", "question": "q", "reference": "r"}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"id": "b"} | change))
    with pytest.raises(InputError) as error:
        read_samples(tmp_path / "s.jsonl")
    assert said in str(error.value)
    assert "row 2" in str(error.value)
    assert "\n" not in str(error.value)


def test_ids_are_unique(tmp_path):
    line = json.dumps({"id": "a", "question": "q", "reference": "r"})
    (tmp_path / "s.jsonl").write_text(f"{line}\n{line}\n")
    with pytest.raises(InputError, match="'a' stands twice"):
        read_samples(tmp_path / "s.jsonl")


def test_there_are_sixteen_tags():
    assert len(MODALITIES) == len(set(MODALITIES)) == 16


def test_option_label():
    assert Sample(id="a", question="q", reference="y", options=["x", "y"]).option_label() == "B"
    assert Sample(id="a", question="q", reference="z", options=["x", "y"]).option_label() is None
    assert Sample(id="a", question="q", reference="z").option_label() is None


def test_content_id_separates_its_parts():
    assert content_id("ab", "c") != content_id("a", "bc")
    assert len(content_id("\ud800")) == 16


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "folder"])
def test_a_bad_picture_is_one_clear_line(tmp_path, damage):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "text": b"no picture", "truncated": whole[: len(whole) // 2]}[damage])
    with pytest.raises(InputError) as error:
        open_image(path)
    assert f"cannot read image {path}: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_pictures_keep_their_greys(tmp_path, suffix):
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / f"ramp{suffix}")
    seen = np.asarray(open_image(tmp_path / f"ramp{suffix}"))[:, :, 0]
    assert np.abs(seen.astype(int) - ramp / 257).max() <= 1


def test_open_image_resizes(tmp_path):
    Image.new("L", (30, 20), 7).save(tmp_path / "a.png")
    picture = open_image(tmp_path / "a.png", 8)
    assert (picture.mode, picture.size, picture.getpixel((3, 3))) == ("RGB", (8, 8), (7, 7, 7))
