"""PubMedQA's expert set: abstracts and questions in, text-only Rows out. The official test ids are the test split."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files import InputError, read_json
from .rows import Row, bad_row

QUESTION_LINE = "\nQuestion: "


def read_pubmedqa(path: Path) -> Iterator[Row]:
    """A Row for every PubMed id: all contexts with their labels, then the question (`build_prompt` cuts the start).

    Raises:
        InputError: one of the two files is missing or is not keyed by PubMed id.
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
