"""Sources: files of other people (or the tiny world) in, `Sample`s out, already divided into train, test and probe.

What a source cannot turn into a Sample (an annotation that is missing, a label that nobody knows) is not dropped in
silence: it is a rejected row `{id, source, reason, split}` beside the samples.
"""

import csv
import io
import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..files import InputError, clear_write_errors, read_json, sha256_of
from ..samples import NUMBER_WORDS, Sample, content_id, open_image, read_samples, sample_from_row
from .splits import seeded_order, split_by_group

SPLITS = ("train", "test", "probe")
POSSIBLE = "phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH, hub:ID@REVISION"
QUESTION_LINE = "\nQuestion: "
MAX_XML_BYTES = 1_000_000
BOX = ("xmin", "ymin", "xmax", "ymax")


class About(NamedTuple):
    """What a reader of a data set must know: the licence (the Hub's identifier) and where its labels come from."""

    licence: str
    labels: str


ABOUT = {
    "phantoms": About("apache-2.0", "phantoms drawn by medix_lite from known facts; no patient, no clinician"),
    "bccd": About(
        "mit",
        "derived from bounding boxes, not a clinician's statement; boxes can be missing, so 'no' and counts are noisy; "
        "which pictures are of one patient is not known",
    ),
    "pubmedqa": About("mit", "yes, no or maybe by the PubMedQA annotators, from the abstract"),
    "folder": About("unknown", "as given by whoever made the folder"),
}


class Loaded(NamedTuple):
    """Samples by split, rows that could not become samples, and how many samples each split offered before sampling."""

    splits: dict[str, list[Sample]]
    rejected: list[dict[str, Any]]
    available: dict[str, int]


def load_source(spec: str, out: Path, *, sizes: dict[str, int], seed: int, image_size: int | None) -> dict[str, list[Sample]]:
    """Samples of a source by split (`train`, `test`, `probe`).

    Args:
        spec: `phantoms`, `bccd:PATH`, `pubmedqa:PATH`, `folder:PATH` or `hub:ID@REVISION`.
        out: folder for pictures that are made or resized (`out/images`); nothing is written beside the originals.
        sizes: at most so many samples a split; a split that is absent gets none.
        seed: chooses which samples, when there are more than asked for.
        image_size: pictures become `image_size` x `image_size` pixels (PNG); None leaves the originals in place.
            Phantoms keep the size that they are drawn in.

    Raises:
        InputError: the source is unknown, its path is missing or its files are not what the source promises.
    """
    return read_source(spec, out, sizes=sizes, seed=seed, image_size=image_size).splits


def read_source(spec: str, out: Path, *, sizes: dict[str, int], seed: int, image_size: int | None) -> Loaded:
    """As `load_source`, with the rows that could not become samples and the number available in each split."""
    name, path = parse_spec(spec)
    unknown = set(sizes) - set(SPLITS)
    if unknown or any(size < 0 for size in sizes.values()):
        raise InputError(f"sizes must give numbers of samples for {', '.join(SPLITS)}, not {sizes}")
    rejected: list[dict[str, Any]] = []
    if name == "phantoms":
        splits = _phantoms(out / "images", sizes, seed)
    elif name == "bccd":
        splits, rejected = _bccd(path)
    elif name == "pubmedqa":
        splits, rejected = _pubmedqa(path, seed)
    else:
        splits = split_by_group(read_folder(path), {"train": 0.8, "test": 0.1, "probe": 0.1}, seed)
    available = {split: len(splits[split]) for split in SPLITS}
    splits = {split: take(splits[split], sizes.get(split, 0), seed) for split in SPLITS}
    if image_size is not None and name != "phantoms":
        for sample in (sample for split in SPLITS for sample in splits[split]):
            sample.images = [_resized(Path(image), out / "images", image_size) for image in sample.images]
    return Loaded(splits, rejected, available)


def parse_spec(spec: str) -> tuple[str, Path]:
    """Name and path of a source (the path of `phantoms` is empty).

    Raises:
        InputError: the source is unknown or not available yet, or its path is missing.
    """
    name, _, rest = spec.partition(":")
    if name == "hub":
        raise InputError(f"source {spec!r} is not available yet; use folder:PATH with a samples.jsonl")
    if name not in ABOUT or (name == "phantoms" and rest):
        raise InputError(f"unknown source {spec!r}; use one of {POSSIBLE}")
    if name == "phantoms":
        return name, Path()
    if not rest:
        raise InputError(f"source {name!r} needs a path: {name}:PATH")
    path = Path(rest).expanduser()
    if not path.is_dir():
        raise InputError(f"source {spec!r}: {path} is not a folder; give the folder that holds the data")
    return name, path


