"""Curation: every row is accounted for, nothing leaks, and the real files give the numbers they are known to hold."""

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import psutil
import pytest
import yaml
from benchmark_files import ROWS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from test_cli import medix

from medix_lite.curation.bccd import count_boxes
from medix_lite.curation.checks import check_row, other_language
from medix_lite.curation.curate import curate
from medix_lite.curation.leakage import TextIndex
from medix_lite.curation.licences import licence_of_mix
from medix_lite.curation.mcq import QUESTION_LINE, Choice, read_choices, read_mcq, why_not_open
from medix_lite.curation.rows import Row
from medix_lite.curation.sources import licence_of, parse_spec, read_source
from medix_lite.files import InputError, read_json, read_jsonl, sha256_of
from medix_lite.responses import build_prompt
from medix_lite.samples import Sample, read_samples

ALL = {"train": 10**6, "test": 10**6, "probe": 10**6}
FEW = {"train": 6, "test": 4, "probe": 2}
TRAIN = {"train": 10**6}
BOXES = "<annotation>{}</annotation>"
BOX = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox></object>"
ORGANS = ["liver", "spleen", "kidney", "pancreas", "bladder", "thyroid", "ovary", "lung", "heart", "brain", "eye", "ear", "bone"]
SIGNS = ["cyst", "stone", "mass", "clot", "tear", "spur", "ulcer", "polyp", "bleed", "scar"]


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        call(*args, **kwargs)
    assert str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def noise(seed: int, size: tuple[int, int] = (20, 16)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def make_rows(n: int) -> list[dict]:
    """Rows without a picture, no two alike."""
    words = [f"{organ} {sign}" for sign in SIGNS for organ in ORGANS]
    return [
        {
            "id": f"r{i}",
            "question": f"Which drug treats {words[i % 130]} in ward {i} of hospital {i * 7}?",
            "reference": f"drug {i}",
        }
        for i in range(n)
    ]


def write_folder(path: Path, rows: list[dict | bytes]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (path / "samples.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def make_folder(path: Path, groups: int = 12) -> Path:
    """Pictures of noise, two questions about each, all of one group."""
    path.mkdir()
    rows = []
    for number in range(groups):
        noise(number).save(path / f"{number}.png")
        row = {"modality": "CT_SCAN", "group": f"p{number}", "mine": number, "images": [f"{number}.png"], "reference": "this"}
        rows += [row | {"id": f"{number}-{part}", "question": f"What is {part}?"} for part in ("seen", "meant")]
    return write_folder(path, rows)


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


def read(spec: str, folder: Path = Path("unused")) -> list[Row]:
    return list(read_source(spec, sizes=ALL, seed=0, folder=folder))


def run(spec, out: Path, **options) -> dict:
    """Curate with everything asked for; whatever was read is either kept or rejected, and every kept row is drawn."""
    report = curate(spec, out, **{"sizes": TRAIN, "seed": 0, "image_size": None} | options)
    counts, rejected = report["counts"], read_jsonl(out / "rejected.jsonl")
    assert counts["in"] == counts["kept"] + counts["rejected"]
    assert counts["rejected"] == len(rejected) == sum(report["reasons"].values())
    assert counts["kept"] == sum(split["kept"] for split in counts["splits"].values())
    assert all(row.keys() == {"id", "source", "split", "reason"} and row["reason"] for row in rejected)
    return report


def reasons(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_jsonl(out / "rejected.jsonl")}


def drawn(out: Path, split: str) -> list[Sample]:
    return read_samples(out / f"samples_{split}.jsonl")


def files_of(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()}


# Real files


def test_bccd_real_counts(real_data, tmp_path):
    root = real_data / "bccd" / "BCCD"
    boxes = {}
    for file in sorted((root / "Annotations").glob("*.xml")):
        boxes[file.stem] = Counter(item.findtext("name") for item in ElementTree.parse(file).getroot().iter("object"))
    assert len(boxes) == len(list((root / "JPEGImages").iterdir())) == 364
    assert sum(boxes.values(), Counter()) == {"RBC": 4155, "WBC": 372, "Platelets": 361}

    rows = read(f"bccd:{real_data / 'bccd'}")
    good, bad = [row for row in rows if not row.problem], [row for row in rows if row.problem]
    assert Counter(row.split for row in good) == {"train": 843, "test": 283, "probe": 350}
    assert len(good) == 1476
    assert {row.id for row in bad} == {f"bccd-{name}" for name, c in boxes.items() if not (c["RBC"] and c["WBC"])}
    assert len(bad) == 20
    for split, listed, size in (("train", "train", 205), ("test", "test", 72), ("probe", "val", 87)):
        official = set((root / "ImageSets" / "Main" / f"{listed}.txt").read_text().split())
        groups = {row.fields["group"] for row in good if row.split == split}
        out = {row.id.removeprefix("bccd-") for row in bad if row.split == split}
        assert len(official) == size
        assert groups | out == official
        assert not groups & out

    assert Counter(row.fields["kind"] for row in good) == {"type": 598, "count": 534, "presence": 344}
    for row in good:
        fields, count = row.fields, boxes[row.fields["group"]]
        assert fields["derived"].startswith("from bounding boxes")
        assert fields["modality"] == "MICROSCOPY"
        assert Path(row.pictures[0]).stem == fields["group"]
        if fields["kind"] == "presence":
            assert fields["reference"] == ("yes" if count["Platelets"] else "no")
        elif fields["kind"] == "count":
            assert int(fields["reference"]) == count["WBC" if "white" in fields["question"] else "Platelets"] > 0
        elif "most numerous" in fields["question"]:
            assert (fields["reference"] == "platelets") == (count["Platelets"] > count["WBC"])
        else:
            assert ("platelets" in fields["reference"]) == bool(count["Platelets"])


@pytest.fixture(scope="module")
def expert_set(real_data, tmp_path_factory):
    """PubMedQA's expert set, held against its benchmark file."""
    out = tmp_path_factory.mktemp("pubmedqa") / "out"
    benchmark = f"mcq:{real_data / 'mirage' / 'rawdata' / 'pubmedqa' / 'data' / 'test_set.json'}"
    run(f"pubmedqa:{real_data / 'pubmedqa'}", out, sizes=ALL, benchmarks=[benchmark])
    return out


def test_pubmedqa_real_counts(real_data, expert_set):
    folder = real_data / "pubmedqa" / "data"
    rows, truth = (read_json(folder / name) for name in ("ori_pqal.json", "test_ground_truth.json"))
    counts = read_json(expert_set / "curation.json")["counts"]
    assert len(rows) == counts["in"] == counts["kept"] == 1000
    splits = {split: drawn(expert_set, split) for split in ALL}
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 450, "test": 500, "probe": 50}
    assert {sample.group: sample.reference for sample in splits["test"]} == truth
    everything = [sample for samples in splits.values() for sample in samples]
    assert {sample.group for sample in everything} == set(rows)
    assert Counter(sample.reference for sample in everything) == {"yes": 552, "no": 338, "maybe": 110}
    for sample in everything:
        row = rows[sample.group]
        assert all(text in sample.question for text in row["CONTEXTS"] + row["LABELS"])
        assert sample.question.endswith(f"{QUESTION_LINE}{row['QUESTION']} Answer yes, no or maybe.")
        assert (sample.modality, sample.images, sample.options) == (None, [], None)
        assert row["LONG_ANSWER"] not in sample.question
        assert f"{row['QUESTION']} Answer yes, no or maybe." in build_prompt(sample, "compact", max_chars=400)


def test_pubmedqa_expert_set_leaks_into_its_benchmark_exactly_500_times(real_data, expert_set):
    leaks = read_jsonl(expert_set / "leaks.jsonl")
    assert read_json(expert_set / "curation.json")["leaks"] == len(leaks) == 500
    assert {leak["split"] for leak in leaks} == {"test"}
    truth = read_json(real_data / "pubmedqa" / "data" / "test_ground_truth.json")
    assert {leak["id"] for leak in leaks} == {f"pubmedqa-{pmid}" for pmid in truth}
    assert "500 leak(s)" in (expert_set / "README.md").read_text()


def test_a_training_row_from_a_benchmark_is_rejected(real_data, tmp_path):
    file = real_data / "mirage" / "rawdata" / "medqa" / "data_clean" / "questions" / "US" / "4_options"
    (path,) = file.glob("*.jsonl")
    theirs = json.loads(path.read_text().splitlines()[7])
    rows = make_rows(20)
    rows[3]["question"] = f"Doctor, listen. {theirs['question'].upper()}"
    rows[4]["question"] = theirs["question"][: len(theirs["question"]) // 2]
    report = run(f"folder:{write_folder(tmp_path / 'in', rows)}", tmp_path / "out", benchmarks=[f"mcq:{path}"])
    assert reasons(tmp_path / "out") == {"r3": f"it stands in a benchmark by text: {path.stem}-8"}
    assert report["leaks"] == 1


@pytest.mark.parametrize(("name", "size"), ROWS.items())
def test_benchmark_files_have_their_known_sizes(real_data, name, size):
    found = [choice for _, choice in read_choices(real_data / "mirage" / "rawdata" / name)]
    assert len(found) == size
    assert not [choice for choice in found if isinstance(choice, str)]
    for choice in found:
        if isinstance(choice, Choice):
            assert choice.question.strip()
            assert len(choice.options) == 4
            assert 0 <= choice.answer < 4


def test_the_benchmarks_through_curation(real_data, tmp_path):
    report = run(f"mcq:{real_data / 'mirage' / 'rawdata'}", tmp_path / "out", sizes={"train": 10**6, "test": 10**6})
    assert report["counts"]["in"] == sum(ROWS.values())
    made_open = drawn(tmp_path / "out", "train")
    assert 50 < len(made_open) < 700
    assert not [sample for sample in made_open if sample.options or re.search(r"following|except", sample.question, re.IGNORECASE)]
    unfit = [reason for reason in reasons(tmp_path / "out").values() if reason.startswith("not made open-ended: ")]
    assert len(unfit) > 4000


def test_curating_bccd_twice_gives_the_same_bytes(real_data, tmp_path):
    sizes = {"train": 20, "test": 10, "probe": 5}
    spec = f"bccd:{real_data / 'bccd'}"
    reports = [run(spec, tmp_path / out, sizes=sizes, seed=3, image_size=64, limit=250) for out in "ab"]
    assert reports[0] == reports[1]
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    for split, size in sizes.items():
        samples = drawn(tmp_path / "a", split)
        assert len(samples) == reports[0]["counts"]["splits"][split]["drawn"] <= size
        assert all(Image.open(sample.images[0]).size == (64, 64) for sample in samples)


# Sources


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mimic:/data", "unknown source 'mimic:/data'; use one of phantoms, bccd:PATH, pubmedqa:PATH"),
        ("", "unknown source"),
        ("phantoms:64", "unknown source"),
        ("bccd", "needs a path: bccd:PATH"),
        ("bccd:/no/such/folder", "is not a folder"),
        ("folder:/dev/null", "is not a folder"),
        ("hub:MBZUAI/medix-rl-data@main", "pin the commit"),
        ("hub:MBZUAI/medix-rl-data", "pin the commit"),
        (f"hub:MBZUAI/medix-rl-data@{'G' * 40}", "pin the commit"),
    ],
)
def test_unusable_sources(tmp_path, spec, said):
    assert said in refused(curate, spec, tmp_path / "out", sizes=FEW, seed=0, image_size=None)
    assert not (tmp_path / "out").exists()


def test_a_pinned_hub_commit_is_understood():
    assert parse_spec(f"hub:MBZUAI/medix-rl-data@{'0a' * 20}") == ("hub", f"MBZUAI/medix-rl-data@{'0a' * 20}")


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    lacking = {"bccd": "train.txt", "pubmedqa": "ori_pqal.json", "folder": "samples.jsonl", "parquet": ".parquet", "mcq": ".csv"}
    for name, lacks in lacking.items():
        assert lacks in refused(curate, f"{name}:{tmp_path / 'in'}", tmp_path / "out", sizes=FEW, seed=0, image_size=None)
    assert "sizes" in refused(curate, "phantoms", tmp_path / "out", sizes={"val": 1}, seed=0, image_size=None)
    assert "sizes" in refused(curate, "phantoms", tmp_path / "out", sizes={"train": -1}, seed=0, image_size=None)


def test_outputs_inside_the_source_are_refused(tmp_path):
    folder = make_folder(tmp_path / "in", 1)
    assert "lies inside the source" in refused(curate, f"folder:{folder}", folder / "out", sizes=FEW, seed=0, image_size=None)


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
    (bad,) = [row for row in read(f"bccd:{root}") if row.problem]
    assert bad.id == "bccd-smear_1"
    assert str(file) in bad.problem


def test_a_list_cannot_leave_its_folder(tmp_path):
    root = make_smears(tmp_path / "data")
    (root / "ImageSets" / "Main" / "train.txt").write_text("../../secret\nsmear_0\nsmear_0\n")
    rows = [row for row in read(f"bccd:{root}") if row.split == "train"]
    assert len(rows) == 6
    assert "outside its folder" in rows[0].problem


def test_counts_are_accepted_in_words(tmp_path):
    root = make_smears(tmp_path / "data", smear_2=(5, 2, 0))
    (white,) = [row.fields for row in read(f"bccd:{root}") if row.id == "bccd-smear_2-white-count"]
    assert (white["reference"], white["references"]) == ("2", ["two"])


def test_pubmedqa_rows_that_lack_something_are_rejected(tmp_path):
    good = {"QUESTION": "Is it?", "CONTEXTS": ["a"], "LABELS": ["AIM"], "final_decision": "no"}
    rows = {str(number): good for number in range(30)}
    rows["7"] = good | {"final_decision": True}
    rows["8"] = good | {"LABELS": []}
    rows["9"] = {"QUESTION": "Is it?"}
    rows["10"] = good | {"QUESTION": " "}
    rows["11"] = good | {"QUESTION": 5}
    rows["12"] = None
    truth = {"1": "no", "2": "yes", "99": "no"}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ori_pqal.json").write_text(json.dumps(rows))
    (tmp_path / "data" / "test_ground_truth.json").write_text(json.dumps(truth))
    found = read(f"pubmedqa:{tmp_path}")
    bad = {split: sorted(int(row.id[9:]) for row in found if row.problem and row.split == split) for split in ("test", "train")}
    assert bad == {"test": [2, 99], "train": [7, 8, 9, 10, 11, 12]}
    assert [row.id for row in found if row.split == "test" and not row.problem] == ["pubmedqa-1"]
    assert len(found) == 31
    (tmp_path / "data" / "ori_pqal.json").write_text("[]")
    assert "keyed by PubMed id" in refused(read, f"pubmedqa:{tmp_path}")


def test_a_folder_of_ones_own(tmp_path):
    folder = make_folder(tmp_path / "mine")
    report = run(f"folder:{folder}", tmp_path / "out", sizes=ALL)
    assert report["counts"]["kept"] == 24
    samples = [sample for split in ALL for sample in drawn(tmp_path / "out", split)]
    assert {sample.id: sample.mine for sample in samples}.items() >= {"0-seen": 0, "11-meant": 11}.items()
    assert all(Path(sample.images[0]).parent == folder for sample in samples)
    assert report["licence"] == "unknown"
    assert len({sample.group for sample in samples}) == sum(len({s.group for s in drawn(tmp_path / "out", k)}) for k in ALL) == 12


def test_a_folder_says_its_splits(tmp_path):
    rows = [row | {"split": split} for row, split in zip(make_rows(3), ("test", "probe", "train"), strict=True)]
    rows.append(make_rows(4)[3] | {"split": "validation"})
    run(f"folder:{write_folder(tmp_path / 'in', rows)}", tmp_path / "out", sizes=ALL)
    assert [[sample.id for sample in drawn(tmp_path / "out", split)] for split in ALL] == [["r2"], ["r0"], ["r1"]]
    assert "split is 'validation'" in reasons(tmp_path / "out")["r3"]


def test_a_folder_with_a_table(tmp_path):
    folder = make_folder(tmp_path / "mine", groups=1)
    (folder / "samples.jsonl").unlink()
    table = folder / "samples.csv"
    head = "id,question,reference,references,modality,images\n"
    table.write_text(head + "a,what?,this,it|that,CT_SCAN,0.png\nb,why?,so,,,\n")
    first, second = read(f"folder:{folder}")
    assert first.fields == {"question": "what?", "reference": "this", "references": ["it", "that"], "modality": "CT_SCAN"}
    assert first.pictures == (str(folder / "0.png"),)
    assert (second.fields, second.pictures) == ({"question": "why?", "reference": "so"}, ())
    table.write_bytes(head.encode() + b'c,d,e\na,b,c,d,e,f,g\nx"y,1,2\n"a\xff",b,c,,,\n"torn')
    rows = read(f"folder:{folder}")
    assert len(rows) == 5
    assert "more cells" in rows[1].problem
    assert rows[4].problem


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{torn", "row 25: not valid JSON"),
        (b"[1]", "expected a JSON object"),
        (b'{"question": "Which?", "reference": "r"}', "no id"),
        (b'{"id": 5, "question": "Which?", "reference": "r"}', "no id"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "images": {"a": 1}}', "must be a list of paths"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "images": ["a\\u0000"]}', "must be a list of paths"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "modality": "XRAY"}', "unknown modality 'XRAY'"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "x": NaN}', "NaN is not JSON"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "x": 1e999}', "cannot"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "group": "\\ud800"}', "cannot"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "options": ["\\ud800"]}', "cannot"),
        (b'{"id": "0-seen", "question": "Which?", "reference": "r"}', "stands twice"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "images": ["no.png"], "modality": "CT_SCAN"}', "No such file"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "images": ["a b\\ud800.png"]}', "cannot read image"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "images": [""]}', "not a regular file"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "images": ["/dev/zero"]}', "not a regular file"),
        (b'{"id": "x", "question": "Which?", "reference": "r", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
    ],
)
def test_a_bad_line_in_a_folder_is_rejected_alone(tmp_path, line, said):
    folder = make_folder(tmp_path / "mine")
    with (folder / "samples.jsonl").open("ab") as handle:
        handle.write(line + b"\n")
    report = run(f"folder:{folder}", tmp_path / "out")
    assert (report["counts"]["kept"], report["counts"]["rejected"]) == (24, 1)
    (row,) = read_jsonl(tmp_path / "out" / "rejected.jsonl")
    assert said in row["reason"]


