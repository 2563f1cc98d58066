"""The report of a run: one HTML file with everything inside, which opens without a network."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from .curation.curate import NOTICE
from .files import InputError, read_json, write_text
from .runs import Run

FIGURES = {
    "gallery": "What the policy is shown",
    "reward_anatomy": "Four hand-written completions and what each reward signal gives them",
    "training_curves": "Training: reward, signals, accuracy on a small probe, entropy, length",
    "base_against_trained": "Base against trained on the test questions",
    "examples": "Examples with reasoning, failures first",
}
CANNOT_SHOW = (
    "Phantoms are not patients: nothing here says how a model reads real medical pictures.",
    "One author wrote the world, the judge's lexicon and the oracle; they may share blind spots.",
    "The warm-up stands in for a public pre-trained backbone and was built to be vague: it was taught truthful "
    "reasoning before RL. What RL changes most is what is said in the answer; this run does not show that it teaches new sight.",
)


def write_report(run: Run, extra: dict[str, Any] | None = None) -> Path:
    """Write `report.html` from `results.json`, the figures and the environment of a run.

    Args:
        extra: further lines for the table "also measured", name to text.

    Raises:
        InputError: the run has no results yet.
    """
    if not (run.folder / "results.json").exists():
        raise InputError("this run has no results.json yet; run notebook 04 first")
    figures = [
        (title, _data_url(path)) for name, title in FIGURES.items() if (path := run.folder / "figures" / f"{name}.png").exists()
    ]
    page = Environment(loader=PackageLoader("medix_lite", "."), autoescape=True).get_template("report.html.j2")
    html = page.render(
        notice=NOTICE,
        run=run,
        results=read_json(run.folder / "results.json"),
        environment=read_json(run.folder / "environment.json"),
        curation=read_json(run.folder / "data" / "curation.json"),
        figures=figures,
        extra=extra or {},
        cannot_show=CANNOT_SHOW if run.on_phantoms else (),
    )
    write_text(run.folder / "report.html", html)
    return run.folder / "report.html"


def _data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
