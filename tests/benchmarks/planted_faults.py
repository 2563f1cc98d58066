"""Planted faults: how many of 2,000 are found among 20,000 clean samples, and how many clean ones are lost.

    python tests/benchmarks/planted_faults.py [CLEAN] [FAULTS] [SEED]

The clean samples are phantoms given as a folder of somebody's files, so that every check runs on them. They are a hard clean
set: many look alike (one finding, one modality, other noise) and ask the same. Prints recall by kind and ends with one line.
"""

import io
import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from medix_lite.curation.curate import curate
from medix_lite.files import read_jsonl, write_jsonl
from medix_lite.tiny_world.questions import generate

EXACT = (
    "exact copy", "copy in another lossless format", "copy in other case", "copy with other punctuation", "copy with another unit",
    "id twice", "truncated picture", "empty picture", "missing picture", "no picture at all", "too many pixels promised",
    "too small", "too long", "one colour", "unknown tag", "no tag", "empty question", "empty reference", "over-long reference",
    "label for a reference", "answer in the question", "torn line", "contradiction", "patient in two splits", "benchmark text",
    "benchmark picture",
)  # fmt: skip
NEAR = (
    "rescaled copy",
    "recompressed copy",
    "cropped copy",
    "brighter or darker copy",
    "reworded copy",
    "recompressed benchmark picture",
)
SMEARED = "ferritin 12 ng/ml after two weeks of oral iron in a runner whose haemoglobin fell from one season to the next"


def jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def cropped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without 5% of each side, taken off anywhere."""
    lost = [round(0.05 * side) for side in picture.size]
    x, y = (int(rng.integers(0, most + 1)) for most in lost)
    return picture.crop((x, y, x + picture.width - lost[0], y + picture.height - lost[1]))


def reworded(question: str, rng: np.random.Generator) -> str:
    """The same in other words around it: fillers and order change, the content stays."""
    before, _, asked = question.rpartition(". ")
    asked = asked[0].lower() + asked[1:]
    ways = (
        f"Please tell me, {asked.rstrip('?.')}: {before}.",
        f"{before}. Looking at this picture, {asked}",
        f"{before}. Can you say {asked}",
        f"Question: {asked} ({before})",
        f"{before}. In the image given here, {asked} Please answer.",
    )
    return ways[rng.integers(len(ways))]


def plant(kind: str, row: dict, fresh: dict, picture: Image.Image, folder: Path, name: str, rng: np.random.Generator) -> dict | str:
    """A faulty row. `row` is a clean row with `picture`, `fresh` one that stands nowhere else, its picture written already."""
    copy = row | {"id": name, "group": f"another-{name}"}
    file = f"{name}.png"

    def with_file(content: bytes) -> dict:
        (folder / file).write_bytes(content)
        return (copy if "copy" in kind else fresh) | {"images": [file]}

    def with_picture(changed: Image.Image) -> dict:
        changed.save(folder / file)
        return copy | {"images": [file]}

    if kind == "exact copy":
        return copy
    if kind == "copy in another lossless format":
        picture.save(folder / f"{name}.bmp")
        return copy | {"images": [f"{name}.bmp"]}
    if kind == "copy in other case":
        return copy | {"question": row["question"].upper()}
    if kind == "copy with other punctuation":
        return copy | {"question": re.sub(r"\s", "  ", row["question"].replace(".", " –").replace("?", " ??"))}
    if kind == "copy with another unit":
        size = int(row["reference"].split()[0])
        return copy | {"reference": f"{size / 10:g} cm"}
    if kind == "id twice":
        return fresh | {"id": row["id"]}
    if kind == "truncated picture":
        return with_file((folder / fresh["images"][0]).read_bytes()[:-200])
    if kind == "empty picture":
        return with_file(b"")
    if kind == "missing picture":
        return fresh | {"images": ["nowhere.png"]}
    if kind == "no picture at all":
        return with_file(b"<html>404</html>")
    if kind == "too many pixels promised":
        content = bytearray((folder / fresh["images"][0]).read_bytes())
        content[16:24] = (60_000).to_bytes(4, "big") * 2
        return with_file(bytes(content))
    if kind in ("too small", "too long", "one colour"):
        shown = {
            "too small": picture.resize((9, 9)),
            "too long": picture.resize((640, 20)),
            "one colour": Image.new("RGB", (64, 64), "teal"),
        }
        shown[kind].save(folder / file)
        return fresh | {"images": [file]}
    if kind == "unknown tag":
        return fresh | {"modality": "XRAY"}
    if kind == "no tag":
        return fresh | {"modality": None}
    if kind in ("empty question", "empty reference"):
        return fresh | {kind.split()[1]: " \n"}
    if kind == "over-long reference":
        return fresh | {"reference": "findings " * 300}
    if kind == "label for a reference":
        return fresh | {"options": ["pneumonia", "effusion", "normal"], "reference": "B"}
    if kind == "answer in the question":
        return fresh | {
            "question": "A case of sarcoidosis of the lung. What is it?",
            "reference": "sarcoidosis of the lung",
            "options": None,
            "graded": False,
        }
    if kind == "torn line":
        return json.dumps(fresh)[:-20]
    if kind == "contradiction":
        return copy | {"reference": "something else entirely"}
    if kind == "patient in two splits":
        return fresh | {"group": row["group"], "split": "train"}
    if kind == "benchmark text":
        return fresh | {"question": f"Read this first. {row['question']} Answer shortly.", "images": [], "modality": None}
    if kind == "benchmark picture":
        return fresh | {"images": row["images"]}
    if kind == "recompressed benchmark picture":
        (folder / f"{name}.jpg").write_bytes(jpeg(picture, int(rng.integers(60, 91))))
        return fresh | {"images": [f"{name}.jpg"]}
    if kind == "rescaled copy":
        side = int(64 * rng.choice([0.5, 0.75, 1.5, 2.0]))
        return with_picture(picture.resize((side, side), Image.Resampling.LANCZOS))
    if kind == "recompressed copy":
        (folder / f"{name}.jpg").write_bytes(jpeg(picture, int(rng.integers(60, 91))))
        return copy | {"images": [f"{name}.jpg"]}
    if kind == "cropped copy":
        return with_picture(cropped(picture, rng))
    if kind == "brighter or darker copy":
        return with_picture(ImageEnhance.Brightness(picture).enhance(float(rng.choice([0.75, 0.85, 1.15, 1.25]))))
    if kind == "reworded copy":
        return copy | {"question": reworded(row["question"], rng)}
    raise ValueError(kind)


def clean_rows(n: int, split: str, seed: int, folder: Path):
    """Phantoms as somebody's files, one in ten of them for test; text-only questions that say their answer are left out."""
    told, made = set(), 0
    for sample, picture in generate(2 * n, split, seed):
        row = sample.model_dump(exclude={"facts", "source", "references"})
        if picture is None:
            fact = (sample.facts["family"], sample.facts.get("target"), sample.reference)
            if sample.reference in sample.question or fact in told or sample.graded:
                continue
            told.add(fact)
        else:
            Image.fromarray(picture).save(folder / sample.images[0])
        row["split"] = "test" if made % 10 == 9 else "train"
        yield row
        made += 1
        if made == n:
            return


