"""Every task loads: nine from the benchmarks' own files, two from curation's sources, all of the Hub's from rows in its columns.

What is asked is held against `tests/snapshots/tasks.json`: our own rows as texts, real files as hashes. After a meant change:
`MEDIX_LITE_WRITE_SNAPSHOTS=1 MEDIX_LITE_REAL_DATA=... python -m pytest tests/test_tasks.py`, then read the difference.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from benchmark_files import ROWS
from datasets import Dataset, Features, Image, Value
from test_curation import make_smears

from medix_lite.curation.curate import curate
from medix_lite.evaluation.generate import chat_messages
from medix_lite.evaluation.tasks import Task, find_tasks, trivial_answers, write_task
from medix_lite.files import InputError, read_json, read_table, write_json
from medix_lite.responses import build_prompt
from medix_lite.samples import content_id, open_image, read_samples
from medix_lite.tiny_world.questions import make_samples

SUBJECTS = ("Anat", "Clinical", "Bio", "Med", "Genetics", "ProfMed")
OWN = dict(zip([*(f"MMLU-{subject}" for subject in SUBJECTS), "MedQA", "MedMCQA", "PubMedQA"], ROWS, strict=True))
SOURCED = [name for name, row in read_table("tasks").items() if row.get("source")]
PICTURED = [name for name, row in read_table("tasks").items() if row.get("image")]
TEXT = [name for name in read_table("tasks") if name not in (*PICTURED, *SOURCED)]
MMMU = "MMMU-ClinMed"
SNAPSHOTS = Path(__file__).parent / "snapshots" / "tasks.json"


def only(name):
    return find_tasks([name])[0]


def hold(part, name, found):
    """Hold what was found against the snapshot, or write it there where that is asked for."""
    known = read_json(SNAPSHOTS)
    if os.environ.get("MEDIX_LITE_WRITE_SNAPSHOTS"):
        known.setdefault(part, {})[name] = found
        write_json(SNAPSHOTS, known)
    assert known[part][name] == found


def asked(sample):
    """What is asked, and the id where it hangs on no picture: other versions of Pillow write other bytes."""
    return {"prompt": build_prompt(sample), "reference": sample.reference} | ({} if sample.images else {"id": sample.id})


def digest(samples):
    """A hash of all that is asked and its references: real texts stay where they are."""
    return content_id(*(part for sample in samples for part in (sample.id, build_prompt(sample), sample.reference)))


def test_there_are_seventeen_and_groups_hold_them():
    assert len(find_tasks(["all"])) == 17
    assert [len(find_tasks([group])) for group in ("llm", "vlm", "mmmu-medical", "MORE")] == [11, 6, 5, 8]
    assert [task.name for task in find_tasks(["all", "more"])] == list(read_table("tasks"))
    assert [task.name for task in find_tasks(["medqa", "MedQA", "pubmedqa"])] == ["MedQA", "PubMedQA"]
    assert [task.name for task in find_tasks(["all"]) if task.local_only] == ["MIMIC-CXR-Sum", "MIMIC-CXR-Gen"]
    assert [task.name for task in find_tasks(["all"]) if task.template == "mimic"] == ["MIMIC-CXR-Sum", "MIMIC-CXR-Gen"]


@pytest.mark.parametrize("name", OWN)
def test_the_nine_own_files_give_every_row(name, real_data, tmp_path):
    file = real_data / "mirage" / "rawdata" / OWN[name]
    samples = write_task(only(name), tmp_path, file)
    hold("real files", name, {"n": len(samples), "sha256": digest(samples)})
    assert len(samples) == ROWS[OWN[name]]
    assert len({sample.id for sample in samples}) == len(samples)
    assert [s.id for s in read_samples(tmp_path / "samples.jsonl")] == [s.id for s in samples]
    if name == "PubMedQA":
        assert {sample.reference for sample in samples} == {"yes", "no", "maybe"}
        assert trivial_answers(samples)["always yes"] == 0.552
        for row, sample in zip(read_json(file).values(), samples, strict=True):
            assert sample.question.startswith("Context: ")
            assert all(text in sample.question for text in row["CONTEXTS"])
            assert sample.question.endswith(f"{row['QUESTION']} Answer yes, no or maybe.")
            assert sample.options is None, "words, not letters"
    else:
        assert all(sample.reference in sample.options for sample in samples)


def own_rows(name):
    """Two questions of ours in the form of a benchmark's own file, and the file's name."""
    options = ["the liver", "the left lung", "the spleen, in part", "none"]
    said = ["Where does it\nlie?", "And where not?"]
    if name.startswith("MMLU"):
        return "own.csv", [[question, *options, letter] for question, letter in zip(said, "BD", strict=True)]
    if name == "MedQA":
        given = dict(zip("ABCD", options, strict=True))
        return "own.jsonl", [
            {"question": q, "options": given, "answer_idx": x, "answer": given[x]} for q, x in zip(said, "BD", strict=True)
        ]
    if name == "MedMCQA":
        given = dict(zip(("opa", "opb", "opc", "opd"), options, strict=True))
        return "own.json", [given | {"question": question, "cop": cop} for question, cop in zip(said, (2, 4), strict=True)]
    abstract = {"LABELS": ["AIM", "RESULT"], "CONTEXTS": ["Is it seen?", "In 3 of 4 it was."], "QUESTION": "Was it seen?"}
    return "own.json", {"1": abstract | {"final_decision": "maybe"}, "2": abstract | {"final_decision": "yes"}}


@pytest.mark.parametrize("name", OWN)
def test_own_files_ask_what_they_always_asked(name, tmp_path):
    file, rows = own_rows(name)
    with (tmp_path / file).open("w", newline="") as handle:
        if file.endswith("csv"):
            csv.writer(handle).writerows(rows)
        else:
            handle.write("\n".join(map(json.dumps, rows)) if file.endswith("jsonl") else json.dumps(rows))
    samples = write_task(only(name), tmp_path / "out", tmp_path / file)
    assert [sample.reference for sample in samples] == (["maybe", "yes"] if name == "PubMedQA" else ["the left lung", "none"])
    hold("own files", name, asked(samples[0]))
    (tmp_path / file).write_text("what,is,this" if file.endswith("csv") else '[{"another": "form"}]')
    with pytest.raises(InputError, match=rf"task {name}: .*{file}, row 1: not a question with options") as error:
        write_task(only(name), tmp_path / "out", tmp_path / file)
    assert "\n" not in str(error.value)


def images_of(task):
    return task.image if isinstance(task.image, list) else [task.image] if task.image else []


def row_of(task, number, picture=None):
    """A row in the columns of the Hub's table; of several picture columns it fills the first."""
    row = {task.question: f"Question {number}?"}
    options = [f"option {number} {letter}" for letter in "abcd"]
    if isinstance(task.options, list):
        row |= dict(zip(task.options, options, strict=True))
    elif task.options:
        row[task.options] = options if task.answer_is == "index" else dict(zip("ABCD", options, strict=True))
    if task.hub == "MMMU/MMMU":
        row |= {task.question: f"Which is in <image 1>, by question {number}?", task.options: repr(options)}
    row[task.answer] = {"index": 2, "letter": "C", "text": f"answer {number}"}[task.answer_is]
    return row | dict(task.keep) | dict.fromkeys(images_of(task)) | dict.fromkeys(images_of(task)[:1], picture)