def test_odd_fields_are_kept_and_harm_nothing(tmp_path):
    odd = {"language": ["a"], "kind": "$\\frac$", "source": "a$b^^$c\n<script>", "model_dump": 1, "reason": 2, "number": 3}
    run(f"folder:{write_folder(tmp_path / 'in', [*make_rows(3), make_rows(4)[3] | odd])}", tmp_path / "out")
    kept = read_jsonl(tmp_path / "out" / "samples_train.jsonl")[3]
    assert odd.items() <= kept.items()
    assert "<script>" not in (tmp_path / "out" / "curation.html").read_text()


def medix_table(path: Path, name: str, rows: list[dict]) -> None:
    """A Parquet file in the schema of `MBZUAI/medix-rl-data`."""
    path.mkdir(exist_ok=True)
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    table.to_parquet(str(path / name))


def medix_row(number: int, solution: str, picture: bytes | None) -> dict:
    image = {"bytes": picture, "path": None} if picture else None
    return {"id": number, "image": image, "source": "s", "problem": f"<image>What is sign {number}?", "solution": solution}


def test_parquet_in_the_published_schema(tmp_path):
    rows = [
        medix_row(0, "<CT_SCAN> A cyst.", png(noise(0))),
        medix_row(1, "<ct_scan>a stone", png(noise(1))),
        medix_row(2, "a stone", png(noise(2))),
        medix_row(3, "<XRAY> a stone", png(noise(3))),
        medix_row(4, "<CT_SCAN> gout", None),
        medix_row(5, "<CT_SCAN> a tear", b"\x89PNG no more"),
    ]
    medix_table(tmp_path / "in", "train-00000.parquet", rows)
    medix_table(tmp_path / "in", "test-00000.parquet", [medix_row(6, "<MRI_SCAN> a clot", png(noise(6)))])
    run(f"parquet:{tmp_path / 'in'}", tmp_path / "out", sizes={"train": 9, "test": 9})
    train, test = (drawn(tmp_path / "out", split) for split in ("train", "test"))
    assert [(s.id, s.question, s.reference, s.modality) for s in (*train, *test)] == [
        ("0", "What is sign 0?", "A cyst.", "CT_SCAN"),
        ("1", "What is sign 1?", "a stone", "CT_SCAN"),
        ("4", "What is sign 4?", "gout", None),
        ("6", "What is sign 6?", "a clot", "MRI_SCAN"),
    ]
    assert np.array_equal(np.asarray(Image.open(train[0].images[0])), np.asarray(noise(0)))
    said = reasons(tmp_path / "out")
    assert "does not start with a modality tag" in said["2"]
    assert "unknown modality 'XRAY'" in said["3"]
    assert "cannot read image in the table" in said["5"]


