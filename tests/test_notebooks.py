"""The notebooks: pairs that agree, typed parameters with help, outputs that show phantoms only, and runs to the end."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest

from medix_lite.files import read_json, read_jsonl
from medix_lite.runner import check_parameters, find_notebooks

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SHORT = "training.steps=3,training.prompts_per_step=2,data.train=24,data.probe=6,data.test=24,evaluation.copies=2"


def named(notebooks):
    return pytest.mark.parametrize("path", notebooks, ids=[path.stem[:2] for path in notebooks])


def test_the_course_has_its_notebooks():
    assert [path.stem[:2] for path in find_notebooks()] == ["00", "01", "02", "03", "04", "05", "06"]


@named(NOTEBOOKS)
def test_script_and_notebook_hold_the_same_cells(path):
    script, notebook = jupytext.read(path.with_suffix(".py")), nbformat.read(path, 4)
    nbformat.validate(notebook)
    cells = lambda nb: [(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in nb.cells]  # noqa: E731
    assert cells(script) == cells(notebook)


@named(NOTEBOOKS)
def test_updating_from_the_script_changes_no_source(path, tmp_path):
    for suffix in (".py", ".ipynb"):
        (tmp_path / path.name).with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    script = tmp_path / path.with_suffix(".py").name
    subprocess.run([sys.executable, "-m", "jupytext", "--update", "--to", "ipynb", str(script)], check=True, capture_output=True)
    before, after = nbformat.read(path, 4), nbformat.read(tmp_path / path.name, 4)
    assert [(c.id, c.source) for c in before.cells] == [(c.id, c.source) for c in after.cells]


@named(NOTEBOOKS)
def test_every_parameter_has_type_and_help(path):
    parameters = papermill.inspect_notebook(str(path))
    assert {"run_dir", "profile", "source", "seed", "judge", "settings"} <= set(parameters)
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "--help-notebook", str(path)], capture_output=True, text=True, check=True
    )
    for name, parameter in parameters.items():
        assert parameter["inferred_type_name"] in ("str", "int", "float", "bool"), name
        assert len(parameter["help"]) > 10, name
        assert f"{name}: {parameter['inferred_type_name']}" in done.stdout


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
def test_same_seed_same_results_and_resume(tmp_path):
    first = run(tmp_path / "a", "--settings", SHORT, "--seed", "4")
    assert first.returncode == 0, first.stderr
    assert run(tmp_path / "b", "--settings", SHORT, "--seed", "4").returncode == 0
    a, b = assert_complete(tmp_path / "a"), assert_complete(tmp_path / "b")
    assert without_seconds(a) == without_seconds(b)

    # Lose the last notebook and the results, resume: only that part is done again, with the same outcome.
    (tmp_path / "b" / "notebooks" / "04_judge_evaluation.ipynb").unlink()
    (tmp_path / "b" / "results.json").unlink()
    resumed = run(tmp_path / "b", "--settings", SHORT, "--seed", "4", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "03_grpo_training: done before" in resumed.stdout
    assert without_seconds(read_json(tmp_path / "b" / "results.json")) == without_seconds(a)


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
