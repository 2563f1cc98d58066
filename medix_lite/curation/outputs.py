"""Outputs: kept samples in; JSONL, Parquet, the data set card and the curation report out."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from ..files import json_line, write_aside, write_text
from ..samples import Sample, sample_row
from .splits import SPLITS

NOTICE = "Research and education only, not for clinical use."
BATCH = 256  # rows that Parquet holds in memory
COLUMNS = ("id", "question", "reference", "references", "modality", "source", "group", "options", "graded")


class SplitWriter:
    """Writes one split as JSONL and as Parquet with the pictures inside, row by row."""

    def __init__(self, lines: Any, parquet: Any, schema: Any, folder: Path) -> None:
        self._lines, self._parquet, self._schema, self._folder = lines, parquet, schema, folder
        self._waiting: list[dict[str, Any]] = []

    def write(self, sample: Sample) -> None:
        """Add one sample."""
        self._lines.write(json_line(sample_row(sample, self._folder)))
        row = {name: getattr(sample, name) for name in COLUMNS}
        row["images"] = [{"bytes": Path(image).read_bytes(), "path": Path(image).name} for image in sample.images]
        row["facts"] = json.dumps(sample.facts) if sample.facts else None
        row["extra"] = json.dumps(sample.model_extra) if sample.model_extra else None
        self._waiting.append(row)
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        import pyarrow

        self._parquet.write_table(pyarrow.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []


@contextmanager
def split_writers(out: Path) -> Iterator[dict[str, SplitWriter]]:
    """A writer for each split; its files `samples_SPLIT.jsonl` and `SPLIT.parquet` appear when all are whole."""
    import datasets
    from pyarrow.parquet import ParquetWriter

    text = datasets.Value("string")
    several = datasets.List(text)
    features = datasets.Features(
        dict.fromkeys(COLUMNS, text)
        | {"references": several, "options": several, "graded": datasets.Value("bool")}
        | {"images": datasets.List(datasets.Image()), "facts": text, "extra": text}
    )
    schema = features.arrow_schema
    with ExitStack() as stack:
        writers = {}
        for split in SPLITS:
            lines = stack.enter_context(
                stack.enter_context(write_aside(out / f"samples_{split}.jsonl")).open("w", encoding="utf-8")
            )
            parquet = stack.enter_context(ParquetWriter(stack.enter_context(write_aside(out / f"{split}.parquet")), schema))
            writers[split] = SplitWriter(lines, parquet, schema, out.resolve())
        yield writers
        for writer in writers.values():
            writer.flush()


def write_card(out: Path, report: dict[str, Any]) -> None:
    """`README.md`: the card, with the YAML header that the Hugging Face Hub and `datasets.load_dataset` read."""
    kept = sum(counts["kept"] for counts in report["counts"]["splits"].values())
    sizes = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M"]
    text_only = all(set(tags) <= {"text only"} for tags in report["by_modality"].values())
    write_text(
        out / "README.md",
        _render(
            "card.md.j2",
            report=report,
            notice=NOTICE,
            size=sizes[min(max(len(str(kept)) - 3, 0), 3)],
            task="question-answering" if text_only else "visual-question-answering",
        ),
    )


def write_html(out: Path, report: dict[str, Any], figure: str) -> None:
    """`curation.html`: counts, reasons, leaks and a figure (a data URL) on one page that opens without a network."""
    write_text(out / "curation.html", _render("curation.html.j2", report=report, notice=NOTICE, figure=figure))


def _render(template: str, **values: Any) -> str:
    loader = PackageLoader("medix_lite", ".")
    environment = Environment(loader=loader, autoescape=template.endswith("html.j2"), trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)
