"""Curation: every row is accounted for, nothing leaks, and the real files give the numbers they are known to hold."""

import json
import random
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medix_lite.curation.checks import check_samples
from medix_lite.curation.curate import curate
from medix_lite.curation.sources import QUESTION_LINE, count_boxes, load_source, read_source, take
from medix_lite.curation.splits import check_no_leak, group_of, pixel_hash, split_by_group
from medix_lite.files import InputError, read_jsonl, sha256_of
from medix_lite.responses import build_prompt
from medix_lite.samples import Sample, read_samples

ALL = {"train": 10**6, "test": 10**6, "probe": 10**6}
FEW = {"train": 6, "test": 4, "probe": 2}
BOXES = "<annotation>{}</annotation>"
BOX = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox></object>"


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        call(*args, **kwargs)
    assert str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 20, 3), dtype=np.uint8))


def make_smears(path: Path, **counts: tuple[int, int, int]) -> Path:
    """A BCCD-like folder with pictures of (red, white, platelets) boxes, two a split."""
    root = path / "BCCD"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    names = [f"smear_{number}" for number in range(6)]
    for number, name in enumerate(names):
        noise(number).save(root / "JPEGImages" / f"{name}.jpg")
        red, white, platelets = counts.get(name, (5, 1, 2))
        boxes = [BOX.format("RBC", 9)] * red + [BOX.format("WBC", 9)] * white + [BOX.format("Platelets", 9)] * platelets
        (root / "Annotations" / f"{name}.xml").write_text(BOXES.format("".join([*boxes, BOX.format("RBC", 1)])))
    for split, listed in {"train": names[:2], "val": names[2:4], "test": names[4:]}.items():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return root


def make_folder(path: Path, groups: int = 12) -> Path:
    path.mkdir()
    rows = []
    for number in range(groups):
        noise(number).save(path / f"{number}.png")
        row = {"question": "what?", "reference": "this", "modality": "CT_SCAN", "group": f"p{number}", "mine": number}
        rows += [row | {"id": f"{number}-{part}", "images": [f"{number}.png"]} for part in "ab"]
    (path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_bccd_real_counts(real_data, tmp_path):
    root = real_data / "bccd" / "BCCD"
    boxes = {}
    for file in sorted((root / "Annotations").glob("*.xml")):
        boxes[file.stem] = Counter(item.findtext("name") for item in ElementTree.parse(file).getroot().iter("object"))
    assert len(boxes) == len(list((root / "JPEGImages").iterdir())) == 364
    assert sum(boxes.values(), Counter()) == {"RBC": 4155, "WBC": 372, "Platelets": 361}

    splits, rejected, available = read_source(f"bccd:{real_data / 'bccd'}", tmp_path, sizes=ALL, seed=0, image_size=None)
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 843, "test": 283, "probe": 350}
    assert available == {split: len(samples) for split, samples in splits.items()}
    groups = {split: {sample.group for sample in samples} for split, samples in splits.items()}
    assert {split: len(names) for split, names in groups.items()} == {"train": 196, "test": 66, "probe": 82}
    for split, listed, size in (("train", "train", 205), ("test", "test", 72), ("probe", "val", 87)):
        official = set((root / "ImageSets" / "Main" / f"{listed}.txt").read_text().split())
        out = {row["id"].removeprefix("bccd-") for row in rejected if row["split"] == split}
        assert len(official) == size
        assert groups[split] | out == official
        assert not groups[split] & out
    assert {row["id"] for row in rejected} == {f"bccd-{name}" for name, c in boxes.items() if not (c["RBC"] and c["WBC"])}
    assert len(rejected) == 20

    everything = [sample for samples in splits.values() for sample in samples]
    assert Counter(sample.kind for sample in everything) == {"type": 598, "count": 534, "presence": 344}
    for sample in everything:
        count = boxes[sample.group]
        assert sample.derived.startswith("from bounding boxes")
        assert sample.facts is None
        assert sample.modality == "MICROSCOPY"
        assert Path(sample.images[0]).stem == sample.group
        if sample.kind == "presence":
            assert sample.reference == ("yes" if count["Platelets"] else "no")
        elif sample.kind == "count":
            assert int(sample.reference) == count["WBC" if "white" in sample.question else "Platelets"] > 0
        elif "most numerous" in sample.question:
            assert (sample.reference == "platelets") == (count["Platelets"] > count["WBC"])
        else:
            assert ("platelets" in sample.reference) == bool(count["Platelets"])
    assert len(check_samples(everything)[0]) == 1476
    check_no_leak(splits)