@pytest.mark.parametrize("damage", ["cut", "not Parquet", "other columns"])
def test_a_damaged_parquet_file_is_named(tmp_path, damage):
    medix_table(tmp_path, "train.parquet", [medix_row(0, "<CT_SCAN> a cyst", png(noise(0)))])
    content = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(content[: len(content) // 2] if damage == "cut" else b"PAR1" * 9)
    if damage == "other columns":
        datasets.Dataset.from_list([{"id": 1, "image": 5, "problem": "q", "solution": "s"}]).to_parquet(
            str(tmp_path / "train.parquet")
        )
    assert "train.parquet" in refused(read, f"parquet:{tmp_path}")


# Multiple choice


def choice(question: str, right: str = "Thiamine", *others: str) -> Choice:
    return Choice(question, [right, *(others or ("Riboflavin", "Niacin", "Folate"))], 0)


@pytest.mark.parametrize(
    "asked",
    [
        choice("Which vitamin is deficient in beriberi?"),
        choice("What is the name of the nerve that supplies the diaphragm?", "Phrenic nerve."),
        choice("Which enzyme converts angiotensin I to angiotensin II?", "Angiotensin-converting enzyme"),
    ],
)
def test_what_stands_without_its_options_is_made_open(asked):
    assert why_not_open(asked) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (choice("Which vitamin listed above is deficient in beriberi?"), "it refers to its options"),
        (choice("Which vitamin is not soluble in water?"), "it asks for what is not so"),
        (choice("Which vitamin is the most important for nerves?"), "depends on what it is compared with"),
        (choice("Which vitamin is shown in the figure?"), "it needs a picture"),
        (choice("Beriberi is caused by"), "it does not ask for one thing"),
        (choice("Which vitamin is deficient in beriberi?", "All of the above"), "its answer refers to the options"),
        (choice("Which vitamin is deficient in beriberi?", "Thiamine", "Niacin", "None of the above"), "its options"),
        (choice("Which vitamin is deficient in beriberi?", "yes"), "a yes, a no or a single sign"),
        (choice("Which vitamin is deficient in beriberi?", "thiamine and niacin"), "its answer is a list"),
        (choice("", "Thiamine"), "it does not ask"),
    ],
)
def test_what_leans_on_its_options_is_left_out_with_the_reason(asked, said):
    assert said in why_not_open(asked)


