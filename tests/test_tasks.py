"""Every task loads: the nine from the benchmarks' own files with all rows, the others from rows in the Hub's columns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from benchmark_files import ROWS
from datasets import Dataset, Features, Image, Value

from medix_lite.evaluation.tasks import Task, find_tasks, trivial_answers, write_task
from medix_lite.files import InputError, read_table
from medix_lite.samples import open_image, read_samples
from medix_lite.tiny_world.questions import make_samples

SUBJECTS = ("Anat", "Clinical", "Bio", "Med", "Genetics", "ProfMed")
OWN = dict(zip([*(f"MMLU-{subject}" for subject in SUBJECTS), "MedQA", "MedMCQA", "PubMedQA"], ROWS, strict=True))
PICTURED = [name for name, row in read_table("tasks").items() if row.get("image")]
TEXT = [name for name in read_table("tasks") if name not in PICTURED]


def only(name):
    return find_tasks([name])[0]


def test_there_are_seventeen_and_groups_hold_them():
    assert len(find_tasks(["all"])) == 17
    assert [len(find_tasks([group])) for group in ("llm", "vlm")] == [11, 6]
    assert [task.name for task in find_tasks(["medqa", "MedQA", "pubmedqa"])] == ["MedQA", "PubMedQA"]
    assert [task.name for task in find_tasks(["all"]) if task.local_only] == ["MIMIC-CXR-Sum", "MIMIC-CXR-Gen"]
    assert [task.name for task in find_tasks(["all"]) if task.template == "mimic"] == ["MIMIC-CXR-Sum", "MIMIC-CXR-Gen"]


@pytest.mark.parametrize("name", OWN)
def test_the_nine_own_files_give_every_row(name, real_data, tmp_path):
    samples = write_task(only(name), tmp_path, real_data / "mirage" / "rawdata" / OWN[name])
    assert len(samples) == ROWS[OWN[name]]
    assert len({sample.id for sample in samples}) == len(samples)
    assert [s.id for s in read_samples(tmp_path / "samples.jsonl")] == [s.id for s in samples]
    if name == "PubMedQA":
        assert {sample.reference for sample in samples} == {"yes", "no", "maybe"}
        assert trivial_answers(samples)["always yes"] == 0.552
        assert all(sample.question.startswith("Context: ") for sample in samples)
    else:
        assert all(sample.reference in sample.options for sample in samples)


def row_of(task, number, picture=None):
    """A row in the columns of the Hub's table."""
    row = {task.question: f"Question {number}?"}
    options = [f"option {number} {letter}" for letter in "abcd"]
    if isinstance(task.options, list):
        row |= dict(zip(task.options, options, strict=True))
    elif task.options:
        row[task.options] = options if task.answer_is == "index" else dict(zip("ABCD", options, strict=True))
    row[task.answer] = {"index": 2, "letter": "C", "text": f"answer {number}"}[task.answer_is]
    return row | dict(task.keep) | ({task.image: picture} if picture else {})


@pytest.mark.parametrize("name", TEXT)
def test_text_tasks_load_rows_in_the_hubs_columns(name, tmp_path):
    task = only(name)
    Dataset.from_list([row_of(task, number) for number in range(3)]).to_parquet(tmp_path / "rows.parquet")
    samples = write_task(task, tmp_path / "out", tmp_path / "rows.parquet")
    assert [sample.question for sample in samples] == ["Question 0?", "Question 1?", "Question 2?"]
    assert samples[1].reference == ("option 1 c" if task.options else "answer 1")
    assert all(sample.local_only == task.local_only and sample.graded == (task.template == "mimic") for sample in samples)
    again = Dataset.from_list([row_of(task, number) for number in (2, 0)])
    again.to_parquet(tmp_path / "moved.parquet")
    assert [s.id for s in write_task(task, tmp_path / "moved", tmp_path / "moved.parquet")] == [samples[2].id, samples[0].id]