@pytest.mark.parametrize("name", TEXT)
def test_text_tasks_load_rows_in_the_hubs_columns(name, tmp_path):
    task = only(name)
    Dataset.from_list([row_of(task, number) for number in range(3)]).to_parquet(tmp_path / "rows.parquet")
    samples = write_task(task, tmp_path / "out", tmp_path / "rows.parquet")
    assert [sample.question for sample in samples] == ["Question 0?", "Question 1?", "Question 2?"]
    assert samples[1].reference == ("option 1 c" if task.options else "answer 1")
    hold("hub", name, asked(samples[1]))
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
    kinds = Features({column: Image() if column in images_of(task) else Value("string") for column in rows[0]})
    Dataset.from_list(rows, features=kinds).to_parquet(tmp_path / "rows.parquet")
    samples = write_task(task, tmp_path / "out", tmp_path / "rows.parquet")
    hold("hub", name, asked(samples[1]))
    read = read_samples(tmp_path / "out" / "samples.jsonl")
    assert [Path(sample.images[0]).read_bytes() for sample in read] == contents
    assert open_image(read[0].images[0]).size == (64, 64)
    with (tmp_path / "rows.jsonl").open("w") as handle:
        for number, file in enumerate(files):
            handle.write(json.dumps(row_of(task, number, file)) + "\n")
    assert [s.id for s in write_task(task, tmp_path / "other", tmp_path / "rows.jsonl")] == [s.id for s in samples]


@pytest.mark.parametrize("name", [*TEXT, *PICTURED])
def test_each_column_that_is_gone_is_named(name, tmp_path):
    row = row_of(task := only(name), 1, "p.png")
    for column in row:
        Dataset.from_list([{key: value for key, value in row.items() if key != column}]).to_parquet(tmp_path / "rows.parquet")
        with pytest.raises(InputError, match=rf"task {name}: .* has no column '{column}'; it has ") as error:
            write_task(task, tmp_path / "out", tmp_path / "rows.parquet")
        assert "\n" not in str(error.value)


