"""BCCD: blood smears with Pascal VOC boxes in, Rows out. What is asked is derived from the boxes; no clinician said it."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files import InputError, read_table
from ..samples import NUMBER_WORDS
from .rows import Row, as_input_error, bad_row

LISTS = {"train": "train", "test": "test", "probe": "val"}
MAX_XML_BYTES = 1_000_000
BOX = ("xmin", "ymin", "xmax", "ymax")


def read_bccd(path: Path) -> Iterator[Row]:
    """The questions of every picture in the official lists; a picture whose boxes cannot be used is one bad row.

    Raises:
        InputError: an official list is missing.

    >>> list(read_bccd(Path("nowhere")))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: cannot read the list nowhere/ImageSets/Main/train.txt: FileNotFoundError...
    """
    root = path / "BCCD" if (path / "BCCD").is_dir() else path
    for split, listed in LISTS.items():
        list_file = root / "ImageSets" / "Main" / f"{listed}.txt"
        with as_input_error(f"the list {list_file}"):
            names = list_file.read_text(encoding="utf-8").split()
        for name in dict.fromkeys(names):
            try:
                if Path(name).name != name:
                    raise InputError("the list names a file outside its folder")
                counts = count_boxes(root / "Annotations" / f"{name}.xml")
                if not (counts["RBC"] and counts["WBC"]):
                    # Looked at: all 20 such pictures show both kinds of cell; the boxes were simply not all drawn.
                    raise InputError("boxes are incomplete: none for red or none for white blood cells")
            except InputError as error:
                yield bad_row(f"bccd-{name}", split, str(error))
                continue
            picture = (str((root / "JPEGImages" / f"{name}.jpg").resolve()),)
            shared = {"modality": "MICROSCOPY", "group": name, "derived": "from bounding boxes, not a clinician's statement"}
            for topic, fields in smear_questions(counts["WBC"], counts["Platelets"]):
                yield Row(f"bccd-{name}-{topic}", split, fields | shared, picture)


def count_boxes(path: Path) -> Counter[str]:
    """Number of boxes of each kind in a Pascal VOC file; boxes without area are left out.

    Raises:
        InputError: the file is missing, is not XML, or declares a DTD or entities (refused: they can be bombs).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "smear.xml"
    >>> box = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox></object>"
    >>> _ = path.write_text(f"<annotation>{box.format('RBC', 9)}{box.format('WBC', 9)}{box.format('RBC', 1)}</annotation>")
    >>> dict(count_boxes(path))  # the last one has no area
    {'RBC': 1, 'WBC': 1}
    """
    with as_input_error(f"annotation {path}"):
        text = path.read_text(encoding="utf-8")
        if path.stat().st_size > MAX_XML_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError(f"over {MAX_XML_BYTES} bytes, or it declares a DTD or entities")
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise ValueError(f"not XML: {error}") from error
        boxes = ((box.findtext("name", ""), [float(box.findtext(f"bndbox/{k}", "")) for k in BOX]) for box in root.iter("object"))
        return Counter(name for name, (left, top, right, bottom) in boxes if right > left and bottom > top)


def smear_questions(white: int, platelets: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and fields of each question that these counts of boxes can answer; the words are in `data/bccd.yaml`.

    >>> {topic: asked["reference"] for topic, asked in smear_questions(white=3, platelets=0)}
    {'platelets': 'no', 'white-count': '3', 'kinds': 'red and white blood cells', 'most': 'white blood cells'}
    """
    most = None if white == platelets else "white" if white > platelets else "platelets"
    answers = {"platelets": "yes" if platelets else "no", "white-count": white, "platelet-count": platelets or None}
    answers |= {"kinds": "three" if platelets else "two", "most": most}
    for topic, asked in read_table("bccd").items():
        if (answer := answers[topic]) is not None:
            counted = [str(answer), *NUMBER_WORDS[answer : answer + 1]] if isinstance(answer, int) else [answer]
            first, *others = asked.get("answers", {}).get(answer, counted)
            yield topic, {"question": asked["question"], "reference": first, "references": others, "kind": asked["kind"]}