@pytest.mark.parametrize("name", PICTURED)
def test_pictures_stay_byte_for_byte(name, tmp_path):
    task = only(name)
    made = [sample for sample in make_samples(12, "test", 1, tmp_path / "made") if sample.images][:3]
    files = [sample.images[0] for sample in made]
    contents = [Path(file).read_bytes() for file in files]
    rows = [row_of(task, number, {"bytes": content, "path": None}) for number, content in enumerate(contents)]
    kinds = Features({column: Image() if column == task.image else Value("string") for column in rows[0]})
    Dataset.from_list(rows, features=kinds).to_parquet(tmp_path / "rows.parquet")
    samples = write_task(task, tmp_path / "out", tmp_path / "rows.parquet")
    read = read_samples(tmp_path / "out" / "samples.jsonl")
    assert [Path(sample.images[0]).read_bytes() for sample in read] == contents
    assert open_image(read[0].images[0]).size == (64, 64)
    with (tmp_path / "rows.jsonl").open("w") as handle:
        for number, file in enumerate(files):
            handle.write(json.dumps(row_of(task, number, file)) + "\n")
    assert [s.id for s in write_task(task, tmp_path / "other", tmp_path / "rows.jsonl")] == [s.id for s in samples]


def test_rows_that_do_not_count_are_left_out(tmp_path):
    task = only("SLAKE-VQA")
    rows = [row_of(task, 1, "p.png"), row_of(task, 2, "p.png") | {"q_lang": "zh"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_samples(3, "test", 1, tmp_path / "made")
    (tmp_path / "p.png").write_bytes(next((tmp_path / "made").rglob("*.png")).read_bytes())
    assert [s.question for s in write_task(task, tmp_path / "out", tmp_path / "rows.jsonl")] == ["Question 1?"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "Q?", "reply": "A"}], r"has no column 'answer'; it has question, reply"),
        ([{"question": "Q?", "answer": 3}], "question and answer must be texts"),
        ([{"question": " ", "answer": "A"}], "question and answer must be texts"),
        ([], "holds no rows"),
    ],
)
def test_a_changed_table_is_one_clear_line(rows, message, tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=message) as error:
        write_task(Task(name="mine", group="llm", licence="mine"), tmp_path / "out", tmp_path / "rows.jsonl")
    assert "\n" not in str(error.value)


def test_what_is_missing_is_said():
    with pytest.raises(InputError, match="unknown task 'nothing'; use all, llm, vlm, a YAML file or one of MMLU-Clinical"):
        find_tasks(["nothing"])
    with pytest.raises(InputError, match="no revision of GBaker/MedQA-USMLE-4-options-hf is pinned; give --revision COMMIT"):
        write_task(only("MedQA"), None)


def test_a_task_of_your_own_is_one_file(tmp_path):
    own = {"group": "llm", "question": "asked", "answer": "said", "licence": "mine"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    (tmp_path / "rows.csv").write_text("asked,said\nWhat?,this\nWhat?,this\nWhy?,yes\n")
    command = [sys.executable, "-m", "medix_lite", "task", str(tmp_path / "mine.yaml"), "--path", str(tmp_path / "rows.csv")]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True)
    assert "3 questions; commonest answer 0.6667, always yes 0.3333" in done.stdout
    samples = read_samples(tmp_path / "out" / "mine" / "samples.jsonl")
    assert samples[1].id == f"{samples[0].id}-2"
    (tmp_path / "mine.yaml").write_text("group: neither\nlicence: mine\n")
    with pytest.raises(InputError, match=r"mine\.yaml: field 'group': Input should be 'llm' or 'vlm'"):
        find_tasks([str(tmp_path / "mine.yaml")])
    for broken in ("group: [", "just words", ""):
        (tmp_path / "mine.yaml").write_text(broken)
        with pytest.raises(InputError, match=r"mine\.yaml"):
            find_tasks([str(tmp_path / "mine.yaml")])
