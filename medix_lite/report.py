"""The report of a run: one HTML file with everything inside, which opens without a network."""

from pathlib import Path
from typing import Any

from .curation.curate import kind_of
from .evaluation.score import Measured
from .figures import data_url
from .files import InputError, read_json, render, write_text
from .runs import Run
from .samples import open_image, picture_url

SHOWN = {0.0: 8, None: 2, 1.0: 4}  # examples by score: wrong, unscored, right


def write_report(
    run: Run, extra: dict[str, Any] | None = None, slices: dict[str, Any] | None = None, measured: Measured | None = None
) -> Path:
    """Write `report.html` from `results.json`, the figures and the environment of a run.

    Args:
        extra: further lines for the table "also measured", name to text.
        slices: column -> what `slice_scores` gives.
        measured: a policy's answers, of which some are shown, failures first.

    Raises:
        InputError: the run has no results yet.
    """
    if not (run.folder / "results.json").exists():
        raise InputError("this run has no results.json yet; run notebook 04 first")
    page: dict[str, Any] = {"figures": {path.stem: data_url(path) for path in (run.folder / "figures").glob("*.png")}}
    page |= {"extra": extra or {}, "slices": slices or {}, "examples": examples(measured) if measured else []}
    for file in ("results.json", "environment.json", "data/curation.json"):
        page[Path(file).stem] = read_json(run.folder / file)
    write_text(run.folder / "report.html", render("report.html.j2", run=run, **page))
    return run.folder / "report.html"


def examples(measured: Measured) -> list[dict[str, Any]]:
    """Answers to look at: wrong ones, then unscored, then right ones, of each many kinds; none that may not leave this machine."""
    found, rows = [], list(zip(measured.samples, measured.responses, measured.verdicts, strict=True))
    for score, most in SHOWN.items():
        here = [row for row in rows if row[2].score == score and not row[0].local_only]
        kinds = [kind_of(sample) for sample, _, _ in here]
        turn = sorted(range(len(here)), key=lambda i: (kinds[:i].count(kinds[i]), i))
        for sample, response, verdict in (here[i] for i in turn[:most]):
            pictures = [picture_url(open_image(path)) for path in sample.images]
            found.append({"sample": sample, "response": response, "verdict": verdict, "pictures": pictures})
    return found
