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
    """Answers to look at: wrong ones, then unscored, then right ones; of each as many kinds of question as there are."""
    found = []
    for score, most in SHOWN.items():
        here = [place for place, verdict in enumerate(measured.verdicts) if verdict.score == score]
        kinds = [kind_of(measured.samples[place]) for place in here]
        turn = sorted(range(len(here)), key=lambda i: (kinds[:i].count(kinds[i]), i))
        for place in (here[i] for i in turn[:most]):
            sample = measured.samples[place]
            one = {"sample": sample, "response": measured.responses[place], "verdict": measured.verdicts[place]}
            found.append(one | {"pictures": [picture_url(open_image(path)) for path in sample.images]})
    return found