def test_several_pictures_keep_their_order_and_open_questions_have_no_options(tmp_path):
    task, files = only(MMMU), [s.images[0] for s in make_samples(12, "test", 1, tmp_path / "made") if s.images][:2]
    several = row_of(task, 1, files[0]) | {"image_2": files[1], "options": repr(["<image 1>", 'the "other\'s"', "x: y", "none"])}
    opened = row_of(task, 2, files[1]) | {"options": "[]", "answer": "Transformation"}

    def write(*rows):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    write(several, row_of(task, 1, files[0]), opened)
    both, first, free = write_task(task, tmp_path / "out", tmp_path / "rows.jsonl")
    assert [Path(image).read_bytes() for image in both.images] == [Path(file).read_bytes() for file in files]
    assert [part["type"] for part in chat_messages(both)[0]["content"]] == ["image", "image", "text"]
    assert (both.options[1], both.reference, both.option_label()) == ('the "other\'s"', "x: y", "C")
    assert (free.options, free.reference) == (None, "Transformation")
    assert both.images[0] == first.images[0], "the same picture is written once"
    write(row_of(task, 1, files[0]) | {"image_2": files[1]}, row_of(task, 1, files[0]))
    assert len({s.id.partition("-")[0] for s in write_task(task, tmp_path / "out", tmp_path / "rows.jsonl")}) == 2, "pictures count"
    for row, message in ((several | {"options": "['a', "}, "SyntaxError"), (several | {"image_1": None}, "there is no picture")):
        write(row)
        with pytest.raises(InputError, match=message) as error:
            write_task(task, tmp_path / "out", tmp_path / "rows.jsonl")
        assert "rows.jsonl, row 1" in str(error.value)
        assert "\n" not in str(error.value)


def test_the_tiny_worlds_task_asks_what_a_run_is_tested_by(tmp_path):
    samples = write_task(only("phantoms").model_copy(update={"n": 30}), tmp_path / "out")
    curate("phantoms", tmp_path / "run", sizes={"train": 20, "probe": 5, "test": 30}, seed=0, image_size=64)
    tested = read_samples(tmp_path / "run" / "samples_test.jsonl")
    fields = ("question", "reference", "options", "facts", "graded")
    for sample, same in zip(samples, tested, strict=True):
        assert [getattr(sample, field) for field in fields] == [getattr(same, field) for field in fields]
        assert [Path(a).read_bytes() for a in sample.images] == [Path(b).read_bytes() for b in same.images]
    assert any(sample.graded for sample in samples)
    assert any(sample.images for sample in samples)
    again = write_task(only("phantoms").model_copy(update={"n": 20}), tmp_path / "again")
    assert [sample.id for sample in again] == [sample.id for sample in samples[:20]]
    hold("sources", "phantoms", [asked(sample) for sample in samples[:2]])


def test_bccds_task_is_its_official_test_list(tmp_path):
    root = make_smears(tmp_path / "data")
    samples = write_task(only("bccd"), tmp_path / "out", root.parent)
    assert {Path(sample.images[0]) for sample in samples} == {root / "JPEGImages" / f"smear_{number}.jpg" for number in (4, 5)}
    assert all(sample.source == "BCCD" and sample.derived for sample in samples)
    hold("sources", "BCCD", asked(samples[0]) | {"references": samples[0].references})
    with pytest.raises(InputError, match="source 'bccd' needs a path"):
        write_task(only("BCCD"), tmp_path / "out")


def test_bccds_real_pictures_ask_what_they_always_asked(real_data, tmp_path):
    samples = write_task(only("BCCD"), tmp_path, real_data / "bccd")
    hold("real files", "BCCD", {"n": len(samples), "sha256": digest(samples)})


def test_every_task_has_a_snapshot_and_every_snapshot_a_task():
    known = read_json(SNAPSHOTS)
    assert known["hub"].keys() == {*TEXT, *PICTURED}
    assert known["sources"].keys() == set(SOURCED)
    assert known["own files"].keys() == set(OWN)
    assert known["real files"].keys() == {*OWN, "BCCD"}


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
    with pytest.raises(InputError, match="unknown task 'nothing'; use all, llm, vlm, more, a YAML file or one of MMLU-Clinical"):
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
    with pytest.raises(InputError, match=r"mine\.yaml: field 'group': Input should be 'llm', 'vlm', 'mmmu-medical' or 'more'"):
        find_tasks([str(tmp_path / "mine.yaml")])
    for broken in ("group: [", "just words", ""):
        (tmp_path / "mine.yaml").write_text(broken)
        with pytest.raises(InputError, match=r"mine\.yaml"):
            find_tasks([str(tmp_path / "mine.yaml")])


def test_a_task_of_your_own_may_name_a_source(tmp_path):
    rows = [{"id": f"{n}", "question": f"What is organ {n}?", "reference": f"organ {n}", "split": "test"} for n in range(9)]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {
        "group": "llm",
        "source": f"folder:{tmp_path / 'mine'}",
        "n": 4,
        "licence": "mine",
        "local_only": True,
        "template": "mimic",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    samples = write_task(find_tasks([str(tmp_path / "mine.yaml")])[0], tmp_path / "out")
    assert len(samples) == 4
    assert all(s.source == "mine" and s.local_only and s.graded for s in samples)
    assert len(read_samples(tmp_path / "out" / "samples.jsonl")) == 4
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own | {"source": "nowhere:x"}))
    with pytest.raises(InputError, match="unknown source 'nowhere:x'; use one of phantoms"):
        write_task(find_tasks([str(tmp_path / "mine.yaml")])[0], tmp_path / "other")
