"""The notebooks: pairs that agree, typed parameters with help, outputs that show phantoms only, and runs to the end."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
from nbclient import NotebookClient

from medix_lite.files import read_json, read_jsonl
from medix_lite.runner import check_parameters, find_notebooks

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SHORT = "training.steps=3,training.prompts_per_step=2,data.train=24,data.probe=6,data.test=24,evaluation.copies=2"


def named(notebooks):
    return pytest.mark.parametrize("path", notebooks, ids=[path.stem[:2] for path in notebooks])


def test_the_course_has_its_notebooks():
    assert [path.stem[:2] for path in find_notebooks()] == ["00", "01", "02", "03", "04", "05", "06", "07"]


@named(NOTEBOOKS)
def test_script_and_notebook_hold_the_same_cells(path):
    script, notebook = jupytext.read(path.with_suffix(".py")), nbformat.read(path, 4)
    nbformat.validate(notebook)
    cells = lambda nb: [(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in nb.cells]  # noqa: E731
    assert cells(script) == cells(notebook)


def test_updating_from_the_scripts_changes_no_source(tmp_path):
    for path in NOTEBOOKS:
        for suffix in (".py", ".ipynb"):
            (tmp_path / path.name).with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    scripts = map(str, tmp_path.glob("*.py"))
    subprocess.run([sys.executable, "-m", "jupytext", "--update", "--to", "ipynb", *scripts], check=True, capture_output=True)
    for path in NOTEBOOKS:
        before, after = nbformat.read(path, 4), nbformat.read(tmp_path / path.name, 4)
        assert [(c.id, c.source) for c in before.cells] == [(c.id, c.source) for c in after.cells]


@named(NOTEBOOKS)
def test_the_script_is_what_jupytext_would_write(path):
    """To the letter, or JupyterLab does not open a notebook that is newer than its script, as git may leave them."""
    script = path.with_suffix(".py").read_text()
    written = jupytext.writes(jupytext.reads(script, "py:percent"), "py:percent")
    assert written.partition("# %%")[2] == script.partition("# %%")[2]


@named(NOTEBOOKS)
def test_every_parameter_has_type_and_help(path):
    parameters = papermill.inspect_notebook(str(path))
    assert {"run_dir", "profile", "source", "seed", "judge", "settings"} <= set(parameters)
    for name, parameter in parameters.items():
        assert parameter["inferred_type_name"] in ("str", "int", "float", "bool"), name
        assert len(parameter["help"]) > 10, name


def test_papermill_shows_the_parameters():
    command = [sys.executable, "-m", "papermill", "--help-notebook", str(NOTEBOOKS[0])]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name, parameter in papermill.inspect_notebook(str(NOTEBOOKS[0])).items():
        assert f"{name}: {parameter['inferred_type_name']}" in shown


@named(NOTEBOOKS)
def test_outputs_are_committed_small_and_of_phantoms(path):
    assert path.stat().st_size < 1e6
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "not executed from top to bottom"
    assert sum(bool(cell.outputs) for cell in code) >= len(code) // 2
    assert not [out for cell in code for out in cell.outputs if out.output_type == "error"]
    text = json.dumps([out for cell in code for out in cell.outputs if "image/png" not in out.get("data", {})])
    for word in ("bccd", "pubmed", "Traceback", "Warning"):
        assert word not in text, word
    lengths = sorted(len(cell.source.splitlines()) for cell in code)
    assert lengths[len(lengths) // 2] <= 10, "median code cell"


PARTS = ["# ", "**What you will learn.**", "**Minutes:**", "**Prerequisites:**", "> Research and education only", "![", "## 1. "]
PARTS += [
    "## Exercises",
    "**Exercise 1",
    "**Exercise 2",
    "## Quiz",
    "<details>",
    "## What you learned",
    "**Differs from MediX-R1:**",
    "**Next:**",
]


@named(NOTEBOOKS)
def test_notebooks_have_one_skeleton(path):
    lines = [line for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    for part in PARTS:  # in this order; two may share a line
        found = next((n for n, line in enumerate(lines) if part in line), None)
        assert found is not None, part
        lines = lines[found:]


@named(NOTEBOOKS)
def test_each_exercise_is_followed_by_its_solution_and_a_check_that_gives_a_hint(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    tags = [tag for cell in cells for tag in cell.metadata.get("tags", []) if tag != "parameters"]
    assert tags == ["exercise", "solution", "check"] * (len(tags) // 3)
    assert 2 <= len(tags) // 3 <= 3
    for exercise, solution, check in zip(*(tagged(cells, tag) for tag in ("exercise", "solution", "check")), strict=True):
        asked = set(re.findall(r"^(my_\w+)|, (my_\w+)", exercise.source, flags=re.MULTILINE))
        names = {name for pair in asked for name in pair if name}
        assert names
        assert "..." in exercise.source
        assert all(name in solution.source and name in check.source for name in names)
        assert solution.metadata["jupyter"]["source_hidden"]
        hints = [node.msg for node in ast.walk(ast.parse(check.source)) if isinstance(node, ast.Assert)]
        assert len(hints) >= 2
        assert None not in hints
        assert not check.get("outputs") or "right" in "".join(check.outputs[0]["text"]) or path.stem[:2] in ("03", "06")


def tagged(cells, tag):
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


@named(NOTEBOOKS)
def test_the_quiz_is_that_of_the_instructor_notes(path):
    notes = (ROOT / "notebooks" / "instructor_notes.md").read_text()
    key = re.findall(rf"^\| {path.stem[:2]} \| (.+?) \| (.+?) \|$", notes, flags=re.MULTILINE)
    assert len(key) >= 2
    text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells)
    assert re.findall(r"<summary>(.+?)</summary>\n\n(.+?)\n</details>", text) == key


@named(NOTEBOOKS)
def test_widgets_send_nothing_to_the_kernel_when_they_are_made(path):
    """An `Output` widget makes nbclient send and receive on one socket at once: one cell in some 75 never ends (nbclient #312)."""
    assert not re.search(r"\b(interact\w*|Output)\(", path.with_suffix(".py").read_text())


def test_unknown_parameter_is_found_before_anything_runs():
    from medix_lite.files import InputError

    with pytest.raises(InputError, match="unknown parameter 'stepz'"):
        check_parameters(NOTEBOOKS, {"stepz": 1})


def run(out, *arguments):
    command = [sys.executable, "-c", "from medix_lite.cli import main; main()", "run", "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500)


def without_seconds(results):
    return {name: value for name, value in results.items() if name != "seconds"}


def assert_complete(folder):
    """The run folder holds what the design promises."""
    for name in ("report.html", "profile.yaml", "environment.json", "metrics.jsonl", "results.json"):
        assert (folder / name).stat().st_size > 0, name
    assert len(list((folder / "notebooks").glob("*.ipynb"))) == len(NOTEBOOKS)
    assert "not for clinical use" in (folder / "report.html").read_text()
    fetched = re.findall(r'(?:src|href)="(?!data:)[^"]*"', (folder / "report.html").read_text())
    assert not fetched, "the report needs no network"
    results = read_json(folder / "results.json")
    for which in ("base", "trained"):
        assert set(results[which]) == {"true_accuracy", "judged_accuracy", "pass_at_8", "format", "modality", "n"}
        assert set(results[which]["format"]) == {"value", "ci95"}
    assert set(results["gain"]) == {"true_accuracy", "judged_accuracy", "pass_at_8", "format", "modality"}
    return results


@pytest.mark.slow
def test_same_seed_same_results_and_resume(short_run, tmp_path):
    second = run(tmp_path / "b", "--settings", SHORT, "--seed", "4")
    assert second.returncode == 0, second.stderr
    a, b = assert_complete(short_run), assert_complete(tmp_path / "b")
    assert without_seconds(a) == without_seconds(b)

    # Lose the last notebook and the results, resume: only that part is done again, with the same outcome.
    (tmp_path / "b" / "notebooks" / "04_judge_evaluation.ipynb").unlink()
    (tmp_path / "b" / "results.json").unlink()
    resumed = run(tmp_path / "b", "--settings", SHORT, "--seed", "4", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "03_grpo_training: done before" in resumed.stdout
    assert without_seconds(read_json(tmp_path / "b" / "results.json")) == without_seconds(a)


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """The folder that `make exercises` writes."""
    folder = tmp_path_factory.mktemp("exercises")
    command = ["make", "-s", "--old-file=.venv/.base", "exercises", f"EXERCISES={folder}", f"BIN={Path(sys.executable).parent}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.slow
@named(NOTEBOOKS)
def test_students_copies_fail_at_their_checks_with_a_hint(path, short_run, students):
    """Solutions pass where the notebooks run; a copy without them must stop at each check, and nowhere else."""
    copy = papermill.iorw.load_notebook_node(str(students / path.name))
    assert not [cell for cell in copy.cells if "solution" in cell.metadata.get("tags", []) or cell.get("outputs")]
    assert set(copy.metadata) <= {"kernelspec", "papermill"}, "the state of widgets holds answers"
    copy = papermill.parameterize.parameterize_notebook(copy, {"run_dir": str(short_run), "seed": 4, "settings": SHORT})
    NotebookClient(copy, allow_errors=True, timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    for cell in (cell for cell in copy.cells if cell.cell_type == "code"):
        errors = [out for out in cell.outputs if out.output_type == "error"]
        if "check" in cell.metadata.get("tags", []):
            assert [error.ename for error in errors] == ["AssertionError"], cell.source
            assert re.match(r"my_\w+( and my_\w+)? (is|are) still `\.\.\.`", errors[0].evalue), errors[0].evalue
        else:
            assert errors == [], cell.source


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bccd", "pubmedqa"])
def test_real_data_run_to_the_end(tmp_path, real_data, name):
    done = run(tmp_path / name, "--source", f"{name}:{real_data / name}", "--settings", SHORT)
    assert done.returncode == 0, done.stderr
    results = assert_complete(tmp_path / name)
    assert results["base"]["true_accuracy"] == {"value": None, "ci95": [None, None]}
    assert results["base"]["judged_accuracy"]["value"] is not None
    assert results["base"]["n"] == 24
    verdicts = read_jsonl(tmp_path / name / "verdicts" / "trained-greedy.jsonl")
    assert len(verdicts) == 24


@pytest.mark.slow
def test_the_course_at_full_length(tmp_path):
    """The default run, as `make tutorial` does it: RL must make the tiny policy better in truth."""
    done = run(tmp_path / "full")
    assert done.returncode == 0, done.stderr
    results = assert_complete(tmp_path / "full")
    gain = results["gain"]["true_accuracy"]
    assert results["base"]["n"] >= 1000
    assert gain["value"] >= 0.20
    assert gain["ci95"][0] >= 0.15
    assert results["trained"]["format"]["value"] >= 0.98
    assert results["trained"]["modality"]["value"] >= 0.95
