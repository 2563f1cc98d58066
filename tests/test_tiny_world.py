"""The tiny world: phantoms, lexicon, questions, and an oracle that is right in every surface form."""

import ast
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import medix_lite
from medix_lite.files import InputError
from medix_lite.modalities import MODALITIES
from medix_lite.tiny_world.lexicon import FORM_SETS, findings, load_lexicon
from medix_lite.tiny_world.phantoms import DRAW, PAIRED, SIDES, draw
from medix_lite.tiny_world.questions import generate

PACKAGE = Path(medix_lite.__file__).parent


def imports(path: Path) -> set[Path]:
    """Files of the package that a file imports, directly."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            found |= {folder.with_suffix(".py"), *(folder / f"{alias.name}.py" for alias in node.names)}
    return {file for file in found if file.exists()}


def reach(*starts: Path) -> set[str]:
    """Names of all files of the package that these import, through others too, themselves included."""
    found, todo = set(), list(starts)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += imports(path)
    return {str(path.relative_to(PACKAGE)) for path in found}


def test_oracle_and_judging_share_no_code():
    oracle, judging = reach(PACKAGE / "tiny_world" / "oracle.py"), reach(*(PACKAGE / "judging").glob("*.py"))
    assert "tiny_world/lexicon.py" in judging
    # Both read the list of words, each its own set of forms; nothing that compares texts is common.
    assert oracle & judging == {"tiny_world/lexicon.py", "files.py"}


@pytest.mark.parametrize("part", ["judging", "rewards", "training", "models", "curation"])
def test_nothing_that_trains_or_judges_sees_the_oracle(part):
    assert "tiny_world/oracle.py" not in reach(*(PACKAGE / part).glob("*.py"))


def test_form_sets_are_nested():
    for concept in load_lexicon().values():
        sets = [set(concept.forms(name)) for name in FORM_SETS]
        assert all(a < b for a, b in itertools.pairwise(sets)), concept.name


def test_lexicon_is_large_and_every_concept_has_near_misses():
    concepts = list(load_lexicon().values())
    assert len(concepts) >= 120
    assert {c.modality for c in findings()} == set(MODALITIES) == set(DRAW)
    for concept in concepts:
        assert len(concept.forms("all")) >= 4, concept.name
        assert concept.near_misses or concept.name == "normal", concept.name
        assert set(concept.ambiguous) <= set(concept.forms("all")), concept.name
        assert set(concept.near_misses) <= load_lexicon().keys() - {concept.name}, concept.name


def test_no_form_stands_for_two_concepts():
    forms = [form for concept in load_lexicon().values() for form in set(concept.forms("all"))]
    assert not [form for form, n in Counter(forms).items() if n > 1]


def sides_of(concept):
    return SIDES if concept.sided else (None,)


@pytest.mark.parametrize("modality", list(DRAW))
def test_pictures_are_reproducible_and_differ(modality):
    for concept in findings(modality):
        for side in sides_of(concept):
            first = draw(modality, concept.name, side, 3)
            assert first.shape == (64, 64, 3)
            assert first.dtype == np.uint8
            assert np.array_equal(first, draw(modality, concept.name, side, 3))
            assert not np.array_equal(first, draw(modality, concept.name, side, 4))
            normal = draw(modality, None, side if modality in PAIRED else None, 3).astype(int)
            assert np.abs(first.astype(int) - normal).max() > 60, "the finding must be visible"


@pytest.mark.parametrize("concept", [c for c in findings() if c.sided and c.modality not in PAIRED], ids=lambda c: c.name)
def test_patients_left_is_on_the_right_of_the_picture(concept):
    def mean(finding, side):
        return np.mean(
            [draw(concept.modality, finding, side, seed, size_mm=(concept.sizes or [None])[-1]) for seed in range(24)], axis=0
        )

    normal = mean(None, None)
    for side, there, elsewhere in (("left", slice(32, None), slice(None, 32)), ("right", slice(None, 32), slice(32, None))):
        changed = np.abs(mean(concept.name, side) - normal).sum(-1)
        changed = changed > max(40, 0.4 * changed.max())  # above what speckle leaves in the mean of 24
        assert changed[:, there].sum() > 3 * changed[:, elsewhere].sum(), side


@pytest.mark.parametrize("concept", [c for c in findings() if c.sizes], ids=lambda c: c.name)
def test_larger_findings_change_more_of_the_picture(concept):
    side = "left" if concept.sided else None
    base = (concept.modality in PAIRED and side) or None

    def changed(size):
        pairs = (
            (draw(concept.modality, concept.name, side, k, size_mm=size), draw(concept.modality, None, base, k)) for k in range(24)
        )
        return np.mean([(np.abs(a.astype(int) - b).sum(-1) > 150).sum() for a, b in pairs])

    areas = [changed(size) for size in concept.sizes]
    assert areas == sorted(areas), areas
    assert areas[-1] > areas[0] + 40, areas


def test_a_child_is_smaller_and_the_lesion_keeps_its_size():
    name = "intracerebral haemorrhage"
    adult, child = (draw("CT_SCAN", name, "left", 5, size_mm=45, child=child) for child in (False, True))
    heads = [(picture[..., 0] > 40).any(axis=0).sum() for picture in (adult, child)]
    assert heads[1] < 0.9 * heads[0]
    bright = []
    for child in (False, True):
        pairs = [
            [draw("CT_SCAN", f, s, k, size_mm=45, child=child)[8:-8, 10:-10, 0] for f, s in ((None, None), (name, "left"))]
            for k in range(20)
        ]
        bright.append(np.mean([(b.astype(int) - a > 90).sum() for a, b in pairs]))
    assert bright[1] == pytest.approx(bright[0], rel=0.1)


def test_unknown_modality_finding_and_split_are_named():
    with pytest.raises(InputError, match="no phantom for modality 'HOLOGRAM'"):
        draw("HOLOGRAM", None, None, 0)
    with pytest.raises(InputError, match=r"no phantom with 'pleural_effusion' in X_RAY; there are .*pleural effusion"):
        draw("X_RAY", "pleural_effusion", "left", 0)
    with pytest.raises(InputError, match="unknown split"):
        next(generate(1, "validation", 0))
