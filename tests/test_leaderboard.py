"""The leaderboard: the published table as it is, your columns apart by judge, nothing ranked that is not whole."""

import json
import subprocess
import sys

import pytest

from medix_lite.evaluation.files import score_file
from medix_lite.evaluation.leaderboard import add_scores, leaderboard, published, write_leaderboard
from medix_lite.evaluation.tasks import find_tasks
from medix_lite.files import InputError
from medix_lite.judging.judges import make_judge


def rows(task, right, wrong):
    """Responses with their samples inline."""
    good = [{"reference": "yes", "response": "<think>x</think> <answer>yes</answer>"}] * right
    bad = [{"reference": "no", "response": "<think>x</think> <answer>yes</answer>"}] * wrong
    known = {"question": "Is it so?", "source": task}
    return [known | row | {"id": f"{task}-{number}"} for number, row in enumerate([*good, *bad])]


def scored(tmp_path, *tasks):
    path = tmp_path / "responses.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for task in tasks for row in task))
    return score_file(path, None, make_judge("rules"))


def test_the_published_averages_are_kept_beside_those_of_their_cells():
    columns = published()
    assert len(columns) == 9
    names = [task.name for task in find_tasks(["all"])]
    assert all(list(column["scores"]) == names for column in columns.values())
    differ = {model for model, column in columns.items() if column["average"] != column["said"]}
    assert differ == {"MediX-R1 30B"}
    assert columns["MediX-R1 30B"]["scores"]["MedQA"] == 0.929
    assert all(column["scores"]["PubMedQA"] < 0.552 for model, column in columns.items() if model.startswith("MediX"))


def test_scores_are_by_task_with_what_is_trivial_beside_them(tmp_path):
    scores = scored(tmp_path, rows("PubMedQA", 3, 1), rows("mine", 1, 1))
    assert scores["by_task"]["PubMedQA"]["accuracy"]["value"] == 0.75
    assert scores["by_task"]["mine"]["accuracy"] == scores["by_task"]["mine"]["accuracy_unscored_as_wrong"]
    assert scores["by_task"]["PubMedQA"]["trivial"] == {"commonest answer": 0.75, "always yes": 0.75}
    assert scores["macro"] == pytest.approx((0.75 + 0.5) / 2)
    assert scores["accuracy"]["n"] == 6


def test_two_judges_have_two_columns_and_a_second_task_joins_its_own(tmp_path):
    board = tmp_path / "board"
    scores = scored(tmp_path, rows("PubMedQA", 3, 1))
    add_scores(board, "mine", scores)
    add_scores(board, "mine", scores | {"judge": "another"})
    add_scores(board, "mine", scored(tmp_path, rows("MedQA", 1, 1)))
    columns = leaderboard(board)["columns"]
    own = {name: column for name, column in columns.items() if name.startswith("mine")}
    assert sorted(len(column["scores"]) for column in own.values()) == [1, 2]
    assert {column["judge"] for column in own.values()} == {scores["judge"], "another"}
    assert len(columns) == 11
    add_scores(board, "mine", scored(tmp_path, rows("PubMedQA", 1, 1)))
    assert leaderboard(board)["columns"][f"mine (judge: {scores['judge']})"]["scores"]["PubMedQA"] == 0.5
    text = write_leaderboard(board)[0].read_text()
    assert "| average as published |" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    shown = leaderboard(board)
    assert len(table) == 2 + len(shown["tasks"]) + 2, "tasks with a head and two averages, a line each"
    assert {line.count("|") for line in table} == {len(shown["columns"]) + 3}
    assert "| PubMedQA | 0.500 | 0.520 |" in text
    for name in ("leaderboard.png", "ranking.png"):
        assert (board / name).stat().st_size > 10_000
    (board / "x--y.json").write_text("[]")
    with pytest.raises(InputError, match=r"x--y\.json is not a score file"):
        leaderboard(board)


def test_the_command_adds_to_a_leaderboard(tmp_path):
    path = tmp_path / "responses.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows("MedQA", 2, 1)))
    command = [sys.executable, "-m", "medix_lite", "score", "--responses", str(path), "--judge", "rules"]
    command += ["--leaderboard", str(tmp_path / "board"), "--model", "my model"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "leaderboard.md" in done.stdout
    assert "my model" in (tmp_path / "board" / "leaderboard.md").read_text()
