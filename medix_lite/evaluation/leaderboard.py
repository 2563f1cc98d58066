"""The leaderboard. In: the published table and your own score files. Out: one table; a column has one model and one judge."""

from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from ..files import InputError, file_name, json_line, read_json, read_table, render, write_aside, write_json, write_text
from ..responses import format_question
from ..samples import Sample

Rows = list[dict[str, Any]]


def published() -> dict[str, dict[str, Any]]:
    """The published columns: `{model: {"judge", "scores": {task: score}, "average": of these scores, "said": the published one}}`.

    >>> row = published()["MediX-R1 30B"]
    >>> row["average"], row["said"]  # they do not agree
    (0.735, 0.736)
    """
    table = read_table("leaderboard")
    scores = {model: dict(zip(table["tasks"], row["scores"], strict=True)) for model, row in table["models"].items()}
    return {model: _column(table["judge"], scores[model], row["said"]) for model, row in table["models"].items()}


def _column(judge: str, scores: dict[str, Any], said: float | None = None) -> dict[str, Any]:
    known = [value for value in scores.values() if value is not None]
    average = round(float(np.mean(known)), 3) if known else None
    return {"judge": judge, "scores": scores, "average": average, "said": said, "n_tasks": len(known)}


def add_scores(folder: Path, model: str, scores: dict[str, Any]) -> Path:
    """Keep what `score_file` found as `folder/MODEL--JUDGE.json`, in place of what this model and judge had for the same tasks.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> part = {"accuracy": {"value": 0.5}, "trivial": {"always yes": 0.6}}
    >>> add_scores(folder, "mine", {"judge": "rules-4", "by_task": {"PubMedQA": part}}).name
    'mine--rules-4.json'
    >>> board = leaderboard(folder)
    >>> board["columns"]["mine (judge: rules-4)"]["average"], board["trivial"]["PubMedQA"]
    (0.5, {'always yes': 0.6})
    >>> [path.name for path in write_leaderboard(folder)]
    ['leaderboard.md', 'leaderboard.png', 'ranking.png']
    """
    path = folder / f"{file_name(model)}--{file_name(scores['judge'])}.json"
    kept = read_json(path) if path.exists() else {"by_task": {}}
    write_json(path, {"model": model, "judge": scores["judge"], "by_task": kept["by_task"] | scores["by_task"]})
    return path


def zip_results(model: str, path: Path, samples: list[Sample], rows: Rows, verdicts: Rows, scores: dict[str, Any]) -> None:
    """Write a zip file that holds `results/MODEL/` in MediX-R1's layout: `MODEL.jsonl` (responses with question and reference),
    `MODEL_eval.jsonl` (verdicts) and `MODEL_score.txt`.

    >>> import tempfile
    >>> asked = Sample(id="a", question="What is seen?", reference="flu", source="mine")
    >>> answered, judged = {"id": "a", "response": "flu"}, {"id": "a", "verdict": "YES"}
    >>> all_right = {"value": 1.0, "ci95": [0.2, 1.0], "n": 1}
    >>> found = {"accuracy": all_right, "unscored": {"value": 0.0}}
    >>> scores = found | {"judge": "rules", "macro": 1.0, "by_task": {"mine": found}}
    >>> path = Path(tempfile.mkdtemp()) / "results.zip"
    >>> zip_results("medix", path, [asked], [answered], [judged], scores)
    >>> ZipFile(path).namelist()
    ['results/medix/medix.jsonl', 'results/medix/medix_eval.jsonl', 'results/medix/medix_score.txt']
    """
    name = file_name(model)
    asked = ({"question": format_question(s), "reference": s.reference, "task": s.source} for s in samples)
    rows = [row | question for question, row in zip(asked, rows, strict=True)]
    files = {f"{name}.jsonl": "".join(map(json_line, rows)), f"{name}_eval.jsonl": "".join(map(json_line, verdicts))}
    files[f"{name}_score.txt"] = render("score.txt.j2", scores=scores, model=model)
    with write_aside(path) as aside, ZipFile(aside, "w", ZIP_DEFLATED) as archive:
        for file, text in files.items():
            archive.writestr(f"results/{name}/{file}", text)


def leaderboard(folder: Path) -> dict[str, Any]:
    """The published columns and those of the score files in `folder`.

    Returns:
        `{"tasks": [...], "trivial": {task: {name: share}}, "columns": {name: {"judge", "scores", "average", "said"}}}`. The name of
        a column of yours says its judge; its average is over its own tasks, and stands beside `n_tasks`.

    Raises:
        InputError: a file there is not a score file.
    """
    columns, tasks, trivial = published(), list(read_table("leaderboard")["tasks"]), dict[str, dict[str, float]]()
    for path in sorted(folder.glob("*--*.json")):
        try:
            row = read_json(path)
            scores = {task: part["accuracy"]["value"] for task, part in row["by_task"].items()}
            trivial |= {task: part["trivial"] for task, part in row["by_task"].items()}
            columns[f"{row['model']} (judge: {row['judge']})"] = _column(row["judge"], scores)
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} is not a score file of `medix-lite score --leaderboard`; move it away") from error
        tasks += [task for task in scores if task not in tasks]
    return {"tasks": tasks, "trivial": trivial, "columns": columns}


def write_leaderboard(folder: Path) -> list[Path]:
    """Write `leaderboard.md`, `leaderboard.png` (heatmap) and `ranking.png` from what is in `folder`."""
    from .. import figures

    board = leaderboard(folder)
    write_text(folder / "leaderboard.md", render("leaderboard.md.j2", **board))
    heatmap = figures.save(figures.leaderboard_heatmap(board), folder / "leaderboard.png")
    return [folder / "leaderboard.md", heatmap, figures.save(figures.leaderboard_ranking(board), folder / "ranking.png")]
