"""The raw files of nine benchmarks below `mirage/rawdata` of the real data, and how many questions each holds."""

from pathlib import Path

from medix_lite.evaluation.overlap import contains
from medix_lite.files import read_json
from medix_lite.judging.audit import Pair
from medix_lite.judging.verdicts import Verdict

ROWS = {
    "mmlu/data/test/anatomy_test.csv": 135,
    "mmlu/data/test/clinical_knowledge_test.csv": 265,
    "mmlu/data/test/college_biology_test.csv": 144,
    "mmlu/data/test/college_medicine_test.csv": 173,
    "mmlu/data/test/medical_genetics_test.csv": 100,
    "mmlu/data/test/professional_medicine_test.csv": 272,
    "medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl": 1273,
    "medmcqa/data/dev.json": 4183,
    "pubmedqa/data/test_set.json": 500,
}


def evouna_pairs(folder: Path) -> list[Pair]:
    """EVOUNA's labelled answers (Natural Questions part) as audit pairs; their kind is the system that answered.

    Aliases are joined by "/"; improper questions, missing answers and missing labels are left out, as its authors do.
    """
    pairs = []
    for row in read_json(folder / "qa_eval" / "EVOUNA" / "NQ.json"):
        references = [alias.strip() for alias in (row["golden_answer"] or "").split("/") if alias.strip()]
        for system in [key.removeprefix("judge_") for key in row if key.startswith("judge_")]:
            answer, label = row[f"answer_{system}"], row[f"judge_{system}"]
            if not row["improper"] and None not in (answer, label):
                asked = {"question": row["question"], "reference": references[0], "references": references[1:]}
                pairs.append(Pair(**asked, candidate=answer, label=label, kind=system))
    return pairs


def judge_by_containing(pairs: list[Pair]) -> list[Verdict]:
    """The usual shortcut as a judge: YES if a reference is a part of the answer."""
    found = [any(contains(pair.candidate, text) for text in pair.sample().accepted()) for pair in pairs]
    known = {"decided_by": "exact", "judge_id": "contains"}
    return [Verdict(id="x", verdict="YES" if yes else "NO", score=float(yes), **known) for yes in found]
