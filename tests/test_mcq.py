"""Multiple-choice questions made open: every row is read right, and only questions that stand without their options are opened."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from benchmark_files import ROWS

from medix_lite.curation.mcq import Choice, read_choices, read_mcq, why_not_open
from medix_lite.files import InputError

RAW = "mirage/rawdata"
OPEN = {  # id: start of its question, reference
    "anatomy_test-73": ("In the spinal cord, motor neuron", "Lamina IX"),
    "clinical_knowledge_test-109": ("The synthesis of glucose from lactate", "gluconeogenesis"),
    "clinical_knowledge_test-196": ("What type of joint is the elbow", "Synovial hinge joint"),
    "college_biology_test-44": ("The structures that act as sites of gas", "lenticels"),
    "medical_genetics_test-92": ("Consanguinity shows", "Autosomal recessive"),
    "phrases_no_exclude_test-268": ("A 34-year-old male suffers from inherited", "100%"),
    "dev-503": ("The hormone, which stimulates uterus", "Oxytocin"),
    "dev-662": ("The antidote for heparin", "Protamine sulphate"),
    "dev-1930": ("Post-auricular ecchymosis", "Battle's sign"),
    "dev-2061": ("Which stage of plasmodium vivax", "Gametocyte"),
    "dev-2819": ("Inferior thyroid artery", "Thyrocervical trunk"),
    "dev-3047": ("Patient's lab value of Na+", "12"),
    "dev-3460": ("Magenta tongue", "Riboflavin"),
    "dev-3828": ("What is the codon for selenocysteine", "UGA"),
}
FORM = "in one of the forms"
SHUT = {  # id: start of its question, part of the reason
    "anatomy_test-88": ("The seventh cranial nerve supplies", FORM),
    "medical_genetics_test-97": ("A high blood ammonia level", FORM),
    "dev-190": ("Cherry red spot and Hollenhorst", FORM),
    "dev-719": ("Anterior 2/3rd of tongue", FORM),
    "dev-1193": ("A neonate has central cyanosis", FORM),
    "dev-302": ("Sickle cell anemia is a", FORM),
    "dev-1372": ("Multi constricted apical", "dental work"),
    "dev-2745": ("What type of suturing technique is used here", "picture"),
    "dev-2757": ("Which hormone has permissive role in pubey", "letters of it were lost"),
    "dev-1508": ("Incus and malleus", "part of a part"),
    "dev-817": ("Numbness on shaving after parotidectomy", "wrong, disputed"),
    "dev-718": ("Magnesium is needed", "wrong, disputed"),
    "college_medicine_test-162": ("How many electrons does gold", "wrong, disputed"),
    "dev-1332": ("During mandibular nerve block which nerve also", FORM),
}
GOOD = Choice("The hormone that lets down milk is called:", ["Oxytocin", "Prolactin", "Insulin", "Cortisol"], 0)


@pytest.fixture(scope="session")
def choices(real_data):
    return dict(read_choices(real_data / RAW))


@pytest.fixture(scope="session")
def opened(real_data):
    return {row.id: row for row in read_mcq(real_data / RAW)}


def make(folder: Path, name: str, content: bytes | str | list | dict) -> Path:
    path = folder / name
    path.write_bytes(
        content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    return path


@pytest.mark.parametrize(("name", "rows"), ROWS.items())
def test_every_row_of_the_real_files_is_read(real_data, name, rows):
    found = list(read_choices(real_data / RAW / name))
    assert len(found) == len(dict(found)) == rows
    assert {type(choice) for _, choice in found} == {dict if "pubmedqa" in name else Choice}


def test_the_real_files_are_read_as_one_folder(choices, opened):
    assert list(choices) == list(opened)
    assert len(choices) == sum(ROWS.values()) == 7045
    kinds = Counter(row.fields.get("kind") for row in opened.values())
    assert kinds["yes/no/maybe"] == 500
    assert 150 <= kinds["open"] <= 400
    assert kinds["open"] + kinds[None] == 6545
    # What is not made open keeps its question and options: training is held against them.
    assert all(row.fields["question"] for row in opened.values())
    assert all(bool(row.fields.get("options")) == (row.problem is not None) for row in opened.values())
    assert not any("\n" in (row.problem or "") for row in opened.values())


@pytest.mark.parametrize("name", OPEN)
def test_sound_questions_are_opened(opened, name):
    question, reference = OPEN[name]
    assert opened[name].fields["question"].startswith(question)
    assert opened[name].fields["reference"] == reference
    assert opened[name].split == "train"


@pytest.mark.parametrize("name", SHUT)
def test_other_questions_are_not(choices, opened, name):
    question, reason = SHUT[name]
    assert choices[name].question.strip().startswith(question)
    assert reason in opened[name].problem


def test_nothing_opened_leans_on_its_options(opened):
    for row in opened.values():
        if row.fields.get("kind") == "open":
            words = row.fields["question"].lower().replace("-", " ").split()
            assert not {"except", "following", "most", "best", "likely", "next", "true", "not", "false", "options"} & set(words), (
                row
            )
            assert 1 <= len(row.fields["reference"].split()) <= 5, row


def test_medmcqa_counts_its_right_option_from_one(real_data, choices):
    for number, line in enumerate((real_data / RAW / "medmcqa/data/dev.json").read_text().splitlines(), start=1):
        row, choice = json.loads(line), choices[f"dev-{number}"]
        assert row["cop"] in (1, 2, 3, 4)
        assert choice.options[choice.answer] == row["op" + " abcd"[row["cop"]]]
    vitamins = choices["dev-3460"]
    assert vitamins.options[vitamins.answer] == "Riboflavin"


def test_medqa_letters_agree_with_its_answers(real_data, choices):
    lines = (real_data / RAW / "medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl").read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        choice = choices[f"phrases_no_exclude_test-{number}"]
        assert choice.options[choice.answer] == json.loads(line)["answer"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (GOOD, None),
        (GOOD._replace(question="The enzyme that is not found in milk is called"), "what is not so"),
        (GOOD._replace(question="Which of the following lets down milk, and is called"), "refers to its options"),
        (GOOD._replace(question="The most important hormone is called"), "compared with"),
        (GOOD._replace(question="The latest antibiotic is called"), "changes with the years"),
        (GOOD._replace(question="Lactation"), FORM),
        (GOOD._replace(question=""), FORM),
        (GOOD._replace(answer=3, options=["Insulin", "Renin", "Oxytocin", "All of the above"]), "refers to the options"),
        (GOOD._replace(options=["Oxytocin", "Both", "None of these", "Renin"]), "overlap"),
        (GOOD._replace(options=["Oxytocin and prolactin", "Renin"]), "a list or a statement"),
        (GOOD._replace(options=["10 - 20 mg", "5 mg"]), "a range"),
        (GOOD._replace(options=["2:03", "1:01"]), "spreadsheet"),
        (GOOD._replace(options=["", "Renin"]), "empty"),
        (GOOD._replace(options=["the very long name of a certain hormone", "Renin"]), "long"),
    ],
)
def test_reasons(changed, reason):
    found = why_not_open(changed)
    assert found is None if reason is None else reason in found


ROW = {"question": "It is called?", "options": {"A": "x", "B": "y"}, "answer_idx": "B", "answer": "y"}


@pytest.mark.parametrize(
    ("name", "content"),
    {
        "empty.json": b"",
        "blank.jsonl": b"\n \n",
        "nothing.csv": b"",
        "list.json": [],
        "object.json": {},
        "binary.json": bytes(range(256)),
        "binary.csv": bytes(range(256)),
        "number.json": b"5",
        "word.json": b'"QUESTION opa"',
        "null.json": b"null",
        "infinite.json": b'[{"question": "q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 1e999}]',
        "none.json": [
            ROW | {"options": None},
            ROW | {"options": "xy", "answer": "y", "answer_idx": "y"},
            ROW | {"answer_idx": "C"},
        ],
        "types.json": [ROW | {"question": 5}, ROW | {"options": {"A": "x", "B": ["y"]}}, ROW | {"options": {"B": "y"}}],
        "nested.json": [[[["a"]]], [["a"], ["b"], "c", "A"], [], [[]]],
        "deep.json": b"[" * 10**5,
        "deep.jsonl": b'{"question":' * 10**5 + b"\n" + b"[" * 10**5,
        "column.csv": b"one\ntwo\n",
        "label.csv": b"q,a,b,c,d,\nq,a,b,c,d,AB\nq,a,b,c,d,Z\nq,a,b,c,d,1\nq,A\n",
        "huge.csv": b"q," + b"a" * 10**6 + b",b,c,d,A\n",
        "huge.jsonl": b'{"question": "' + b"q " * 10**6,
        "key.json": [ROW | {"answer_idx": "z" * 10**6}],
        "torn.jsonl": json.dumps(ROW)[:-1].encode(),
        "cop.jsonl": b'{"question": "q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 0}\n{"opa": 1}',
        "pubmedqa.json": {"1": {"QUESTION": "q"}, "2": None, "3": {"QUESTION": "q", "final_decision": ["yes"]}},
    }.items(),
)
def test_what_is_not_a_question_is_told_in_one_line(tmp_path, name, content):
    try:
        problems = [row.problem for row in read_mcq(make(tmp_path, name, content))]
    except InputError as error:
        problems = [str(error)]
    assert problems
    for problem in problems:
        assert problem
        assert name in problem
        assert "\n" not in problem
        assert len(problem) < 600


def test_good_rows_beside_bad_ones_are_kept(tmp_path):
    path = make(tmp_path, "mixed.jsonl", json.dumps(ROW | {"answer_idx": "Z"}) + "\n\n5\n" + json.dumps(ROW))
    first, second, third = dict(read_choices(path)).values()
    assert isinstance(first, str)
    assert isinstance(second, str)
    assert third == Choice("It is called?", ["x", "y"], 1)


def test_a_huge_question_is_read_and_judged(tmp_path):
    row = ROW | {"question": "what does it " * 10**4 + "? " + "a" * 10**6 + " 1" + " " * 10**5}
    (found,) = read_mcq(make(tmp_path, "huge.json", row))
    assert FORM in found.problem


def test_commas_quotes_blank_lines_and_a_mark_at_the_start(tmp_path):
    path = tmp_path / "odd.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        csv.writer(handle).writerows([['A "cell", large,\nis called', "a, b", 'c "d"', "e", "f", " B "], []])
    assert dict(read_choices(path)) == {"odd-1": Choice('A "cell", large,\nis called', ["a, b", 'c "d"', "e", "f"], 1)}


def test_a_folder_without_questions_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.csv"):
        list(read_mcq(tmp_path))
    with pytest.raises(InputError, match="cannot read"):
        list(read_mcq(tmp_path / "missing.json"))
