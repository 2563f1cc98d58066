"""The report of a run: one HTML file with everything inside, which opens without a network."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from .curation.outputs import NOTICE
from .figures import data_url
from .files import InputError, read_json, write_text
from .runs import Run

FIGURES = {
    "gallery": "What the policy is shown",
    "reward_anatomy": "Four hand-written completions and what each reward signal gives them",
    "training_curves": "Training: reward, signals, accuracy on a small probe, entropy, length",
    "base_against_trained": "Base against trained on the test questions",
    "examples": "Examples with reasoning, failures first",
}


def write_report(run: Run, extra: dict[str, Any] | None = None) -> Path:
    """Write `report.html` from `results.json`, the figures and the environment of a run.

    Args:
        extra: further lines for the table "also measured", name to text.

    Raises:
        InputError: the run has no results yet.
    """
    if not (run.folder / "results.json").exists():
        raise InputError("this run has no results.json yet; run notebook 04 first")
    paths = {title: run.folder / "figures" / f"{name}.png" for name, title in FIGURES.items()}
    figures = [(title, data_url(path)) for title, path in paths.items() if path.exists()]
    measured = {name: read_json(run.folder / f"{name}.json") for name in ("results", "environment")}
    measured["curation"] = read_json(run.folder / "data" / "curation.json")
    page = Environment(loader=PackageLoader("medix_lite", "."), autoescape=True).get_template("report.html.j2")
    write_text(run.folder / "report.html", page.render(notice=NOTICE, run=run, figures=figures, extra=extra or {}, **measured))
    return run.folder / "report.html"