@pytest.mark.parametrize(
    ("name", "content", "rows", "unread"),
    [
        ("a.csv", b"Which vitamin is it?,Thiamine,Niacin,A\n", 1, 0),
        ("b.csv", b"Which vitamin is it?,Thiamine,Niacin,Q\nx,y\n", 2, 2),
        ("c.jsonl", b'{"question": "q", "options": {"A": "x", "B": "y"}, "answer": "y", "answer_idx": "B"}\n{"question', 2, 1),
        ("d.json", b'{"question": "q", "opa": "1", "opb": "2", "opc": "3", "opd": "4", "cop": 4}', 1, 0),
        ("e.json", b'[{"question": "q", "opa": "1", "opb": "2", "opc": "3", "opd": "4", "cop": 5}, 7, null, "x"]', 4, 4),
        ("f.jsonl", b'{"question": "q", "opa": "1", "opb": "2", "opc": "3", "opd": "4", "cop": 1e999}\n', 1, 1),
        ("g.json", b'{"1": {"QUESTION": "Is it?", "CONTEXTS": ["a"], "LABELS": ["A"], "final_decision": "yes"}, "2": {}}', 2, 1),
    ],
)
def test_each_question_of_a_file_is_accounted_for(tmp_path, name, content, rows, unread):
    (tmp_path / name).write_bytes(content)
    found = [choice for _, choice in read_choices(tmp_path / name)]
    assert len(found) == rows == len(list(read_mcq(tmp_path)))
    bad = [choice for choice in found if isinstance(choice, str)]
    assert len(bad) == unread
    assert all(name in choice for choice in bad)


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", b"[" * 10**5), ("b.csv", b'"' + b"x" * 200_000 + b'",b,A\n'), ("c.csv", b"\xff\xfe,b,A\n")]
)
def test_a_file_that_cannot_be_parsed_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert name in refused(lambda: list(read_choices(tmp_path)))


# Checks


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": " \n"}, "the question is empty"),
        ({"question": "x " * 10_001}, "the question has 20002 characters"),
        ({"reference": "\t"}, "the reference is empty"),
        ({"reference": "x" * 2001}, "2001 characters"),
        ({"reference": "B"}, None),
        ({"question": "Which one? A. liver B. spleen", "reference": "(B)."}, "only the label of an option"),
        ({"reference": "B", "options": ["liver", "spleen"]}, "only the label of an option"),
        ({"reference": "B", "options": ["A", "B"]}, None),
        ({"modality": "CT_SCAN"}, "no picture"),
        ({"images": ["a.png"]}, "no modality"),
        ({"images": ["a.png"], "modality": "CT_SCAN"}, None),
        ({"question": "Where is the Gallstone, then?", "reference": "gallstone"}, "stands in the question"),
        ({"question": "Where are gallstones?", "reference": "gallstone"}, None),
        ({"question": "Is it a gallstone or a polyp?", "reference": "gallstone"}, None),
        ({"question": "Sum up: gallstone.", "reference": "gallstone", "graded": True}, None),
        ({"question": f"Context: gallstone.{QUESTION_LINE}What is it?", "reference": "gallstone"}, None),
        ({"question": "Is a yes a yes?", "reference": "yes"}, None),
        ({"reference": 5}, "field 'reference'"),
        ({"options": [str(number) for number in range(27)]}, "field 'options'"),
    ],
)
def test_checks_say_what_is_wrong(change, said):
    fields = {"question": "What is seen?", "reference": "r"} | change
    row = Row("x", "train", {key: value for key, value in fields.items() if key != "images"})
    if said:
        assert said in refused(check_row, row, "folder", fields.get("images", []))
    else:
        assert check_row(row, "folder", fields.get("images", [])).id == "x"