def test_pubmedqa_real_counts(real_data, tmp_path):
    folder = real_data / "pubmedqa" / "data"
    rows, truth = (json.loads((folder / name).read_text()) for name in ("ori_pqal.json", "test_ground_truth.json"))
    splits, rejected, _ = read_source(f"pubmedqa:{folder.parent}", tmp_path, sizes=ALL, seed=0, image_size=64)
    assert rejected == []
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 450, "test": 500, "probe": 50}
    assert {sample.group: sample.reference for sample in splits["test"]} == truth
    everything = [sample for samples in splits.values() for sample in samples]
    assert {sample.group for sample in everything} == set(rows)
    assert len(rows) == 1000
    assert Counter(sample.reference for sample in everything) == {"yes": 552, "no": 338, "maybe": 110}
    for sample in everything:
        row = rows[sample.group]
        assert all(text in sample.question for text in row["CONTEXTS"] + row["LABELS"])
        assert sample.question.endswith(f"{QUESTION_LINE}{row['QUESTION']} Answer yes, no or maybe.")
        assert (sample.modality, sample.images, sample.options) == (None, [], None)
        assert row["LONG_ANSWER"] not in sample.question
        assert f"{row['QUESTION']} Answer yes, no or maybe." in build_prompt(sample, "compact", max_chars=400)
    check_no_leak(splits)


def test_curate_real_bccd_is_deterministic_and_resumes(real_data, tmp_path):
    sizes = {"train": 20, "test": 10, "probe": 5}
    spec = f"bccd:{real_data / 'bccd'}"
    reports = [curate(spec, tmp_path / run, sizes=sizes, seed=3, image_size=64) for run in "ab"]
    assert reports[0] == reports[1]
    for split, size in sizes.items():
        samples = read_samples(tmp_path / "a" / f"samples_{split}.jsonl")
        assert len(samples) == size == reports[0]["counts"][split]["kept"]
        assert all(Image.open(sample.images[0]).size == (64, 64) for sample in samples)
    for file in (tmp_path / "a").rglob("*.*"):
        assert sha256_of(file) == sha256_of(tmp_path / "b" / file.relative_to(tmp_path / "a"))


def test_curate_writes_what_it_promises(tmp_path):
    out = tmp_path / "out"
    spec = f"bccd:{make_smears(tmp_path / 'data', smear_0=(5, 0, 2), smear_2=(5, 2, 0))}"
    report = curate(spec, out, sizes=ALL, seed=0, image_size=8)
    assert report == json.loads((out / "curation.json").read_text())
    assert report["counts"]["train"] == {"available": 5, "in": 6, "kept": 5, "rejected": 1}
    assert report["counts"]["probe"] == {"available": 9, "in": 9, "kept": 9, "rejected": 0}
    assert report["by_kind"]["train"] == {"count": 2, "type": 2, "presence": 1}
    assert report["by_modality"]["test"] == {"MICROSCOPY": 10}
    assert report["by_reference"]["train"]["yes"] == 1
    (row,) = read_jsonl(out / "rejected.jsonl")
    assert row["id"] == "bccd-smear_0"
    assert "incomplete" in row["reason"]
    assert all(sha256_of(out / name) == digest for name, digest in report["sha256"].items())
    card = (out / "card.md").read_text()
    assert card.startswith("---\nlicense: mit\n")
    assert "not for clinical use" in card
    assert "derived from bounding boxes" in card
    white = next(s for s in read_samples(out / "samples_probe.jsonl") if s.id == "bccd-smear_2-white-count")
    assert white.accepted() == ["2", "two"]


def test_curate_resumes_repairs_and_refuses(tmp_path):
    root, out = make_smears(tmp_path / "data"), tmp_path / "out"
    settings = {"sizes": FEW, "seed": 0, "image_size": 8}
    report = curate(f"bccd:{root}", out, **settings)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.*")}
    assert curate(f"bccd:{root}", out, **settings) == report
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.*")} == before
    (out / "samples_test.jsonl").write_text("lost")
    assert curate(f"bccd:{root}", out, **settings) == report
    assert sha256_of(out / "samples_test.jsonl") == report["sha256"]["samples_test.jsonl"]
    assert "another seed;" in refused(curate, f"bccd:{root}", out, **settings | {"seed": 1})
    (root / "JPEGImages" / "smear_0.jpg").write_bytes(b"")
    assert "another source_hash;" in refused(curate, f"bccd:{root}", out, **settings)
    assert json.loads((out / "curation.json").read_text()) == report


