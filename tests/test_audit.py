"""Audit of a judge: labelled pairs in, agreement with intervals out; statistics equal scikit-learn's."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import evouna_pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef
from typer.testing import CliRunner

from medix_lite.cli import app
from medix_lite.files import InputError, read_jsonl, write_jsonl
from medix_lite.judging.audit import Pair, audit, judge_pairs, kappa, mcc, read_pairs
from medix_lite.judging.judges import make_judge
from medix_lite.judging.verdicts import Verdict

PAIRS = [
    ("left", "left", True, "plain"),
    ("left", "right", False, "plain"),
    ("left", "left or right", False, "hedge"),
    ("5 mm", "0.5 cm", True, "unit"),
    ("5 mm", "50 mm", False, "unit"),
    ("5 mm", "purple", False, "unknown"),
]


def pairs() -> list[Pair]:
    rows = [{"question": "Which?", "reference": r, "candidate": c, "label": label, "kind": kind} for r, c, label, kind in PAIRS]
    return [Pair.model_validate(row) for row in rows]


def test_an_audit_counts_by_kind_and_unscored_as_no() -> None:
    result = audit(pairs(), judge_pairs(pairs(), make_judge("rules")))
    assert result["n"] == 6
    assert result["accuracy"]["value"] == 1
    assert result["unscored"]["value"] == pytest.approx(1 / 6, abs=1e-4)
    assert result["kappa"]["value"] == result["mcc"]["value"] == 1
    assert set(result["by_kind"]) == {"plain", "hedge", "unit", "unknown"}
    assert result["by_kind"]["unit"]["fpr"]["value"] == 0
    assert result["by_kind"]["unit"]["fpr"]["ci95"][1] > 0.5, "one candidate says little: the interval must say so"
    assert result["by_kind"]["hedge"]["fnr"] == {"value": None, "ci95": [None, None]}
    json.dumps(result, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=60))
def test_kappa_and_mcc_equal_scikit_learn(rows: list[tuple[bool, bool]]) -> None:
    label, said = np.array(rows).T
    table = np.array([[(said & label).sum(), (~said & label).sum()], [(said & ~label).sum(), (~said & ~label).sum()]], float)
    if len(set(label)) > 1 and len(set(said)) > 1:
        assert float(kappa(table)) == pytest.approx(cohen_kappa_score(label, said))
        assert float(mcc(table)) == pytest.approx(matthews_corrcoef(label, said))
    given_pairs = [Pair(question="q", reference="r", candidate="c", label=bool(truth)) for truth in label]
    decided = {"decided_by": "model", "score": None}
    verdicts = [Verdict(id="x", verdict="YES" if yes else "NO", **decided) for yes in said]
    result = audit(given_pairs, verdicts)
    for name in ("kappa", "mcc"):
        value, (low, high) = result[name]["value"], result[name]["ci95"]
        assert value is None or low - 1e-9 <= value <= high + 1e-9 or len(rows) < 20


def test_the_command_resumes_and_refuses(tmp_path: Path) -> None:
    source, out = tmp_path / "pairs.jsonl", tmp_path / "audit.json"
    write_jsonl(source, (pair.model_dump() for pair in pairs()))
    command = ["audit-judge", "--pairs", str(source), "--judge", "rules", "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    first, verdicts = out.read_bytes(), (tmp_path / "audit.verdicts.jsonl").read_bytes()
    assert [row["sample_index"] for row in read_jsonl(tmp_path / "audit.verdicts.jsonl")] == list(range(6))
    with pytest.raises(InputError, match="exists already"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    out.unlink()
    (tmp_path / "audit.verdicts.jsonl").write_bytes(verdicts[:-40])
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (out.read_bytes(), (tmp_path / "audit.verdicts.jsonl").read_bytes()) == (first, verdicts)


@pytest.mark.parametrize(("row", "message"), [
    ({"question": "q", "reference": "r", "candidate": "c"}, "row 1: field 'label'"),
    ({"question": "q", "reference": "r", "candidate": "c", "label": "true"}, "row 1: field 'label'"),
    ({"question": "", "reference": "r", "candidate": "c", "label": True}, "row 1: field 'question'"),
])  # fmt: skip
def test_a_bad_pair_is_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    write_jsonl(tmp_path / "p.jsonl", [row])
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "p.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="no labelled pair"):
        read_pairs(tmp_path / "empty.jsonl")


def test_evouna_is_read_as_humans_labelled_it(real_data: Path) -> None:
    read = evouna_pairs(real_data)
    assert len(read) == 15_098
    assert {pair.kind for pair in read} == {"fid", "gpt35", "chatgpt", "gpt4", "newbing"}
    assert any(pair.references for pair in read)
