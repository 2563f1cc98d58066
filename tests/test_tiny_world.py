"""The tiny world: phantoms, lexicon, questions, and an oracle that is right in every surface form."""

import ast
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medix_lite
from medix_lite.files import InputError
from medix_lite.tiny_world import oracle
from medix_lite.tiny_world.lexicon import FORM_SETS, findings, load_lexicon
from medix_lite.tiny_world.oracle import check_answer, check_reasoning
from medix_lite.tiny_world.phantoms import DRAW, SIDED, draw
from medix_lite.tiny_world.questions import generate, knowledge_combinations
from medix_lite.tiny_world.reports import report_samples

PACKAGE = Path(medix_lite.__file__).parent
SAMPLES = [sample for sample, _ in generate(1500, "test", 7, pictures=False)]


def imported_modules(path: Path) -> set[str]:
    """Last parts of the modules that a file imports, relative imports included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            names |= set((node.module or "").split(".")) | {alias.name for alias in node.names}
    return names


def test_oracle_and_judging_share_no_code():
    assert "judging" not in imported_modules(PACKAGE / "tiny_world" / "oracle.py")
    for part in ("judging", "rewards", "training"):
        for path in (PACKAGE / part).glob("*.py"):
            assert "oracle" not in imported_modules(path), f"{path.name} must not see the oracle"


def test_form_sets_are_nested():
    for concept in load_lexicon().values():
        sets = [set(concept.forms(name)) for name in FORM_SETS]
        assert all(a < b for a, b in itertools.pairwise(sets)), concept.name


@pytest.mark.parametrize("modality", list(DRAW))
def test_pictures_are_reproducible_and_differ(modality):
    side = "left" if modality in SIDED else None
    finding = findings(modality)[0].name
    first = draw(modality, finding, side, 3)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, draw(modality, finding, side, 3))
    assert not np.array_equal(first, draw(modality, finding, side, 4))
    normal = draw(modality, None, side, 3).astype(int)
    assert np.abs(first.astype(int) - normal).max() > 60, "the finding must be visible"


@pytest.mark.parametrize("modality", [m for m in SIDED if m != "FUNDUS_PHOTOGRAPHY"])
def test_patients_left_is_on_the_right_of_the_picture(modality):
    for finding in findings(modality):
        left = np.mean([draw(modality, finding.name, "left", seed) for seed in range(48)], axis=0)
        normal = np.mean([draw(modality, None, None, seed) for seed in range(48)], axis=0)
        changed = np.abs(left - normal).sum(-1) > 60  # above what speckle leaves in the mean of 48
        assert changed[:, 32:].sum() > 3 * changed[:, :32].sum(), finding.name


def test_unknown_modality_and_split_are_named():
    with pytest.raises(InputError, match="no phantom for modality 'SPECT'"):
        draw("SPECT", None, None, 0)
    with pytest.raises(InputError, match="unknown split"):
        next(generate(1, "validation", 0))


def test_references_are_true_and_near_misses_are_not():
    lexicon = load_lexicon()
    for sample in SAMPLES:
        facts = sample.facts
        assert check_answer(facts, sample.reference, sample.options).correct, sample
        if facts["family"] == "yes_no":
            assert not check_answer(facts, "no" if facts["truth"] == "yes" else "yes").correct
            continue
        truth = lexicon[facts["truth"]]
        for form in truth.forms("all"):
            assert check_answer(facts, form, sample.options).correct, (sample, form)
            if truth.kind == "finding" and truth.name != "normal":
                assert not check_answer(facts, f"no {form}", sample.options).correct
            assert not check_answer(facts, f"possibly {form}", sample.options).correct
        for near in truth.near_misses:
            for form in lexicon[near].forms("all"):
                assert not check_answer(facts, form, sample.options).correct, (sample, form)
                assert not check_answer(facts, f"{truth.policy[0]} or {form}", sample.options).correct


def test_option_labels():
    sample = next(s for s in SAMPLES if s.options)
    label = sample.option_label()
    wrong = next(o for o in sample.options if o != sample.reference)
    for text in (label, f"({label})", f"{label}. {sample.reference}", label.lower()):
        assert check_answer(sample.facts, text, sample.options).correct, text
    assert not check_answer(sample.facts, f"{label}. {wrong}", sample.options).correct


def test_denials_are_wrong():
    facts = {"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left"}
    for text in ("glioma is absent", "glioma has been excluded", "glioma is not seen", "not glioma", "no glioma"):
        assert not check_answer(facts, text).correct, text
    for text in ("glioma, not meningioma", "it is not meningioma but glioma", "no meningioma, a glioma on the left"):
        assert check_answer(facts, text).correct, text
    assert not check_answer({"family": "knowledge", "truth": "lung", "target": "pneumonia"}, "not the lung").correct
    absent = {"family": "yes_no", "truth": "no", "target": "glioma", "finding": None, "side": None}
    assert not check_answer(absent, "no, there is glioma").correct
    assert check_answer(absent, "no, there is no glioma").correct


def test_extra_truth_is_right_and_extra_falsehood_wrong():
    facts = {"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left"}
    assert check_answer(facts, "a glioma on the left").correct
    assert not check_answer(facts, "a glioma on the right").correct
    assert not check_answer(facts, "glioma, meningioma").correct


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_oracle_never_raises(text):
    sample = random.Random(len(text)).choice(SAMPLES)
    assert check_answer(sample.facts, text, sample.options).why
    check_reasoning(sample.facts, text, text)


def test_reasoning_faults_are_named():
    facts = {"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left", "modality": "MRI_SCAN"}
    assert check_reasoning(facts, "this mri scan shows glioma on the left.", "glioma") == []
    assert check_reasoning(facts, "this mri scan shows meningioma on the right.", "glioma") == [
        "claims a finding that is not there",
        "claims the wrong side",
        "answer contradicts the reasoning",
    ]


def test_knowledge_questions_do_not_cross_splits():
    splits = {name: set(map(str, knowledge_combinations(name))) for name in ("train", "probe", "test")}
    assert not splits["train"] & splits["test"]
    assert not splits["train"] & splits["probe"]
    assert not splits["probe"] & splits["test"]


def test_generation_is_seeded():
    first = [s.model_dump() for s, _ in generate(50, "train", 1, pictures=False)]
    assert first == [s.model_dump() for s, _ in generate(50, "train", 1, pictures=False)]
    assert first != [s.model_dump() for s, _ in generate(50, "train", 2, pictures=False)]


def test_report_references_state_finding_and_side():
    questions, _ = report_samples(SAMPLES, ["x"] * len(SAMPLES))
    assert questions
    assert all(" on the " in q.reference and q.facts is None for q in questions)
    assert oracle.HEDGES.isdisjoint(" ".join(q.reference for q in questions).split())
