"""The leaderboard. In: the published table and your own score files. Out: one table; a column has one model and one judge."""

from pathlib import Path
from typing import Any

import numpy as np

from ..files import InputError, read_json, read_table, render, write_json, write_text


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
    """Keep what `score_file` found as `folder/MODEL--JUDGE.json`, in place of what this model and judge had for the same tasks."""
    name = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in f"{model}--{scores['judge']}")
    path = folder / f"{name}.json"
    kept = read_json(path) if path.exists() else {"by_task": {}}
    by_task = kept["by_task"] | scores["by_task"]
    write_json(path, {"model": model, "judge": scores["judge"], "by_task": by_task})
    return path


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
