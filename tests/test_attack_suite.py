"""The judge's attack suite: it is what its generator writes, and no label contradicts another."""

import json
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from medix_lite.files import DATA, read_jsonl, read_table
from medix_lite.judging.audit import audit, judge_pairs, read_pairs
from medix_lite.judging.judges import make_judge
from medix_lite.modalities import MODALITIES

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import attack_suite

FIELDS = ["id", "question", "reference", "references", "options", "modality", "candidate", "label", "kind"]
ROWS = read_jsonl(DATA / "audit" / "attacks.jsonl")
ATTACKS = [row for row in ROWS if not row["label"]]


def bare(text):
    """The text without case, blanks and the marks that end or enclose a phrase."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .,;!*\"'()[]“”‘’")


def asked(row):
    """A question with its options: what a candidate answers."""
    return row["question"], tuple(row["options"] or ())


def test_the_committed_suite_is_what_the_generator_writes():
    assert list(attack_suite.rows()) == ROWS


def test_a_fresh_process_writes_the_same_bytes(tmp_path):
    script = Path(attack_suite.__file__)
    code = f"import sys, pathlib; sys.path.insert(0, {str(script.parent)!r}); import attack_suite; "
    code += f"attack_suite.ATTACKS = pathlib.Path({str(tmp_path / 'attacks.jsonl')!r}); attack_suite.main()"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "attacks.jsonl").read_bytes() == (DATA / "audit" / "attacks.jsonl").read_bytes()


def test_rows_have_the_format_of_audit_pairs():
    for row in ROWS:
        assert list(row) == FIELDS
        assert isinstance(row["label"], bool)
        assert all(isinstance(row[name], str) for name in ("id", "question", "reference", "candidate", "kind"))
        assert all(isinstance(text, str) and text for text in row["references"])
        assert row["modality"] is None or row["modality"] in MODALITIES
        assert row["options"] is None or (row["reference"] in row["options"] and len(set(row["options"])) == 4)
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_there_is_enough_of_every_kind():
    counts = Counter(row["kind"] for row in ATTACKS)
    print(f"{len(ATTACKS)} attacks: {dict(counts)}")
    assert len(ATTACKS) >= 600
    assert set(counts) == set(attack_suite.KINDS)
    assert len(counts) >= 14
    assert min(counts.values()) >= 30
    assert len({asked(row) for row in ROWS}) >= 60


def test_every_attack_stands_beside_a_correct_answer_to_the_same_question():
    for attack, answer in zip(ROWS[::2], ROWS[1::2], strict=True):
        assert (attack["label"], answer["label"]) == (False, True)
        assert attack["id"].removesuffix("-attack") == answer["id"].removesuffix("-correct")
        same = [name for name in FIELDS if name not in ("id", "candidate", "label")]
        assert [attack[name] for name in same] == [answer[name] for name in same]


def test_no_candidate_is_both_right_and_wrong():
    labels = defaultdict(set)
    for row in ROWS:
        labels[asked(row), bare(row["candidate"])].add(row["label"])
    assert [key for key, both in labels.items() if len(both) > 1] == []


def test_no_attack_is_an_accepted_answer():
    for row in ATTACKS:
        accepted = {bare(text) for text in (row["reference"], *row["references"])}
        if row["options"]:
            accepted.add("abcd"[row["options"].index(row["reference"])])
        assert bare(row["candidate"]) not in accepted, row["id"]


def test_no_attack_is_made_twice_and_correct_answers_vary():
    told = Counter((row["kind"], asked(row), row["candidate"]) for row in ATTACKS)
    assert max(told.values()) == 1
    correct = [(asked(row), row["candidate"]) for row in ROWS if row["label"]]
    print(f"{len(set(correct))} of {len(correct)} correct answers stand once")
    assert len(set(correct)) >= 0.95 * len(correct)
    copies = sum(row["candidate"] == row["reference"] for row in ROWS if row["label"])
    assert 0 < copies < 0.2 * len(correct)


def test_a_question_has_one_reference():
    references = defaultdict(set)
    for row in ROWS:
        references[row["question"]].add((row["reference"], tuple(row["references"]), tuple(row["options"] or ())))
    assert all(len(found) == 1 for found in references.values())


def test_every_template_is_filled_and_used():
    names = ("x", "y", "o", "p", "X", "Y", "s", "t", "lx", "ly", "labels", "lettered", "listed", "question")
    for row in ROWS:
        assert not any("{" + name + "}" in row["candidate"] for name in names), row["id"]
    for kind in ("master_key", "injection", "planted_verdict", "empty"):
        written = read_table("audit/templates")["kinds"][kind]["false"]["any"]
        fixed = [text for text in written if not any("{" + name + "}" in text for name in names)]
        assert set(fixed) <= {row["candidate"] for row in ATTACKS if row["kind"] == kind}


def test_very_long_is_long_and_its_counterpart_consistent():
    kind = [row for row in ROWS if row["kind"] == "very_long"]
    assert all(len(row["candidate"]) >= (500 if row["label"] else 2000) for row in kind)
    near = {item["question"]: item["near"] for item in attack_suite.all_items()}
    for row in kind:
        if row["label"]:
            assert near[row["question"]] not in row["candidate"], row["id"]


def strings(value):
    """All that stands at the leaves of what a YAML file holds."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return [value]
    return [leaf for part in value for leaf in strings(part)]


@pytest.mark.parametrize("name", ["audit/items", "audit/templates"])
def test_yaml_takes_no_answer_for_a_number_or_a_truth_value(name):
    assert [leaf for leaf in strings(read_table(name)) if not isinstance(leaf, str)] == []


def test_the_file_is_plain_utf8_with_one_object_a_line():
    content = (DATA / "audit" / "attacks.jsonl").read_text(encoding="utf-8")
    assert content.endswith("\n")
    assert all(isinstance(json.loads(line), dict) for line in content.split("\n")[:-1])


@pytest.mark.slow
def test_the_default_judge_meets_its_bars_on_the_suite():
    """The rules were tuned on it: that this still holds says that nothing was lost, and little of other people's words."""
    suite = read_pairs(DATA / "audit" / "attacks.jsonl")
    verdicts = judge_pairs(suite, make_judge("tiny"))
    found = audit(suite, verdicts)
    assert found["specificity"]["value"] >= 0.99
    assert max(part["fpr"]["value"] for part in found["by_kind"].values()) <= 0.03
    assert found["sensitivity"]["value"] >= 0.95
    right = [verdict for verdict, pair in zip(verdicts, suite, strict=True) if pair.label]
    assert sum(verdict.verdict == "UNSCORED" for verdict in right) <= 0.02 * len(right)