def test_a_modality_from_the_picture_fills_a_gap_only():
    row = Row("x", "train", {"question": "What is seen?", "reference": "r"})
    assert check_row(row, "s", ["a.png"], "CT_SCAN").modality == "CT_SCAN"
    said = row._replace(fields=row.fields | {"modality": "MRI_SCAN"})
    assert check_row(said, "s", ["a.png"], "CT_SCAN").modality == "MRI_SCAN"


def test_other_languages_are_marked_and_kept(tmp_path):
    french = "Quelle est la cause la plus fréquente de la douleur chez ce patient âgé ?"
    assert other_language(french) == "fr"
    assert other_language("What is the cause of the pain in this elderly patient of ours?") is None
    assert other_language("Quelle est la cause ?") is None
    rows = [*make_rows(3), {"id": "f", "question": french, "reference": "gout"}]
    report = run(f"folder:{write_folder(tmp_path / 'in', rows)}", tmp_path / "out")
    assert report["by_language"]["train"] == {"en": 3, "fr": 1}
    assert [sample.language for sample in drawn(tmp_path / "out", "train") if sample.id == "f"] == ["fr"]


@pytest.mark.parametrize("image_size", [None, 24])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "bomb"])
def test_a_broken_picture_is_rejected_with_a_reason(tmp_path, damage, image_size):
    root = make_smears(tmp_path / "data")
    picture = root / "JPEGImages" / "smear_0.jpg"
    content = picture.read_bytes()
    picture.unlink()
    if damage != "missing":
        huge = png(noise(0)).replace((20).to_bytes(4, "big") + (16).to_bytes(4, "big"), (60_000).to_bytes(4, "big") * 2)
        picture.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "text": b"GIF?", "bomb": huge}[damage])
    report = run(f"bccd:{root}", tmp_path / "out", sizes=ALL, image_size=image_size)
    assert report["counts"]["rejected"] == 5
    for name, reason in reasons(tmp_path / "out").items():
        assert name.startswith("bccd-smear_0-")
        assert f"cannot read image {picture}" in reason
        assert " at 0x" not in reason
    (root / "JPEGImages" / "smear_1.jpg").write_bytes(b"")
    message = refused(curate, f"bccd:{root}", tmp_path / "again", sizes=ALL, seed=0, image_size=image_size)
    assert "no usable sample for train; cannot read image" in message
    assert not list((tmp_path / "again").glob("*.json*"))


def test_words_inside_a_picture_file_do_not_travel(tmp_path):
    folder = make_folder(tmp_path / "in", groups=2)
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "DOE^JANE")
    noise(0).save(folder / "0.png", pnginfo=note)
    run(f"folder:{folder}", tmp_path / "out", image_size=18)
    assert not [name for name in files_of(tmp_path / "out") if b"DOE^JANE" in (tmp_path / "out" / name).read_bytes()]


# Leaks and splits


@pytest.mark.parametrize(
    ("tie", "said"),
    [
        ({"group": "p0"}, "tied by group to t in test"),
        ({"images": ["copy.bmp"], "modality": "CT_SCAN"}, "tied by picture to t in test"),
        ({"question": "WHICH side is the nodule on", "reference": "Left.", "references": ["left side"]}, "t"),
    ],
)
def test_a_training_row_tied_to_a_test_row_is_rejected(tmp_path, tie, said):
    folder = tmp_path / "in"
    folder.mkdir()
    noise(0).save(folder / "a.png")
    noise(0).save(folder / "copy.bmp")
    test = {"id": "t", "split": "test", "question": "Which side is the nodule on?", "reference": "left", "group": "p0"}
    test |= {"images": ["a.png"], "modality": "CT_SCAN"} if "images" in tie else {}
    tied = {"id": "x", "question": "Which organ is seen here?", "reference": "a lung"} | tie
    write_folder(folder, [*make_rows(5), tied, test])
    run(f"folder:{folder}", tmp_path / "out", sizes={"train": 9, "test": 9})
    (found,) = reasons(tmp_path / "out").items()
    assert found[0] == "x"
    assert said in found[1]
    assert [sample.id for sample in drawn(tmp_path / "out", "test")] == ["t"]


def test_a_chain_of_ties_is_followed(tmp_path):
    rows = make_rows(6)
    rows[0] |= {"split": "test", "group": "p"}
    rows[1] |= {"group": "p", "images": ["a.png"], "modality": "CT_SCAN"}
    rows[2] |= {"images": ["b.png"], "modality": "CT_SCAN"}
    folder = write_folder(tmp_path / "in", rows)
    for name in "ab":
        noise(0).save(folder / f"{name}.png")
    run(f"folder:{folder}", tmp_path / "out", sizes={"train": 9, "test": 9})
    said = reasons(tmp_path / "out")
    assert said.keys() == {"r1", "r2"}
    assert all(reason.startswith("leak: tied by ") and reason.endswith(" to r0 in test") for reason in said.values())


def test_groups_of_different_sources_are_different(tmp_path):
    rows = [row | {"group": "p"} for row in make_rows(4)]
    rows[0] |= {"split": "test", "source": "one"}
    run(f"folder:{write_folder(tmp_path / 'in', rows)}", tmp_path / "out", sizes={"train": 9, "test": 9})
    assert reasons(tmp_path / "out") == {}


def test_nothing_that_belongs_together_is_divided(tmp_path):
    rng = random.Random(0)
    rows = [row | {"group": f"p{rng.randrange(150)}"} for row in make_rows(600)]
    report = run(f"folder:{write_folder(tmp_path / 'in', rows)}", tmp_path / "out", sizes=ALL)
    assert report["counts"]["rejected"] == 0
    groups = {split: {sample.group for sample in drawn(tmp_path / "out", split)} for split in ALL}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["probe"]
    assert not groups["test"] & groups["probe"]
    assert 40 < report["counts"]["splits"]["test"]["kept"] < 90


def test_a_benchmarks_picture_is_found(tmp_path):
    ours = write_folder(tmp_path / "ours", [row | {"modality": "CT_SCAN"} for row in make_rows(4)])
    theirs = write_folder(tmp_path / "theirs", [make_rows(9)[8] | {"images": ["b.jpg"], "modality": "CT_SCAN"}])
    rows = [row | {"images": [f"{n}.png"], "modality": "CT_SCAN"} for n, row in enumerate(make_rows(4))]
    write_folder(ours, rows)
    for number in range(4):
        noise(number, (64, 64)).resize((256, 256)).save(ours / f"{number}.png")
    noise(2, (64, 64)).resize((256, 256)).resize((128, 128)).save(theirs / "b.jpg", quality=90)
    report = run(f"folder:{ours}", tmp_path / "out", benchmarks=[f"folder:{theirs}"])
    assert reasons(tmp_path / "out") == {"r2": "it stands in a benchmark by picture: r8"}
    assert (report["counts"]["in"], report["leaks"]) == (4, 1)


