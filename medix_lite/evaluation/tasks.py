"""Evaluation tasks. In: `data/tasks.yaml` or a task of your own, and its rows. Out: Samples, and what trivial answers score."""

import csv
from ast import literal_eval
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from ..curation.mcq import Choice, read_choices
from ..curation.rows import as_input_error
from ..files import InputError, read_jsonl, read_table, sha256_of, write_aside
from ..profiles import Strict
from ..samples import OPTION_LABELS, Sample, content_id, open_image, read_samples, validated, write_samples


class Task(Strict):
    """Where a task's questions are and how to read them; the fields are explained in `data/tasks.yaml`.

    >>> Task(name="mine", group="more", hub="me/mine", licence="mit").template
    'base'
    """

    name: str
    group: Literal["llm", "vlm", "mmmu-medical", "more"]
    template: Literal["base", "mimic"] = "base"
    hub: str | None = None
    source: str | None = None
    n: int = Field(1200, gt=0)
    subset: str | None = None
    split: str = "test"
    revision: str | None = None
    question: str = "question"
    options: str | list[str] | None = None
    answer: str = "answer"
    answer_is: Literal["text", "letter", "index"] = "text"
    image: str | list[str] | None = None
    keep: dict[str, str] = Field(default_factory=dict)
    licence: str
    local_only: bool = False
    own_files: bool = False


def find_tasks(names: Iterable[str]) -> list[Task]:
    """Tasks by name, by group or by the path of a YAML file; any case. `all` is the 17 benchmarks, `more` what stands beside them.

    Raises:
        InputError: there is no such task, or a file is not one.

    >>> [task.name for task in find_tasks(["pubmedqa"])], len(find_tasks(["all"]))
    (['PubMedQA'], 17)
    """
    known, found = read_table("tasks"), dict[str, Task]()
    for wanted in names:
        if wanted.endswith((".yaml", ".yml")):
            with as_input_error(wanted):
                rows = {Path(wanted).stem: dict(yaml.safe_load(Path(wanted).read_text(encoding="utf-8")))}
        else:
            groups = {"all": ("llm", "vlm"), "more": ("mmmu-medical", "more")}.get(wanted.lower(), (wanted.lower(),))
            rows = {name: row for name, row in known.items() if row["group"] in groups or name.lower() in groups}
        if not rows:
            raise InputError(f"unknown task {wanted!r}; use all, llm, vlm, more, a YAML file or one of {', '.join(known)}")
        found |= {name: validated(Task, {"name": name} | row, f"task {wanted}") for name, row in rows.items()}
    return list(found.values())


def write_task(task: Task, out: Path, path: Path | None = None, revision: str | None = None) -> list[Sample]:
    """Write `out/samples.jsonl`, with pictures beside it byte for byte as they came, and return its samples.

    An id is the hash of question, options, reference and pictures, so that it stays when rows move; a repeated row gets its number.

    Args:
        path: rows on this machine, in the columns of the Hub's table (Parquet, CSV, JSONL) or, where the task says so, as the
            benchmark's own file, or the folder of the task's source; None reads the Hub, or a source that needs no folder.
        revision: commit of the Hub's data set, where the task pins none.

    Raises:
        InputError: no rows, no revision, a column is missing, or a row cannot be read.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "mine.csv").write_text("asked,right\\nWhat is seen?,flu\\n")
    >>> mine = Task(name="mine", group="more", question="asked", answer="right", licence="mit")
    >>> [sample.reference for sample in write_task(mine, folder / "out", folder / "mine.csv")]
    ['flu']
    """
    samples, seen = list[Sample](), Counter[str]()
    for where, row in _curated(task, out, path) if task.source else _rows(task, path, revision):
        with as_input_error(where):
            sample = row if isinstance(row, Sample) else _sample(task, row, where, out, path)
        seen[sample.id] += 1
        samples.append(sample if seen[sample.id] == 1 else sample.model_copy(update={"id": f"{sample.id}-{seen[sample.id]}"}))
    if not samples:
        raise InputError(f"task {task.name}: {path or task.hub} holds no rows" + (f" with {task.keep}" if task.keep else ""))
    write_samples(out / "samples.jsonl", samples)
    return samples


def trivial_answers(samples: list[Sample]) -> dict[str, float]:
    """What needs no model: the share that the commonest reference answers, and that `yes` or the first option does.

    >>> trivial_answers([Sample(id=str(i), question="Seen?", reference=r) for i, r in enumerate(("yes", "no", "No", "no"))])
    {'commonest answer': 0.75, 'always yes': 0.25}
    """
    counts = Counter(sample.reference.casefold() for sample in samples)
    found = {"commonest answer": max(counts.values()) / len(samples)}
    if counts["yes"]:
        found["always yes"] = counts["yes"] / len(samples)
    if any(sample.options for sample in samples):
        found["always A"] = sum(sample.option_label() == "A" for sample in samples) / len(samples)
    return {name: round(share, 4) for name, share in found.items()}