@pytest.mark.parametrize("image_size", [None, 8])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated"])
def test_a_broken_picture_is_rejected_with_a_reason(tmp_path, damage, image_size):
    root = make_smears(tmp_path / "data")
    picture = root / "JPEGImages" / "smear_0.jpg"
    content = picture.read_bytes()
    picture.unlink()
    if damage != "missing":
        picture.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    report = curate(f"bccd:{root}", tmp_path / "out", sizes=ALL, seed=0, image_size=image_size)
    assert report["counts"]["train"] == {"available": 10, "in": 10, "kept": 5, "rejected": 5}
    for row in read_jsonl(tmp_path / "out" / "rejected.jsonl"):
        assert row["id"].startswith("bccd-smear_0-")
        assert f"cannot read image {picture}" in row["reason"]
    (root / "JPEGImages" / "smear_1.jpg").write_bytes(b"")
    message = refused(curate, f"bccd:{root}", tmp_path / "again", sizes=ALL, seed=0, image_size=image_size)
    assert "no usable sample for train; cannot read image" in message
    assert not list((tmp_path / "again").glob("*.json*"))


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<annotation>",
        BOXES.format("<object><name>RBC</name></object>"),
        '<!DOCTYPE a [<!ENTITY b "c">]>' + BOXES.format(""),
        BOXES.format(BOX.format("RBC", 9) + BOX.format("WBC", "x")),
        BOXES.format(BOX.format("RBC", 9)).encode("utf-16").decode("latin-1"),
        BOXES.format(BOX.format("RBC", 9) * 10_000),
    ],
    ids=["empty", "torn", "no box", "entities", "no number", "UTF-16", "huge"],
)
def test_a_bad_annotation_is_rejected_with_a_reason(tmp_path, xml):
    root = make_smears(tmp_path / "data")
    file = root / "Annotations" / "smear_1.xml"
    file.write_text(xml, encoding="latin-1")
    refused(count_boxes, file)
    _, rejected, _ = read_source(f"bccd:{root}", tmp_path, sizes=ALL, seed=0, image_size=None)
    assert [row["id"] for row in rejected] == ["bccd-smear_1"]
    assert str(file) in rejected[0]["reason"]


def test_a_list_cannot_leave_its_folder(tmp_path):
    root = make_smears(tmp_path / "data")
    (root / "ImageSets" / "Main" / "train.txt").write_text("../../secret\nsmear_0\nsmear_0\n")
    splits, rejected, _ = read_source(f"bccd:{root}", tmp_path, sizes=ALL, seed=0, image_size=None)
    assert len(splits["train"]) == 5
    assert "outside its folder" in rejected[0]["reason"]


def test_pubmedqa_rows_that_lack_something_are_rejected(tmp_path):
    good = {"QUESTION": "Is it?", "CONTEXTS": ["a"], "LABELS": ["AIM"], "final_decision": "no"}
    rows = {str(number): good for number in range(30)}
    rows["7"] = good | {"final_decision": True}
    rows["8"] = good | {"LABELS": []}
    rows["9"] = {"QUESTION": "Is it?"}
    truth = {"1": "no", "2": "yes", "99": "no"}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ori_pqal.json").write_text(json.dumps(rows))
    (tmp_path / "data" / "test_ground_truth.json").write_text(json.dumps(truth))
    splits, rejected, _ = read_source(f"pubmedqa:{tmp_path}", tmp_path, sizes=ALL, seed=0, image_size=None)
    refused_ids = {split: [row["id"] for row in rejected if row["split"] == split] for split in ("test", "train")}
    assert refused_ids["test"] == ["pubmedqa-2", "pubmedqa-99"]
    assert refused_ids["train"] == ["pubmedqa-7", "pubmedqa-8", "pubmedqa-9"]
    assert [sample.id for sample in splits["test"]] == ["pubmedqa-1"]
    assert sum(map(len, splits.values())) + len(rejected) == 31
    (tmp_path / "data" / "ori_pqal.json").write_text("[]")
    assert "keyed by PubMed id" in refused(load_source, f"pubmedqa:{tmp_path}", tmp_path, sizes=ALL, seed=0, image_size=None)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mimic:/data", "unknown source 'mimic:/data'; use one of phantoms, bccd:PATH, pubmedqa:PATH"),
        ("", "unknown source"),
        ("phantoms:64", "unknown source"),
        ("bccd", "needs a path: bccd:PATH"),
        ("bccd:/no/such/folder", "is not a folder"),
        ("folder:/dev/null", "is not a folder"),
        ("hub:MBZUAI/medix-rl-data@main", "not available yet"),
    ],
)
def test_unusable_sources(tmp_path, spec, said):
    assert said in refused(curate, spec, tmp_path / "out", sizes=FEW, seed=0, image_size=None)
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_named(tmp_path):
    for name, lacks in (("bccd", "train.txt"), ("pubmedqa", "ori_pqal.json"), ("folder", "samples.jsonl")):
        assert lacks in refused(curate, f"{name}:{tmp_path}", tmp_path / "out", sizes=FEW, seed=0, image_size=None)
    assert "sizes" in refused(load_source, f"folder:{tmp_path}", tmp_path, sizes={"val": 1}, seed=0, image_size=None)


