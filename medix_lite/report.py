"""The report of a run: one HTML file with everything inside, which opens without a network."""

from pathlib import Path
from typing import Any

from .evaluation.score import Measured
from .figures import data_url
from .files import InputError, read_json, render, write_text
from .runs import Run
from .samples import kind_of, open_image, picture_url

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

    >>> import tempfile
    >>> from medix_lite.files import write_json
    >>> from medix_lite.runs import curated, open_run
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run", settings="data.train=4,data.probe=1,data.test=1")
    >>> _, score = curated(run), {"value": 0.5, "ci95": [0.2, 0.8]}
    >>> of_each = dict.fromkeys(("true_accuracy", "judged_accuracy", "pass_at_8", "format", "modality"), score) | {"n": 1}
    >>> write_json(run.folder / "results.json", dict.fromkeys(("base", "trained", "gain"), of_each) | {"seconds": {}})
    >>> page = write_report(run, {"my note": "5 < 6"}).read_text()
    >>> "5 &lt; 6" in page, 'src="http' in page, "<script" in page  # all of it is in the file, and nothing runs
    (True, False, False)
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
    """Answers to look at: wrong ones, then unscored, then right ones, of each many kinds; none that may not leave this machine.

    >>> from medix_lite.evaluation.score import measure
    >>> from medix_lite.judging.judges import judge_answers, make_judge
    >>> from medix_lite.responses import parse_response
    >>> from medix_lite.samples import Sample
    >>> asked = [Sample(id=reference, question="What is seen?", reference=reference) for reference in ("pneumonia", "glioma")]
    >>> answers = [parse_response("<answer>pneumonia</answer>", has_image=False)] * 2
    >>> stage = asked, answers, judge_answers(make_judge("rules"), asked, ["pneumonia"] * 2)
    >>> [(shown["sample"].id, shown["verdict"].score) for shown in examples(measure(stage, stage, 1))]
    [('glioma', 0.0), ('pneumonia', 1.0)]
    """
    found, rows = [], list(zip(measured.samples, measured.responses, measured.verdicts, strict=True))
    for score, most in SHOWN.items():
        here = [row for row in rows if row[2].score == score and not row[0].local_only]
        kinds = [kind_of(sample) for sample, _, _ in here]
        turn = sorted(range(len(here)), key=lambda i: (kinds[:i].count(kinds[i]), i))
        for sample, response, verdict in (here[i] for i in turn[:most]):
            pictures = [picture_url(open_image(path)) for path in sample.images]
            found.append({"sample": sample, "response": response, "verdict": verdict, "pictures": pictures})
    return found