def main(clean: int = 20_000, faults: int = 2_000, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as work:
        source, benchmark = Path(work, "source"), Path(work, "benchmark")
        source.mkdir(), benchmark.mkdir()
        rows = list(clean_rows(clean, "train", seed, source))
        fresh = [row for row in clean_rows(faults + faults // 5, "probe", seed + 1, source) if row["images"]]
        known = [row for row in clean_rows(200 + faults // 5, "test", seed + 2, benchmark) if row["images"]]
        texts = [
            f"Patient {i} of ward {i % 7}: {SMEARED}, seen {i} days ago by doctor {i * 37 % 91}; which test comes next?"
            for i in range(200)
        ]
        write_jsonl(
            benchmark / "samples.jsonl",
            known + [{"id": f"text-{i}", "question": text, "reference": "none"} for i, text in enumerate(texts)],
        )
        # Each original is used once, so that no fault hides another.
        shown = [row for row in rows if row["images"] and row["split"] == "train"]
        rng.shuffle(shown)
        sized = [row for row in shown if re.fullmatch(r"\d+ mm", row["reference"])]
        shown = [row for row in shown if row not in sized]
        tested = [row for row in rows if row["images"] and row["split"] == "test"]
        kinds = EXACT + NEAR
        planted: dict[str, str] = {}
        lines: list[dict | str] = []
        for i in range(faults):
            kind, name = kinds[i % len(kinds)], f"planted-{i:05d}"
            folder = benchmark if "benchmark" in kind else source
            pool = {"copy with another unit": sized, "patient in two splits": tested}.get(
                kind, known if folder == benchmark else shown
            )
            row = pool.pop()
            picture = Image.open(folder / row["images"][0]).convert("RGB")
            if kind == "benchmark text":
                row = {"question": texts[rng.integers(len(texts))]}
            if kind == "benchmark picture":
                picture.save(source / f"{name}-bench.png")
                row = row | {"images": [f"{name}-bench.png"]}
            bad = plant(kind, row, fresh.pop() | {"id": name, "split": "train"}, picture, source, name, rng)
            planted[name] = kind
            lines.append(bad)
        # A copy stands after its original: the first read stays.
        everything = rows + [lines[i] for i in rng.permutation(len(lines))]
        with (source / "samples.jsonl").open("w") as handle:
            handle.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in everything)
        started = time.perf_counter()
        report = curate(
            f"folder:{source}",
            Path(work, "out"),
            sizes={"train": 10**6, "test": 10**6},
            seed=0,
            image_size=None,
            benchmarks=[f"folder:{benchmark}"],
        )
        seconds = time.perf_counter() - started
        rejected = read_jsonl(Path(work, "out", "rejected.jsonl"))

    assert report["counts"]["in"] == len(everything) == report["counts"]["kept"] + report["counts"]["rejected"]
    reasons = {row["id"]: row["reason"] for row in rejected}
    torn = sum("not valid JSON" in row["reason"] for row in rejected)
    twice = sum("stands twice" in row["reason"] for row in rejected)
    found = Counter(planted[name] for name in reasons if name in planted) | Counter({"torn line": torn, "id twice": twice})
    # Both sides of a contradiction are out: which of them is wrong nobody knows.
    partners = Counter(kind for kind in planted.values() if kind == "contradiction").total()
    lost = [
        row
        for row in rejected
        if row["id"] not in planted and "not valid JSON" not in row["reason"] and "stands twice" not in row["reason"]
    ]
    wrong = [row for row in lost if "with another answer" not in row["reason"]]
    wrong += [row for row in lost if "with another answer" in row["reason"]][partners:]
    counts = Counter(planted.values())
    for kind in kinds:
        sort = "exact" if kind in EXACT else "near "
        print(f"{sort} {kind:32} {found[kind]:4} of {counts[kind]:4}  {found[kind] / counts[kind]:.3f}")
    missed = {row["id"]: row for row in lines if isinstance(row, dict) and row["id"] in planted and row["id"] not in reasons}
    for name, row in list(missed.items())[:20]:
        print("missed:", planted[name], "|", row["question"], "|", row["images"])
    for row in wrong[:20]:
        print("lost:", row)
    exact = sum(found[kind] for kind in EXACT) / sum(counts[kind] for kind in EXACT)
    worst = min(found[kind] / counts[kind] for kind in NEAR)
    print(f"{seconds:.0f} s; worst near kind {worst:.3f}; {len(wrong)} of {clean} clean samples lost")
    near = sum(found[kind] for kind in NEAR) / sum(counts[kind] for kind in NEAR)
    print(f"recall {exact:.4f} exact, {near:.4f} near, false rejections {len(wrong) / clean:.4%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