def test_leaks_by_text_need_most_of_a_question():
    asked = "A 54-year-old man has crushing chest pain that spreads to the jaw; which artery is most likely blocked?"
    index = TextIndex([("b1", asked, ["left anterior descending", "circumflex"]), ("b2", "What is this?", ["a cyst", "a stone"])])

    def leaks(question, **fields):
        return [name for name, _ in index.leaks(Sample(id="x", question=question, reference="r", **fields))]

    assert leaks(asked) == leaks(f"Read this. {asked.upper()} Think.") == ["b1"]
    assert leaks(asked.partition(";")[0][:40]) == leaks("Which artery is most likely blocked?") == []
    assert leaks("What is this?") == leaks("What is this?", options=["a nerve", "a vein"]) == []
    assert leaks("What is this?", options=["a cyst", "a stone"]) == ["b2"]


# Licences


@pytest.mark.parametrize(
    ("licences", "mixed"),
    [
        (["mit"], "mit"),
        (["MIT", "mit"], "mit"),
        (["unknown"], "unknown"),
        (["mit", "cc-by-sa-4.0"], "cc-by-sa-4.0"),
        (["mit", "cc-by-nc-4.0"], "cc-by-nc-4.0"),
        (["apache-2.0", "cc-by-nc-sa-4.0"], "cc-by-nc-sa-4.0"),
        (["mit", "apache-2.0"], "other"),
        (["mit", "unknown"], None),
        (["unknown", "unknown"], None),
        (["cc-by-nd-4.0", "cc-by-nd-4.0"], None),
        (["cc-by-sa-4.0", "cc-by-sa-4.0"], "cc-by-sa-4.0"),
        (["mit", "cc-by-nd-4.0"], None),
        (["mit", "cc-by-nc-nd-4.0"], None),
        (["cc-by-sa-4.0", "gpl-3.0"], None),
        (["cc-by-sa-4.0", "cc-by-nc-4.0"], None),
        (["cc-by-sa-4.0", "cc-by-nc-sa-4.0"], None),
    ],
)
def test_licences_are_mixed_only_where_they_may_be(licences, mixed):
    if mixed:
        assert licence_of_mix(licences) == mixed == licence_of_mix(licences[::-1])
    else:
        assert "may not be mixed" in refused(licence_of_mix, licences)
        assert licence_of_mix(licences, allow=True) == "other"


def test_a_folder_says_its_licence_in_its_card(tmp_path):
    folder = write_folder(tmp_path / "in", make_rows(3))
    for text, licence in (
        ("---\nlicense: cc-by-4.0\n---\n# Mine", "cc-by-4.0"),
        ("# Mine", "unknown"),
        ("---\n[torn", "unknown"),
        ("---\n- a\n---\n", "unknown"),
        ("---\na: [\n---\n", "unknown"),
        ("---\nlicense: 'a: b'\n---\n", "unknown"),
    ):
        (folder / "README.md").write_text(text)
        assert licence_of(f"folder:{folder}") == licence


def test_a_mix_of_sources_is_refused_or_allowed_by_its_flag(tmp_path):
    folder, smears = write_folder(tmp_path / "in", make_rows(9)), make_smears(tmp_path / "data")
    specs = [f"folder:{folder}", f"bccd:{smears}"]
    message = refused(curate, specs, tmp_path / "out", sizes=TRAIN, seed=0, image_size=None)
    assert "may not be mixed: mit, unknown" in message
    assert not (tmp_path / "out").exists()
    report = run(specs, tmp_path / "out", allow_mixed_licences=True)
    assert report["licence"] == "other"
    assert report["by_source"]["train"] == {"bccd": 10, "folder": 9}
    (folder / "README.md").write_text("---\nlicense: cc-by-sa-4.0\n---\n")
    assert run(specs, tmp_path / "again")["licence"] == "cc-by-sa-4.0"


# Outputs


def test_curate_writes_what_it_promises(tmp_path):
    out = tmp_path / "out"
    report = run(f"bccd:{make_smears(tmp_path / 'data', smear_0=(5, 0, 2), smear_2=(5, 2, 0))}", out, sizes=ALL, image_size=18)
    assert report == read_json(out / "curation.json")
    assert {split: counts["kept"] for split, counts in report["counts"]["splits"].items()} == {"train": 5, "test": 10, "probe": 9}
    assert (report["counts"]["in"], report["counts"]["rejected"]) == (25, 1)
    assert report["by_kind"]["train"] == {"count": 2, "type": 2, "presence": 1}
    assert report["by_modality"]["test"] == {"MICROSCOPY": 10}
    assert report["by_reference"]["train"]["yes"] == 1
    assert "incomplete" in reasons(out)["bccd-smear_0"]
    names = {file.name for file in out.iterdir()}
    assert names == {*report["sha256"], "curation.json", "images"}
    assert {f"{kind}" for split in ALL for kind in (f"samples_{split}.jsonl", f"{split}.parquet")} < names
    assert all(sha256_of(out / name) == digest for name, digest in report["sha256"].items())


def test_the_cards_header_is_what_the_hub_reads(tmp_path):
    run(f"bccd:{make_smears(tmp_path / 'data')}", tmp_path / "out", sizes={"train": 9, "test": 9})
    before, header, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(header)
    assert before == ""
    assert card["license"] == "mit"
    assert card["task_categories"] == ["visual-question-answering"]
    assert card["size_categories"] == ["n<1K"]
    assert card["configs"][0]["data_files"] == [{"split": split, "path": f"{split}.parquet"} for split in ("train", "test")]
    assert "not for clinical use" in text
    assert "derived from bounding boxes" in text


def test_the_page_opens_without_a_network(tmp_path):
    rows = [*make_rows(5), {"id": "bad", "question": "q", "reference": "r", "images": ["<b>x.png"]}]
    folder = write_folder(tmp_path / "in", rows)
    (folder / "README.md").write_text("---\nlicense: <script>mine\n---\n")
    run(f"folder:{folder}", tmp_path / "out")
    page = (tmp_path / "out" / "curation.html").read_text()
    assert "6 rows read = 5 kept + 1 rejected" in page
    assert 'src="data:image/png;base64,' in page
    assert not re.search(r"https?://|//\w|<script|<link|@import|url\(", re.sub(r"data:image/png;base64,[\w+/=]+", "", page))
    assert "<b>x" not in page


