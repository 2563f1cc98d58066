"""The report of a run: one HTML file with everything inside, which opens without a network."""

from pathlib import Path
from typing import Any

from .figures import data_url
from .files import InputError, read_json, render, write_text
from .runs import Run


def write_report(run: Run, extra: dict[str, Any] | None = None) -> Path:
    """Write `report.html` from `results.json`, the figures and the environment of a run.

    Args:
        extra: further lines for the table "also measured", name to text.

    Raises:
        InputError: the run has no results yet.
    """
    if not (run.folder / "results.json").exists():
        raise InputError("this run has no results.json yet; run notebook 04 first")
    figures = {path.stem: data_url(path) for path in (run.folder / "figures").glob("*.png")}
    files = ("results.json", "environment.json", "data/curation.json")
    measured = {Path(file).stem: read_json(run.folder / file) for file in files}
    write_text(run.folder / "report.html", render("report.html.j2", run=run, figures=figures, extra=extra or {}, **measured))
    return run.folder / "report.html"