def fingerprint(spec: str) -> str:
    """A hash of the files that a source reads (text by content, pictures by size), to notice when they change."""
    name, path = parse_spec(spec)
    if name == "phantoms":
        return "none"
    patterns = {"bccd": "**/Main/*.txt **/*.xml **/*.jpg", "pubmedqa": "data/*.json", "folder": "samples.*"}
    files = {file for pattern in patterns[name].split() for file in path.glob(pattern)}
    if name == "folder":
        files |= {Path(image) for sample in read_folder(path) for image in sample.images}
    text = (".txt", ".xml", ".json", ".jsonl", ".csv")

    def state(file: Path) -> str:
        if not file.is_file():
            return f"{file.name} missing"
        return f"{file.name} {sha256_of(file) if file.suffix.lower() in text else file.stat().st_size}"

    return content_id(*(state(file) for file in sorted(files)))


def take(samples: list[Sample], size: int, seed: int) -> list[Sample]:
    """At most `size` samples, in their old order, chosen by seed and id alone: more rows never reshuffle the choice."""
    chosen = set(seeded_order([sample.id for sample in samples], seed)[:size])
    return [sample for sample in samples if sample.id in chosen]


def _resized(image: Path, folder: Path, size: int) -> str:
    """Path of the resized PNG, named by the original's bytes; a broken picture keeps its path, for the checks."""
    try:
        picture = open_image(image, size)
        target = folder.resolve() / f"{sha256_of(image)[:16]}_{size}.png"
    except InputError:
        return str(image)
    if not target.exists():
        aside = target.with_name(f".{target.name}.{os.getpid()}.part")
        with clear_write_errors(target):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                picture.save(aside, format="PNG")
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)
    return str(target)


def _phantoms(folder: Path, sizes: dict[str, int], seed: int) -> dict[str, list[Sample]]:
    from ..tiny_world.questions import make_samples

    return {split: make_samples(sizes[split], split, seed, folder) if sizes.get(split) else [] for split in SPLITS}


def _bccd(path: Path) -> tuple[dict[str, list[Sample]], list[dict[str, Any]]]:
    """BCCD by its official lists: train, test, and val as the probe."""
    root = path / "BCCD" if (path / "BCCD").is_dir() else path
    splits: dict[str, list[Sample]] = {}
    rejected = []
    for split, listed in {"train": "train", "test": "test", "probe": "val"}.items():
        list_file = root / "ImageSets" / "Main" / f"{listed}.txt"
        try:
            names = list_file.read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise InputError(f"bccd:{path} lacks a readable {list_file}: {error}") from error
        splits[split] = []
        for name in dict.fromkeys(names):
            try:
                if Path(name).name != name:
                    raise InputError("the list names a file outside its folder")
                counts = count_boxes(root / "Annotations" / f"{name}.xml")
                if not (counts["RBC"] and counts["WBC"]):
                    # Looked at: all 20 such pictures show both kinds of cell; the boxes were simply not all drawn.
                    raise InputError("boxes are incomplete: none for red or none for white blood cells")
            except InputError as error:
                rejected.append({"id": f"bccd-{name}", "source": "bccd", "reason": str(error), "split": split})
                continue
            splits[split].extend(_smear_questions(name, root / "JPEGImages" / f"{name}.jpg", counts))
    return splits, rejected