def test_parquet_loads_with_datasets(tmp_path):
    folder, out = make_folder(tmp_path / "in"), tmp_path / "out"
    with (folder / "samples.jsonl").open("a") as handle:
        extra = {"options": ["a", "b"], "facts": {"side": "left"}, "references": ["x"]}
        handle.write(json.dumps({"id": "text", "question": "Which side is it?", "reference": "b"} | extra) + "\n")
    run(f"folder:{folder}", out, sizes={"train": 10**6, "test": 10**6})
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert loaded.keys() == {"train", "test"}
    for split, table in loaded.items():
        samples = drawn(out, split)
        assert len(table) == len(samples)
        for row, sample in zip(table, samples, strict=True):
            assert {name: row[name] for name in ("id", "question", "reference", "group", "modality", "graded")} == {
                name: getattr(sample, name) for name in ("id", "question", "reference", "group", "modality", "graded")
            }
            assert (row["references"], row["options"] or None) == (sample.references, sample.options)
            assert json.loads(row["facts"] or "null") == sample.facts
            assert json.loads(row["extra"] or "{}") == sample.model_extra
            pictures = [np.asarray(Image.open(image)) for image in sample.images]
            assert all(np.array_equal(np.asarray(a), b) for a, b in zip(row["images"], pictures, strict=True))


def test_more_rows_than_asked_for_are_sampled_by_seed(tmp_path):
    spec = f"folder:{write_folder(tmp_path / 'in', make_rows(200))}"
    chosen = {}
    for seed in (0, 1):
        for size in (20, 40):
            report = run(spec, tmp_path / f"{seed}-{size}", sizes={"train": size}, seed=seed)
            assert report["counts"]["splits"]["train"] == {"kept": 200, "drawn": size}
            chosen[seed, size] = {sample.id for sample in drawn(tmp_path / f"{seed}-{size}", "train")}
    assert chosen[0, 20] < chosen[0, 40]
    assert chosen[0, 20] != chosen[1, 20]


def test_a_limit_reads_the_first_rows_of_each_source(tmp_path):
    specs = [f"folder:{write_folder(tmp_path / name, make_rows(50)[start : start + 20])}" for name, start in (("a", 0), ("b", 20))]
    report = run(specs, tmp_path / "out", limit=7, allow_mixed_licences=True)
    assert [sample.id for sample in drawn(tmp_path / "out", "train")] == [f"r{n}" for n in (*range(7), *range(20, 27))]
    assert report["counts"]["in"] == 14


def test_phantoms_are_curated(tmp_path):
    report = run("phantoms", tmp_path / "a", sizes=FEW, seed=5, image_size=64)
    assert {split: counts["drawn"] for split, counts in report["counts"]["splits"].items()} == FEW
    assert report["licence"] == "apache-2.0"
    assert run("phantoms", tmp_path / "b", sizes=FEW, seed=5, image_size=64) == report
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


# The same bytes, resumed or not


def test_a_finished_folder_is_left_alone_repaired_and_not_mixed(tmp_path):
    root, out = make_smears(tmp_path / "data"), tmp_path / "out"
    settings = {"sizes": FEW, "seed": 0, "image_size": 18}
    report = curate(f"bccd:{root}", out, **settings)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.*")}
    assert curate(f"bccd:{root}", out, **settings) == report
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.*")} == before
    (out / "samples_test.jsonl").write_text("lost")
    (out / "train.parquet").unlink()
    assert curate(f"bccd:{root}", out, **settings) == report
    assert all(sha256_of(out / name) == digest for name, digest in report["sha256"].items())
    for name, value in (("seed", 1), ("image_size", 17), ("sizes", ALL), ("limit", 9), ("allow_burned_in", True)):
        message = refused(curate, f"bccd:{root}", out, **settings | {name: value})
        assert f"with other {name};" in message
    (root / "JPEGImages" / "smear_0.jpg").write_bytes(b"")
    assert "with other sources;" in refused(curate, f"bccd:{root}", out, **settings)
    assert read_json(out / "curation.json") == report


def test_work_left_by_other_settings_is_not_used(tmp_path):
    spec = f"folder:{write_folder(tmp_path / 'in', make_rows(9))}"
    (tmp_path / "out" / ".work").mkdir(parents=True)
    (tmp_path / "out" / ".work" / "000000.jsonl").write_text('{"half": "of a run"}\n')
    assert run(spec, tmp_path / "out")["counts"]["kept"] == 9
    assert not (tmp_path / "out" / ".work").exists()


SHARD = 60  # rows, not a thousand, so that a small run has many places to be killed at
LONG = {"sizes": {"train": 900, "test": 60, "probe": 60}, "seed": 1, "image_size": 24}
CURATE = f"""
import sys
import medix_lite.curation.curate as curation
curation.SHARD = {SHARD}
curation.curate(f"folder:{{sys.argv[1]}}", sys.argv[2], **{LONG})
"""


def make_long_run(path: Path) -> Path:
    """Rows enough for a dozen shards: pictures, texts, copies, groups and faults."""
    path.mkdir()
    rows = make_rows(700)
    for number in range(120):
        noise(number, (40, 32)).save(path / f"{number}.png")
        rows[number * 5] |= {"images": [f"{number}.png"], "modality": "CT_SCAN"}
    rows[100]["modality"] = "XRAY"
    (path / "35.png").write_bytes(b"no picture")
    rows += [row | {"id": f"copy-{row['id']}", "question": row["question"].upper()} for row in rows[::40]]
    rows = [row | {"group": f"g{number // 3}"} if number % 2 else row for number, row in enumerate(rows)]
    return write_folder(path, rows)


def start(source: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", CURATE, str(source), str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def kill(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """The source, what an uninterrupted run makes of it, and how long that takes."""
    folder = tmp_path_factory.mktemp("long")
    source, began = make_long_run(folder / "in"), time.monotonic()
    curate(f"folder:{source}", folder / "whole", **LONG)
    return source, files_of(folder / "whole"), time.monotonic() - began


def finish(source: Path, out: Path, monkeypatch) -> dict[str, str]:
    monkeypatch.setattr("medix_lite.curation.curate.SHARD", SHARD)
    curate(f"folder:{source}", out, **LONG)
    return files_of(out)


def kill_and_resume(long_run, tmp_path: Path, monkeypatch, folders: int, kills: int) -> None:
    """Each folder's run is killed at random moments after it began to write, then finished."""
    source, whole, seconds = long_run
    for number in range(folders):
        out, killed = tmp_path / f"out{number}", 0
        while killed < kills:
            process = start(source, out)
            wait_for(out, process)
            time.sleep(random.SystemRandom().random() * seconds * 0.9)
            if process.poll() is None:
                killed += 1
            else:  # it was done already, and another must be killed in its place
                shutil.rmtree(out)
            kill(process)
        assert finish(source, out, monkeypatch) == whole


def test_a_killed_run_resumes_to_the_same_bytes(long_run, tmp_path, monkeypatch):
    kill_and_resume(long_run, tmp_path, monkeypatch, folders=1, kills=2)


def test_several_processes_write_the_same_bytes(long_run, tmp_path, monkeypatch):
    source, whole, _ = long_run
    for module in ("curate", "pictures"):
        monkeypatch.setattr(f"medix_lite.curation.{module}.FEW", 0)
    assert finish(source, tmp_path / "out", monkeypatch) == whole


def test_processes_end_with_a_killed_parent(long_run, tmp_path):
    source = long_run[0]
    code = CURATE.replace("curation.SHARD", "curation.FEW = 0\ncuration.SHARD", 1)
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "out" / ".work" / "000001.jsonl", process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=20)[1]


