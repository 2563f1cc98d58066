"""Benchmarks' question files in; Rows out, open-ended only where a multiple-choice question stands without its options.

Reads the benchmarks' own files: MMLU (CSV without a header), MedQA (JSONL), MedMCQA (JSONL, `cop` counts from 1), PubMedQA
(JSON keyed by PubMed id). What makes a question unfit is listed in `data/mcq.yaml`; each unfit one is a bad row that says which.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..files import InputError, parse_row, read_json, read_table
from .rows import Row, as_input_error, bad_row

QUESTION_LINE = "\nQuestion: "


class Choice(NamedTuple):
    """A multiple-choice question: the right option is `options[answer]`.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "medmcqa.jsonl"
    >>> row = {"question": "Which nerve?", "opa": "ulnar", "opb": "median", "opc": "radial", "opd": "tibial", "cop": 3}
    >>> _ = file.write_text(json.dumps(row))
    >>> next(read_choices(file))  # MedMCQA counts from 1, we from 0
    ('medmcqa-1', Choice(question='Which nerve?', options=['ulnar', 'median', 'radial', 'tibial'], answer=2))
    """

    question: str
    options: list[str]
    answer: int


def read_mcq(path: Path) -> Iterator[Row]:
    """Every question of a file, or of all CSV, JSON and JSONL files below a folder, made open where that is sound.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "exam.csv"
    >>> _ = path.write_text("Which nerve is cut?,ulnar nerve,tibial nerve,A\\nWhich one is no nerve?,ulnar nerve,aorta,B\\n")
    >>> [row.problem for row in read_mcq(path)]
    [None, 'not made open-ended: it does not ask for one thing in one of the forms that name what it is']
    """
    for name, choice in read_choices(path):
        if isinstance(choice, str):
            yield bad_row(name, "train", choice)
        elif isinstance(choice, dict):
            yield Row(name, "test", choice)
        elif unfit := why_not_open(choice):
            asked = {"question": choice.question, "options": choice.options}  # what a benchmark's leaks are found by
            yield Row(name, "train", asked, (), f"not made open-ended: {unfit}")
        else:
            reference = tidy(choice.options[choice.answer])
            yield Row(name, "train", {"question": choice.question, "reference": reference, "kind": "open"})


def read_choices(path: Path) -> Iterator[tuple[str, Choice | dict[str, Any] | str]]:
    """Id and content of every question: a Choice, the fields of a yes/no/maybe question, or why it cannot be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "exam.csv"
    >>> _ = path.write_text("Which nerve is cut?,ulnar nerve,tibial nerve,A\\n")
    >>> list(read_choices(path))
    [('exam-1', Choice(question='Which nerve is cut?', options=['ulnar nerve', 'tibial nerve'], answer=0))]
    """
    files = sorted(f for f in path.rglob("*") if f.suffix in (".csv", ".json", ".jsonl")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"mcq:{path} holds no .csv, .json or .jsonl file")
    for file in files:
        number = 0
        for number, row in enumerate(_rows(file), start=1):
            name = f"{file.stem}-{number}"
            try:
                yield name, _choice(parse_row(row) if isinstance(row, bytes) else row)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
                yield name, f"{file}, row {number}: not a question with options ({type(error).__name__}: {str(error)[:200]})"
        if not number:
            yield f"{file.stem}-0", f"{file} holds no question"


def _rows(file: Path) -> Iterator[Any]:
    with as_input_error(str(file)):
        if file.suffix == ".csv":
            with file.open(encoding="utf-8-sig", newline="") as handle:
                yield from (row for row in csv.reader(handle) if row)
            return
        content = file.read_bytes()
        try:
            whole = json.loads(content)
        except ValueError:
            whole = [line for line in content.split(b"\n") if line.strip()]
        if isinstance(whole, dict) and "question" not in whole:
            whole = list(whole.values())
        yield from whole if isinstance(whole, list) else [whole]


def _choice(row: Any) -> Choice | dict[str, Any]:
    if isinstance(row, list):
        question, *options, label = row
        return _checked(question, options, list("ABCDEFGHIJ").index(label.strip()))
    if "QUESTION" in row:
        return abstract_question(row, None)
    if "opa" in row:
        return _checked(row["question"], [row[f"op{letter}"] for letter in "abcd"], int(row["cop"]) - 1)
    options = row["options"]
    texts = list(options.values()) if isinstance(options, dict) else options
    label = row.get("answer_idx", row["answer"])
    return _checked(row["question"], texts, list(options).index(label) if isinstance(options, dict) else texts.index(label))


def _checked(question: Any, options: list[Any], answer: int) -> Choice:
    if not 0 <= answer < len(options) or len(options) < 2:
        raise ValueError(f"answer {answer} of {len(options)} options")
    if not isinstance(options, list) or not all(isinstance(text, str) for text in (question, *options)):
        raise TypeError("question and options must be texts")
    return Choice(question, options, answer)


def tidy(option: str) -> str:
    """An option as an answer: without its final full stop.

    >>> tidy(" ulnar nerve. ")
    'ulnar nerve'
    """
    return option.strip().rstrip(".").strip()


def why_not_open(choice: Choice) -> str | None:
    """Why a multiple-choice question cannot be asked without its options, or None if it can.

    >>> organs = ["brain", "liver", "lung"]
    >>> why_not_open(Choice("Which organ does a glioma affect?", organs, answer=0))  # None: it stands alone
    >>> why_not_open(Choice("Which organ does a glioma not affect?", organs, answer=1))  # nor the heart, nor the skin
    'it asks for what is not so'
    >>> why_not_open(Choice("What is the most likely diagnosis?", organs, answer=1))
    'it does not ask for one thing in one of the forms that name what it is'
    """
    rules, answer = read_table("mcq"), tidy(choice.options[choice.answer])
    question = " ".join(choice.question.split()).rstrip(" ?:;.,-–")
    if not any(re.search(form, question, re.IGNORECASE) for forms in rules["asks"].values() for form in forms):
        return "it does not ask for one thing in one of the forms that name what it is"
    for where, texts in (("question", [question]), ("answer", [answer]), ("options", choice.options)):
        for reason, patterns in rules[where].items():
            if any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns for text in texts):
                return reason
    if len(answer.split()) > rules["longest_answer_words"]:
        return "its answer is long, and could be said in many ways"
    return None


def read_pubmedqa(path: Path) -> Iterator[Row]:
    """PubMedQA's expert set, text only: a Row for every PubMed id; the official test ids are the test split.

    All contexts stand with their labels before the question (`build_prompt` cuts the start).

    Raises:
        InputError: one of the two files is missing or is not keyed by PubMed id.

    >>> import tempfile
    >>> from medix_lite.files import write_json
    >>> folder = Path(tempfile.mkdtemp())
    >>> row = {"QUESTION": "Does it help?", "LABELS": ["RESULTS"], "CONTEXTS": ["It did."], "final_decision": "yes"}
    >>> write_json(folder / "data" / "ori_pqal.json", {"1": row, "2": row})
    >>> write_json(folder / "data" / "test_ground_truth.json", {"2": "yes"})
    >>> [(found.id, found.split) for found in read_pubmedqa(folder)]
    [('pubmedqa-1', 'train'), ('pubmedqa-2', 'test')]
    """
    rows, truth = (read_json(path / "data" / name) for name in ("ori_pqal.json", "test_ground_truth.json"))
    if not isinstance(rows, dict) or not isinstance(truth, dict):
        raise InputError(f"pubmedqa:{path}: ori_pqal.json and test_ground_truth.json must be objects keyed by PubMed id")
    for pmid in dict.fromkeys([*rows, *truth]):
        split = "test" if pmid in truth else "train"
        try:
            yield Row(f"pubmedqa-{pmid}", split, abstract_question(rows.get(pmid), truth.get(pmid)) | {"group": pmid})
        except (KeyError, TypeError, ValueError) as error:
            yield bad_row(f"pubmedqa-{pmid}", split, f"not a PubMedQA row: {type(error).__name__} {error}")


def abstract_question(row: dict[str, Any] | None, official: str | None) -> dict[str, Any]:
    """The fields of one row.

    Raises:
        KeyError, TypeError, ValueError: it lacks something, or its answer is not the official one.

    >>> row = {"QUESTION": "Does it help?", "LABELS": ["RESULTS"], "CONTEXTS": ["It did."], "final_decision": "yes"}
    >>> print(abstract_question(row, None)["question"])
    Context: RESULTS: It did.
    Question: Does it help? Answer yes, no or maybe.
    >>> abstract_question(row, "no")
    Traceback (most recent call last):
    ValueError: final_decision is 'yes', the official test answer 'no'
    """
    if row is None:
        raise ValueError("a test id without a row in ori_pqal.json")
    answer = row["final_decision"]
    if not isinstance(row["QUESTION"], str) or not row["QUESTION"].strip():
        raise ValueError("it asks nothing")
    if answer not in ("yes", "no", "maybe") or official not in (None, answer):
        raise ValueError(f"final_decision is {answer!r}, the official test answer {official!r}")
    contexts = [f"{label}: {text}" for label, text in zip(row["LABELS"], row["CONTEXTS"], strict=True)]
    question = f"Context: {' '.join(contexts)}{QUESTION_LINE}{row['QUESTION']} Answer yes, no or maybe."
    return {"question": question, "reference": answer, "kind": "yes/no/maybe"}