def test_a_folder_of_ones_own(tmp_path):
    folder = make_folder(tmp_path / "mine")
    report = curate(f"folder:{folder}", tmp_path / "out", sizes=ALL, seed=0, image_size=None)
    assert sum(counts["kept"] for counts in report["counts"].values()) == 24
    samples = [s for split in ALL for s in read_samples(tmp_path / "out" / f"samples_{split}.jsonl")]
    assert {sample.id: sample.mine for sample in samples}.items() >= {"0-a": 0, "11-b": 11}.items()
    assert all(Path(sample.images[0]).parent == folder for sample in samples)
    assert report["licence"] == "unknown"


def test_a_folder_with_a_table(tmp_path):
    folder = make_folder(tmp_path / "mine", groups=1)
    (folder / "samples.jsonl").unlink()
    table = folder / "samples.csv"
    table.write_text("id,question,reference,references,modality,images\na,what?,this,it|that,CT_SCAN,0.png\nb,why?,so,,,\n")
    splits = load_source(f"folder:{folder}", tmp_path, sizes=ALL, seed=0, image_size=None)
    first, second = sorted((s for samples in splits.values() for s in samples), key=lambda sample: sample.id)
    assert first.accepted() == ["this", "it", "that"]
    assert first.images == [str(folder / "0.png")]
    assert (second.modality, second.images, second.references) == (None, [], [])
    for bad, said in (
        ("a,what?\n", "row 1"),
        ("a,b,c,d,CT_SCAN,f,g\n", "more cells"),
        ("a,b,c,,XRAY,\n", "unknown modality"),
    ):
        table.write_text("id,question,reference,references,modality,images\n" + bad)
        assert said in refused(load_source, f"folder:{folder}", tmp_path, sizes=ALL, seed=0, image_size=None)
    table.write_bytes(b"id\n\xff\n")
    assert "cannot read" in refused(load_source, f"folder:{folder}", tmp_path, sizes=ALL, seed=0, image_size=None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{torn", "line 3: not valid JSON"),
        ('{"id": "x", "question": "q", "reference": "r", "modality": "XRAY"}', "unknown modality 'XRAY'"),
        ('{"id": "0-a", "question": "q", "reference": "r"}', "'0-a' stands twice"),
    ],
)
def test_a_bad_line_in_a_folder_is_named(tmp_path, line, said):
    folder = make_folder(tmp_path / "mine", groups=1)
    with (folder / "samples.jsonl").open("a") as handle:
        handle.write(line + "\n")
    message = refused(curate, f"folder:{folder}", tmp_path / "out", sizes=FEW, seed=0, image_size=None)
    assert said in message
    assert "samples.jsonl" in message


def test_check_samples_accounts_for_every_row(tmp_path):
    noise(0).save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    base = {"question": "q", "reference": "r", "source": "s"}
    changes = {
        "good": {"images": [str(tmp_path / "good.png")]},
        "blank question": {"question": " \n"},
        "blank reference": {"reference": "\t"},
        "long reference": {"reference": "x" * 2001},
        "longest reference": {"reference": "x" * 2000},
        "empty picture": {"images": [str(tmp_path / "good.png"), str(tmp_path / "empty.png")]},
        "missing picture": {"images": [str(tmp_path / "absent.png")]},
    }
    samples = [Sample(id=name, **base | change) for name, change in changes.items()]
    samples.append(Sample(id="good", **base))
    kept, rejected = check_samples(samples)
    assert [sample.id for sample in kept] == ["good", "longest reference"]
    assert len(kept) + len(rejected) == len(samples)
    assert [set(row) for row in rejected] == [{"id", "source", "reason"}] * 6
    said = [
        "question is empty",
        "reference is empty",
        "2001 characters",
        "the file is empty",
        "No such file",
        "stands twice",
    ]
    assert all(part in row["reason"] for part, row in zip(said, rejected, strict=True))