@pytest.mark.slow
def test_twenty_killed_runs_resume_to_the_same_bytes(long_run, tmp_path, monkeypatch):
    kill_and_resume(long_run, tmp_path, monkeypatch, folders=5, kills=4)


def test_whatever_a_kill_leaves_is_made_whole(long_run, tmp_path, monkeypatch):
    source, whole, _ = long_run
    out = tmp_path / "out"
    process = start(source, out)
    wait_for(out / ".work" / "000004.jsonl", process)
    kill(process)
    (out / ".work" / "000001.jsonl").unlink()
    (out / ".work" / ".000009.jsonl.77.part").write_text('{"torn')
    (out / "images" / ".x.png.77.part").write_bytes(b"\x89PNG")
    assert finish(source, out, monkeypatch) == whole


# The command


def test_the_command_curates_several_sources(tmp_path):
    theirs = [
        f"folder:{write_folder(tmp_path / name, make_rows(60)[cut])}" for name, cut in (("a", slice(30)), ("b", slice(30, 60)))
    ]
    benchmark = write_folder(tmp_path / "c", make_rows(60)[5:7])
    settings = "data.train=20,data.test=2,data.probe=2,image_size=32"
    done = medix(
        "curate",
        "--source",
        theirs[0],
        "--source",
        theirs[1],
        "--benchmark",
        f"folder:{benchmark}",
        "--out",
        tmp_path / "out",
        "--settings",
        settings,
        "--allow-mixed-licences",
    )
    assert done.returncode == 0, done.stderr
    assert "60 rows read = " in done.stdout
    assert "2 leaks" in done.stdout
    assert "train: 20 drawn of" in done.stdout
    assert {row["benchmark_id"] for row in read_jsonl(tmp_path / "out" / "leaks.jsonl")} == {"r5", "r6"}


def test_the_command_refuses_in_one_line(tmp_path):
    folder = write_folder(tmp_path / "in", make_rows(9))
    done = medix("curate", "--source", f"folder:{folder}", "--source", "phantoms", "--out", tmp_path / "out")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("medix-lite: these licences may not be mixed: apache-2.0, unknown")
    assert not (tmp_path / "out").exists()


# Fuzz: whatever comes in, each row is kept or rejected with a reason

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=12)
    | st.sampled_from(ORGANS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
ODD_ROWS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON_VALUES | plain
        for name, plain in {
            "id": st.text(min_size=1, max_size=3),
            "question": st.text(max_size=40),
            "reference": st.text(max_size=9),
            "references": st.lists(st.text(max_size=5), max_size=2),
            "modality": st.sampled_from(["CT_SCAN", "OTHER", "ct"]),
            "images": st.lists(st.sampled_from(["a.png", "b.png", "../a", "no.jpg"]), max_size=2),
            "options": st.lists(st.text(max_size=5), max_size=4),
            "group": st.sampled_from("pq"),
            "split": st.sampled_from(["train", "test", "probe"]),
            "source": st.text(max_size=9),
            "facts": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
            "graded": st.booleans(),
            "kind": st.text(max_size=5),
            "language": st.text(max_size=5),
        }.items()
    },
)


@pytest.mark.slow
# Shrinking would take minutes; the rows that failed are few and are shown.
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(rows=st.lists(ODD_ROWS, min_size=30, max_size=50))
def test_odd_rows_are_accounted_for(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("odd")
    lines = [json.dumps(row).encode() for row in rows]
    write_folder(folder / "in", [*make_rows(3), *lines])
    for number, name in enumerate("ab"):
        noise(number).save(folder / "in" / f"{name}.png")
    report = run(f"folder:{folder / 'in'}", folder / "out", sizes=TRAIN)
    assert report["counts"]["in"] == len(rows) + 3
    shutil.rmtree(folder)


def mutate(content: bytes, rng: random.Random) -> bytes:
    torn = bytearray(content)
    for _ in range(rng.choice((0, 1, 4, 30))):
        at = rng.randrange(len(torn))
        torn[at : at + rng.choice((0, 1, 1, 1, 5))] = bytes(
            rng.choices(b'{}[]",:\\ \x00\xff\xed\xa0\x80e9-x', k=rng.choice((0, 1, 2)))
        )
    return bytes(torn[: rng.randrange(1, len(torn))]) if rng.random() < 0.1 and len(torn) > 2 else bytes(torn) or b"x"


def fuzz(path: Path, n: int, seed: int) -> dict:
    """Curate `n` rows with a picture each: of the lines and of the files every other one is damaged."""
    rng = random.Random(seed)
    path.mkdir()
    lines = []
    for number, row in enumerate(make_rows(n)):
        extra = {"options": [row["reference"], "rest"], "facts": {"a": 1}, "references": ["it"], "group": f"g{number}", "n": 1.5}
        line = json.dumps(row | extra | {"images": [f"{number}.png"], "modality": "CT_SCAN"}).encode()
        lines.append(mutate(line, rng).replace(b"\n", b" ") if number % 2 else line)
        file = io.BytesIO()
        noise(number, (24, 24)).save(file, rng.choice(("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP")))
        damaged = bytearray(file.getvalue())
        for _ in range(rng.choice((1, 3, 20)) if number % 4 > 1 else 0):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (path / f"{number}.png").write_bytes(damaged)
    write_folder(path, lines)
    read_lines = sum(bool(line.strip()) for line in (path / "samples.jsonl").read_bytes().split(b"\n"))
    report = run(f"folder:{path}", path.with_name("out"), sizes=ALL, image_size=24)
    assert report["counts"]["in"] == read_lines
    for reason in reasons(path.with_name("out")).values():
        assert " at 0x" not in reason
    return report["counts"]


def test_damaged_lines_and_pictures_are_accounted_for(tmp_path):
    counts = fuzz(tmp_path / "in", 400, seed=0)
    assert counts["kept"] > 100
    assert counts["rejected"] > 100


@pytest.mark.slow
def test_many_damaged_lines_and_pictures_are_accounted_for(tmp_path):
    n = int(os.environ.get("MEDIX_LITE_FUZZ", "5000"))  # 20,000 take a minute and a half more
    counts = fuzz(tmp_path / "in", n, seed=1)
    assert counts["kept"] > n / 4
    assert counts["rejected"] > n / 4
