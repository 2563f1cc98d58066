"""Outputs: kept samples in; JSONL, Parquet, the data set card and the curation report out."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import json_line, read_table, render, write_aside, write_text
from ..samples import Sample, sample_row

BATCH = 256  # rows that Parquet holds in memory


@contextmanager
def line_writer(path: Path) -> Iterator[Callable[[dict[str, Any]], Any]]:
    """A function that adds a row to a JSONL file, which appears when it is whole.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rejected.jsonl"
    >>> with line_writer(path) as write:
    ...     _ = write({"id": "a", "reason": "no answer"})
    >>> path.read_text()
    '{"id": "a", "reason": "no answer"}\\n'
    """
    with write_aside(path) as aside, aside.open("w", encoding="utf-8") as handle:
        yield lambda row: handle.write(json_line(row))


@contextmanager
def split_writer(out: Path, split: str) -> Iterator[Callable[[Sample], None]]:
    """A function that adds a sample to `samples_SPLIT.jsonl` and, with the pictures inside, to `SPLIT.parquet`.

    The two files appear when they are whole.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with split_writer(folder, "test") as write:
    ...     write(Sample(id="a", question="What is seen?", reference="flu"))
    >>> sorted(path.name for path in folder.iterdir())
    ['samples_test.jsonl', 'test.parquet']
    """
    from datasets import Features
    from pyarrow import Table
    from pyarrow.parquet import ParquetWriter

    schema = Features.from_dict(read_table("curation")["columns"]).arrow_schema
    waiting: list[dict[str, Any]] = []
    lines, aside = line_writer(out / f"samples_{split}.jsonl"), write_aside(out / f"{split}.parquet")
    with lines as add_line, aside as file, ParquetWriter(file, schema) as parquet:

        def flush() -> None:
            parquet.write_table(Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        def write(sample: Sample) -> None:
            add_line(sample_row(sample, out.resolve()))
            row = {name: getattr(sample, name) for name in Sample.model_fields} | {"extra": sample.model_extra}
            row |= {name: json.dumps(row[name]) if row[name] else None for name in ("facts", "extra")}
            row["images"] = [{"bytes": Path(image).read_bytes(), "path": Path(image).name} for image in sample.images]
            waiting.append(row)
            if len(waiting) >= BATCH:
                flush()

        yield write
        flush()


def write_pages(out: Path, report: dict[str, Any], figure: str) -> None:
    """`README.md`: the card, with the YAML header that the Hugging Face Hub and `datasets.load_dataset` read;
    `curation.html`: counts, reasons, leaks and a figure (a data URL) on one page that opens without a network.

    >>> import tempfile
    >>> from medix_lite.curation.curate import curate
    >>> folder, other = (Path(tempfile.mkdtemp()) for _ in range(2))
    >>> report = curate(["phantoms"], folder, sizes={"train": 4, "probe": 1, "test": 1}, seed=0, image_size=64)
    >>> write_pages(other, report, figure="data:,")
    >>> sorted(path.name for path in other.iterdir())
    ['README.md', 'curation.html']
    """
    for page, template in (("README.md", "card.md.j2"), ("curation.html", "curation.html.j2")):
        write_text(out / page, render(template, report=report, figure=figure))