SOME = st.lists(
    st.builds(lambda group: {"question": "q", "reference": "r", "group": group}, st.none() | st.sampled_from("abcdef")),
    max_size=30,
).map(lambda rows: [Sample(id=str(number), **row) for number, row in enumerate(rows)])


@given(SOME, st.integers(0, 3), st.integers(0, 40))
def test_split_and_take_lose_nothing(samples, seed, size):
    fractions = {"train": 0.8, "test": 0.1, "probe": 0.1}
    splits = split_by_group(samples, fractions, seed)
    assert sorted(int(s.id) for part in splits.values() for s in part) == list(range(len(samples)))
    for part in splits.values():
        assert part == sorted(part, key=lambda sample: int(sample.id))
    places: dict[str, set[str]] = {}
    for split, part in splits.items():
        for sample in part:
            places.setdefault(group_of(sample), set()).add(split)
    assert all(len(where) == 1 for where in places.values())
    assert not samples or splits["train"]
    check_no_leak(splits)
    taken = take(samples, size, seed)
    assert len(taken) == min(size, len(samples))
    assert taken == [s for s in samples if s in taken]
    shuffled = random.Random(seed).sample(samples, len(samples))
    assert {s.id for s in take(shuffled, size, seed)} == {s.id for s in taken}


def test_split_by_group_reaches_its_shares_and_checks_them():
    samples = [Sample(id=str(n), question="q", reference="r", group=str(n // 2)) for n in range(1000)]
    splits = split_by_group(samples, {"train": 0.8, "test": 0.15, "probe": 0.05}, 0)
    assert {split: len(part) for split, part in splits.items()} == {"train": 800, "test": 150, "probe": 50}
    assert splits != split_by_group(samples, {"train": 0.8, "test": 0.15, "probe": 0.05}, 1)
    assert "add up to 1" in refused(split_by_group, samples, {"train": 0.8}, 0)
    assert "add up to 1" in refused(split_by_group, samples, {"train": 1.5, "test": -0.5}, 0)


def test_leaks_are_refused(tmp_path):
    noise(0).save(tmp_path / "a.png")
    noise(0).save(tmp_path / "copy.bmp")
    noise(1).save(tmp_path / "b.png")
    assert pixel_hash(tmp_path / "a.png") == pixel_hash(tmp_path / "copy.bmp") != pixel_hash(tmp_path / "b.png")

    def sample(name: str, group: str | None, image: str, source: str = "s") -> Sample:
        fields = {"question": "q", "reference": "r", "source": source, "images": [str(tmp_path / image)]}
        return Sample(id=name, group=group, **fields)

    check_no_leak({"train": [sample("1", "x", "a.png")], "test": [sample("2", "y", "b.png")]})
    check_no_leak({"train": [sample("1", "x", "a.png")], "test": [sample("2", "x", "b.png", source="other")]})
    message = refused(check_no_leak, {"train": [sample("1", "x", "a.png")], "test": [sample("2", "x", "b.png")]})
    assert "1 group(s)" in message
    assert "'1' in train and '2' in test" in message
    message = refused(check_no_leak, {"train": [sample("1", "x", "a.png")], "test": [sample("2", None, "copy.bmp")]})
    assert "1 picture(s)" in message
    assert "'1' in train and '2' in test" in message


def test_curate_refuses_a_leak_and_writes_nothing(tmp_path):
    folder = make_folder(tmp_path / "mine")
    for number in range(1, 12):
        shutil.copy(folder / "0.png", folder / f"{number}.png")
    message = refused(curate, f"folder:{folder}", tmp_path / "out", sizes=ALL, seed=0, image_size=None)
    assert "1 picture(s) stand in more than one split" in message
    assert not list((tmp_path / "out").glob("*.json*"))


def test_phantoms_are_curated(tmp_path):
    report = curate("phantoms", tmp_path / "a", sizes=FEW, seed=5, image_size=64)
    assert {split: counts["kept"] for split, counts in report["counts"].items()} == FEW
    assert report["licence"] == "apache-2.0"
    assert curate("phantoms", tmp_path / "b", sizes=FEW, seed=5, image_size=64) == report
