"""Tables of other people in, Rows out: a folder with samples.jsonl or samples.csv, Parquet files, a data set on the Hub."""

import csv
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from ..files import InputError, parse_row
from .rows import Row, as_input_error, bad_row

_SOLUTION = re.compile(r"\s*<([^<>]{1,40})>\s*(.*?)\s*", re.DOTALL)


def read_folder(path: Path) -> Iterator[Row]:
    """The rows of `samples.jsonl`, or else of `samples.csv`; image paths are relative to the folder and may be DICOM files.

    A CSV has the columns of a sample; several images, references or options in one cell are separated by `|`.

    Raises:
        InputError: neither file is there.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> rows = "id,question,reference,references", "a,What is seen?,flu,influenza|the flu", ",What is seen?,flu,"
    >>> _ = (folder / "samples.csv").write_text("\\n".join(rows))
    >>> good, bad = read_folder(folder)
    >>> good.fields["references"], bad.problem.partition("row ")[2]
    (['influenza', 'the flu'], '2: it has no id')
    """
    file = next((file for file in (path / "samples.jsonl", path / "samples.csv") if file.is_file()), None)
    if not file:
        raise InputError(f"folder:{path} holds neither samples.jsonl nor samples.csv")
    for number, row in _rows(file):
        place = f"{file.name}-{number}"
        if isinstance(row, str):
            yield bad_row(place, "train", f"{file}, row {number}: {row}")
            continue
        images = row.pop("images", None) or []
        name, split = row.pop("id", None), row.pop("split", None) or "train"
        if not isinstance(name, str) or not name.strip():
            yield bad_row(place, "train", f"{file}, row {number}: it has no id")
        elif not isinstance(images, list) or not all(isinstance(image, str) and "\0" not in image for image in images):
            yield bad_row(name, "train", f"{file}, row {number}: images must be a list of paths")
        elif split not in ("train", "test", "probe"):
            yield bad_row(name, "train", f"{file}, row {number}: split is {split!r}, not train, test or probe")
        else:
            yield Row(name, split, row, tuple(str(path / image) for image in images))


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Number and fields of each row that is not blank, or why it cannot be read."""
    table = file.suffix == ".csv"
    opened: Any = file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") if table else file.open("rb")
    with opened as handle:
        rows = map(_cells, csv.DictReader(handle, strict=True)) if table else map(_line, handle)
        for number in count(1):
            try:
                if (row := next(rows)) is not None:
                    yield number, row
            except StopIteration:
                return
            except (ValueError, csv.Error) as error:
                yield number, f"not valid CSV ({error})" if isinstance(error, csv.Error) else str(error)


def _line(line: bytes) -> dict[str, Any] | None:
    return parse_row(line) if line.strip() else None


def _cells(row: dict[Any, Any]) -> dict[str, Any]:
    if None in row:
        raise ValueError("more cells than the header has columns")
    filled = {key: value for key, value in row.items() if value}
    for key in {"images", "references", "options"} & filled.keys():
        filled[key] = [part.strip() for part in filled[key].split("|") if part.strip()]
    return filled


def read_parquet(path: Path) -> Iterator[Row]:
    """Parquet files in the schema of `MBZUAI/medix-rl-data`; those named test-... are the test split.

    Raises:
        InputError: no Parquet file is there, or one cannot be read.

    >>> list(read_parquet(Path("nowhere")))
    Traceback (most recent call last):
    medix_lite.files.InputError: parquet:nowhere holds no .parquet file
    """
    from pyarrow.parquet import ParquetFile

    if not (files := sorted(path.rglob("*.parquet"))):
        raise InputError(f"parquet:{path} holds no .parquet file")
    for file in files:
        with as_input_error(f"{file}"), ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=256):
                split = "test" if file.name.startswith("test") else "train"
                yield from (medix_row(row, split, file.parent) for row in batch.to_pylist())


def read_hub(name: str, revision: str) -> Iterator[Row]:
    """The train and test rows of a Hub data set in the schema of `MBZUAI/medix-rl-data`, streamed at one commit.

    >>> import tempfile
    >>> from datasets import Dataset
    >>> folder = tempfile.mkdtemp()  # `datasets` reads a folder as it reads a repository
    >>> row = {"id": "a", "image": None, "problem": "Which organ does glioma affect?", "solution": "brain"}
    >>> _ = Dataset.from_list([row]).to_parquet(f"{folder}/train.parquet")
    >>> [row.fields for row in read_hub(folder, revision="0123abc")]
    [{'question': 'Which organ does glioma affect?', 'reference': 'brain'}]
    """
    from datasets import load_dataset

    with as_input_error(f"hub:{name}@{revision}"):
        table = load_dataset(name, revision=revision, streaming=True)
        for split in ("train", "test"):
            if split in table:
                yield from (medix_row(row, split) for row in table[split].decode(False))


def medix_row(row: dict[str, Any], split: str, folder: Path = Path()) -> Row:
    """A row with the columns `id, image, source, problem, solution`; a solution starts with its `<TAG>`.

    Pictures that are not in the table lie below `folder`.

    >>> row = {"id": 7, "image": [{"path": "a.png"}], "problem": "<image>What is seen?", "solution": "<CT_SCAN>stroke"}
    >>> medix_row(row, "train").fields, medix_row(row | {"solution": "stroke"}, "train").problem
    ({'question': 'What is seen?', 'reference': 'stroke', 'modality': 'CT_SCAN'}, 'the solution does not start with a modality tag')
    """
    name, problem, solution = row.get("id"), row.get("problem"), row.get("solution")
    if name is None or not isinstance(problem, str) or not isinstance(solution, str):
        return bad_row(str(name), split, "id, problem and solution must be there")
    pictures = row.get("image") or []
    found = [pictures] if isinstance(pictures, dict) else list(pictures)
    if not all(isinstance(picture, dict) for picture in found):
        return bad_row(str(name), split, "image must hold pictures")
    contents = tuple(picture.get("bytes") or str(folder / str(picture.get("path"))) for picture in found)
    fields: dict[str, Any] = {"question": problem.replace("<image>", "").strip(), "reference": solution.strip()}
    if tagged := _SOLUTION.fullmatch(solution):
        fields |= {"modality": tagged[1].strip().upper() if contents else None, "reference": tagged[2]}
    elif contents:
        return bad_row(str(name), split, "the solution does not start with a modality tag")
    fields |= {"source": str(row["source"])} if row.get("source") else {}
    return Row(str(name), split, fields, contents)