def count_boxes(path: Path) -> Counter[str]:
    """Number of boxes of each kind in a Pascal VOC file; boxes without area are left out.

    Raises:
        InputError: the file is missing, is not XML, or declares a DTD or entities (refused: they can be bombs).
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read annotation {path}: {error}") from error
    if len(content) > MAX_XML_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"annotation {path} is refused: over {MAX_XML_BYTES} bytes, or it declares a DTD or entities")
    try:
        root = ElementTree.fromstring(text)
        counts: Counter[str] = Counter()
        for item in root.iter("object"):
            left, top, right, bottom = (float(item.findtext(f"bndbox/{k}", "")) for k in BOX)
            if right > left and bottom > top:
                counts[item.findtext("name", "")] += 1
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"annotation {path} is not Pascal VOC: {error}") from error
    return counts


def _smear_questions(name: str, image: Path, counts: Counter[str]) -> Iterator[Sample]:
    """Presence, count and type questions of one picture.

    Questions with (nearly) one answer for all pictures are left out (are red cells visible, which kind is the most
    numerous), and so is the count of red cells: in the crowd their boxes are incomplete, and some stand twice.
    """
    white, platelets = counts["WBC"], counts["Platelets"]

    def number(count: int) -> tuple[str, list[str]]:
        return str(count), [NUMBER_WORDS[count]] if count < len(NUMBER_WORDS) else []

    asked: list[tuple[str, str, str, tuple[str, list[str]]]] = [
        ("platelets", "presence", "Are platelets visible in this blood smear?", ("yes" if platelets else "no", [])),
        ("white-count", "count", "How many white blood cells are visible in this blood smear?", number(white)),
    ]
    if platelets:
        question = "How many platelets are visible in this blood smear?"
        asked.append(("platelet-count", "count", question, number(platelets)))
        kinds = ["red blood cells, white blood cells and platelets", "RBC, WBC and platelets"]
        kinds += ["erythrocytes, leukocytes and thrombocytes", "platelets, red and white blood cells"]
    else:
        kinds = ["red and white blood cells", "red blood cells and white blood cells", "white and red blood cells"]
        kinds += ["RBC and WBC", "erythrocytes and leukocytes"]
    asked.append(("kinds", "type", "Which kinds of blood cell are visible in this blood smear?", (kinds[0], kinds[1:])))
    if white != platelets:
        more = ["white blood cells", "white blood cell", "WBC", "leukocytes"]
        more = more if white > platelets else ["platelets", "platelet", "thrombocytes"]
        question = "Apart from red blood cells, which kind of blood cell is the most numerous in this blood smear?"
        asked.append(("most", "type", question, (more[0], more[1:])))
    for topic, kind, question, (reference, references) in asked:
        fields = {"question": question, "reference": reference, "references": references, "kind": kind}
        fields |= {"modality": "MICROSCOPY", "source": "bccd", "group": name, "images": [str(image.resolve())]}
        fields["derived"] = "from bounding boxes, not a clinician's statement"
        yield sample_from_row({"id": f"bccd-{name}-{topic}", **fields}, f"bccd picture {name}")


def _pubmedqa(path: Path, seed: int) -> tuple[dict[str, list[Sample]], list[dict[str, Any]]]:
    """PubMedQA's expert set: the official test ids are the test split; a tenth of the rest is the probe."""
    rows, truth = (read_json(path / "data" / name) for name in ("ori_pqal.json", "test_ground_truth.json"))
    if not isinstance(rows, dict) or not isinstance(truth, dict):
        raise InputError(f"pubmedqa:{path}: ori_pqal.json and test_ground_truth.json must be objects keyed by PubMed id")
    test: list[Sample] = []
    rest: list[Sample] = []
    rejected = []
    for pmid in dict.fromkeys([*rows, *truth]):
        try:
            sample = _abstract_question(pmid, rows.get(pmid), truth.get(pmid))
        except (InputError, KeyError, TypeError, ValueError) as error:
            reason = f"not a PubMedQA row: {type(error).__name__} {error}"
            split = "test" if pmid in truth else "train"
            rejected.append({"id": f"pubmedqa-{pmid}", "source": "pubmedqa", "reason": reason, "split": split})
            continue
        (test if pmid in truth else rest).append(sample)
    return split_by_group(rest, {"train": 0.9, "probe": 0.1}, seed) | {"test": test}, rejected


def _abstract_question(pmid: str, row: dict[str, Any] | None, official: str | None) -> Sample:
    """One row as a text-only Sample: contexts with their labels, then the question (`build_prompt` cuts the start)."""
    if row is None:
        raise ValueError("a test id without a row in ori_pqal.json")
    answer = row["final_decision"]
    if answer not in ("yes", "no", "maybe") or official not in (None, answer):
        raise ValueError(f"final_decision is {answer!r}, the official test answer {official!r}")
    contexts = [f"{label}: {text}" for label, text in zip(row["LABELS"], row["CONTEXTS"], strict=True)]
    question = f"Context: {' '.join(contexts)}{QUESTION_LINE}{row['QUESTION']} Answer yes, no or maybe."
    fields = {"question": question, "reference": answer, "source": "pubmedqa", "group": pmid, "kind": "yes/no/maybe"}
    return sample_from_row({"id": f"pubmedqa-{pmid}", **fields}, f"PubMed id {pmid}")


def read_folder(path: Path) -> list[Sample]:
    """Samples of `samples.jsonl`, or else of `samples.csv`, in a folder; image paths are relative to it.

    A CSV has the columns of a sample; several images, references or options in one cell are separated by `|`.

    Raises:
        InputError: neither file is there, or a row is not a sample; the message names file and row.
    """
    if (path / "samples.jsonl").is_file():
        return read_samples(path / "samples.jsonl")
    file = path / "samples.csv"
    if not file.is_file():
        raise InputError(f"folder:{path} holds neither samples.jsonl nor samples.csv")
    try:
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    samples = []
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise InputError(f"{file}, row {number}: more cells than the header has columns")
        filled: dict[str, Any] = {key: value for key, value in row.items() if value}
        for key in {"images", "references", "options"} & set(filled):
            filled[key] = [part.strip() for part in filled[key].split("|") if part.strip()]
        sample = sample_from_row(filled, f"{file}, row {number}")
        sample.images = [os.path.abspath(path / image) for image in sample.images]
        samples.append(sample)
    return samples