def _curated(task: Task, out: Path, path: Path | None) -> Iterator[tuple[str, Sample]]:
    """The test split of a source, checked as a run's is; with the same seed and number they ask the same."""
    from ..curation.curate import curate

    spec = f"{task.source}:{path}" if path else str(task.source)
    curate(spec, out / "curation", sizes={"test": task.n}, seed=0, image_size=None)
    for sample in read_samples(out / "curation" / "samples_test.jsonl"):
        name = content_id(sample.question, *(sample.options or ()), sample.reference, *map(sha256_of, sample.images))
        marks = {"graded": sample.graded or task.template == "mimic", "local_only": sample.local_only or task.local_only}
        yield spec, sample.model_copy(update={"id": name, "source": task.name} | marks)


def _rows(task: Task, path: Path | None, revision: str | None) -> Iterator[tuple[str, Any]]:
    """Where each row stands, and its fields in the Hub's columns, or a `Choice` from a benchmark's own file."""
    if path and not path.exists():
        raise InputError(f"task {task.name}: there is nothing at {path}")
    if path and task.own_files and path.suffix in (".csv", ".json", ".jsonl"):
        yield from _own_rows(task, path)
        return
    where = str(path) if path else f"hub:{task.hub}@{task.revision or revision}"
    with as_input_error(where):
        for number, row in enumerate(_table(task, path, revision), start=1):
            wanted = [task.question, task.answer, *_listed(task.image), *_listed(task.options), *task.keep]
            if missing := [column for column in wanted if column not in row]:
                raise InputError(f"task {task.name}: {where} has no column {missing[0]!r}; it has {', '.join(row)}")
            if all(row[column] == value for column, value in task.keep.items()):
                yield f"{where}, row {number}", row


def _table(task: Task, path: Path | None, revision: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a file, or of the Hub at a pinned commit; pictures stay bytes."""
    if path is None:
        if not (task.hub and (pinned := task.revision or revision)):
            raise InputError(f"task {task.name}: no revision of {task.hub} is pinned; give --revision COMMIT, or --path FILE")
        from datasets import load_dataset

        yield from load_dataset(task.hub, task.subset, revision=pinned, split=task.split, streaming=True).decode(False)
    elif path.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        with ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as handle:
            yield from csv.DictReader(handle)
    elif path.suffix == ".jsonl":
        yield from read_jsonl(path)
    else:
        raise InputError(f"task {task.name}: {path} is neither .parquet nor .csv nor .jsonl")


def _own_rows(task: Task, path: Path) -> Iterator[tuple[str, Any]]:
    for name, choice in read_choices(path):
        if isinstance(choice, str):
            raise InputError(f"task {task.name}: {choice}")
        asked = {task.question: choice["question"], task.answer: choice["reference"]} if isinstance(choice, dict) else choice
        yield f"{path}, {name}", asked


def _sample(task: Task, row: Any, where: str, out: Path, path: Path | None) -> Sample:
    options: list[str] | None
    if isinstance(row, Choice):
        question, options, reference = row.question, row.options, row.options[row.answer]
    else:
        columns = task.options or []
        options = [row[column] for column in columns] if isinstance(columns, list) else row[columns]
        options = literal_eval(options) if isinstance(options, str) else options  # MMMU writes its lists as Python does
        options = list(options.values()) if isinstance(options, dict) else list(options) or None
        question, answer = row[task.question], row[task.answer]
        if options and task.answer_is != "text":
            labels = OPTION_LABELS if task.answer_is == "letter" else map(str, range(len(options)))
            answer = dict(zip(labels, options, strict=False))[str(answer).strip()]
        reference = ("no", "yes")[answer] if isinstance(answer, bool) else answer  # what YAML and JSON make of a word
    if not all(isinstance(text, str) and text.strip() for text in (question, reference)):
        raise InputError(f"{where}: question and answer must be texts")
    pictures = [_picture(row[name], where, path) for n, name in enumerate(_listed(task.image)) if row[name] or n == 0]
    images = [str(out.resolve() / "pictures" / f"{content_id(picture.hex())}.{_suffix(picture)}") for picture in pictures]
    for image, picture in zip(images, pictures, strict=True):
        with write_aside(image) as part:
            part.write_bytes(picture)
    name = content_id(question, *(options or ()), reference, *([picture.hex() for picture in pictures] or [""]))
    how: dict[str, Any] = {"graded": task.template == "mimic", "local_only": task.local_only}
    return Sample(id=name, question=question, reference=reference, source=task.name, options=options, images=images, **how)


def _listed(columns: str | list[str] | None) -> list[str]:
    return [columns] if isinstance(columns, str) else columns or []


def _picture(value: Any, where: str, path: Path | None) -> bytes:
    """The bytes of a picture as they came: from the table, or from a file beside it."""
    content = value.get("bytes") if isinstance(value, dict) else None
    name = value.get("path") if isinstance(value, dict) else value
    if content is None and path and isinstance(name, str):
        content = (path.parent / name).read_bytes()
    if not isinstance(content, bytes):
        raise InputError(f"{where}: there is no picture")
    open_image(content, name=where)
    return content


def _suffix(picture: bytes) -> str:
    return "png" if picture.startswith(b"\x89PNG") else "jpg" if picture.startswith(b"\xff\xd8") else "img"
