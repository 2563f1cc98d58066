"""The tiny models: built from a seed, hash-checked on load, and what the base is like."""

import ast
import json
import shutil
import subprocess
import sys
from functools import partial

import pytest
import torch

from medix_lite.files import DATA, REPOSITORY, InputError, read_json, read_table, sha256_of
from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import BASE, MIMIC
from medix_lite.modalities import MODALITIES
from medix_lite.models.load import TINY, check_manifest, load_embedder, load_policy, resolve_model
from medix_lite.models.tiny import attend_together, build_tiny, train_tokenizer
from medix_lite.samples import Sample


def test_shipped_models_match_their_hashes_and_are_small():
    for name in ("policy", "judge", "embedder"):
        check_manifest(TINY / name)
    assert sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) < 12e6
    assert not list(TINY.rglob("*.bin")), "safetensors only"


def test_changed_weights_are_refused(tmp_path):
    shutil.copytree(TINY, tmp_path / "models")
    weights = tmp_path / "models" / "policy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors differs from its hash"):
        load_policy(str(weights.parent))
    weights.unlink()
    with pytest.raises(InputError, match="is missing"):
        load_policy(str(weights.parent))


def test_hub_models_need_a_revision():
    with pytest.raises(InputError, match="no pinned revision"):
        resolve_model("Qwen/Qwen3-VL-2B-Instruct", None)
    with pytest.raises(InputError, match="no model at"):
        resolve_model("./nowhere", None)


def test_missing_adapter_is_named(tmp_path):
    with pytest.raises(InputError, match="no adapter at"):
        load_policy(adapter=tmp_path)


def test_policy_is_a_real_qwen3_vl():
    model, processor = load_policy()
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert sum(p.numel() for p in model.parameters()) < 3e6
    for tag in MODALITIES:
        assert len(processor.tokenizer(f"<{tag}>").input_ids) == 1


def test_judge_tells_synonyms_from_near_misses_and_hedges():
    judge = make_judge("model-only:tiny")
    sample = Sample(id="a", question="What does this picture show?", reference="pleural effusion")
    right = ["fluid around the lung", "pleural fluid", "it is pleural effusion"]
    wrong = [
        "pneumonia",
        "pneumothorax",
        "an abnormal finding",
        "possibly pleural effusion",
        "pleural effusion or pneumonia",
    ]
    verdicts = judge_answers(judge, [sample] * 8, [*right, *wrong], BASE)
    assert [v.verdict for v in verdicts] == ["YES"] * 3 + ["NO"] * 5
    assert all(v.decided_by == "model" for v in verdicts)


def test_judge_grades_reports():
    sample = Sample(id="a", question="Describe this picture.", reference="pneumonia on the left", graded=True)
    texts = ["pneumonia on the left", "pneumonia on the right", "something abnormal"]
    marks = [v.raw_score for v in judge_answers(make_judge("tiny"), [sample] * 3, texts)]
    assert marks == [v.raw_score for v in judge_answers(make_judge("tiny"), [sample] * 3, texts, MIMIC)]
    assert marks[0] == 5
    assert marks[0] > marks[1] > marks[2]


def test_embedder_puts_synonyms_nearer_than_near_misses():
    a, synonym, near = load_embedder().encode(
        ["pleural effusion", "fluid around the lung", "pneumothorax"], normalize_embeddings=True
    )
    assert a @ synonym > 0.8 > a @ near


def test_shipped_models_are_those_that_a_build_makes():
    amounts = read_table("tiny_models")["amounts"]
    assert read_json(TINY / "manifest.json")["settings"] == {"seed": 0} | amounts


def test_measured_scores_are_of_the_shipped_weights():
    measured = read_json(DATA / "reference" / "tiny-models.json")
    assert measured["manifest"] == sha256_of(TINY / "manifest.json"), "run tests/benchmarks/tiny_models.py again"
    rows = read_json(DATA / "reference" / "tiny-cpu.json")["runs"]
    assert {row["manifest"] for row in rows} == {measured["manifest"]}, "run tests/benchmarks/reference_runs.py again"
    assert all(part["kappa"] >= 0.85 for part in measured["judge"].values())
    assert sum(part["n"] for family, part in measured["judge"].items() if family != "all") >= 5000
    assert measured["embedder"]["auroc"] >= 0.95
    for name in ("policy", "judge", "embedder"):
        card = (TINY / name / "README.md").read_text()
        for part in ("## How it was made", "## Scores", "## Limits", "not for clinical use"):
            assert part in card
        assert "Not measured yet" not in card


@pytest.mark.slow
def test_judge_and_embedder_on_what_they_have_not_seen():
    script = REPOSITORY / "tests" / "benchmarks" / "tiny_models.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) >= 0.85


@pytest.mark.slow
def test_a_classifier_sees_the_findings_and_needs_the_picture():
    script = REPOSITORY / "tests" / "benchmarks" / "phantom_classifier.py"
    done = subprocess.run([sys.executable, str(script), "10000", "6"], capture_output=True, text=True, check=True)
    scores = dict(
        line.split(": ", 1) for line in done.stdout.splitlines() if line.startswith(("modality: ", "finding: ", "blank: "))
    )
    assert float(scores["modality"]) >= 0.99
    assert float(scores["finding"]) >= 0.90
    assert ast.literal_eval(scores["blank"])["finding"] < 0.06


@pytest.mark.slow
def test_same_seed_gives_same_weights(tmp_path):
    small = {"seed": 3, "vision_steps": 3, "policy_steps": 3, "judge_steps": 3, "pictures": 64, "progress": False}
    build_tiny(tmp_path / "a", **small)
    build_tiny(tmp_path / "b", **small)
    first, second = (read_json(tmp_path / name / "manifest.json") for name in "ab")
    assert first == second
    assert len(first["files"]) > 8


def test_attention_over_all_pictures_at_once_is_the_towers_own():
    tower = load_policy()[0].model.visual
    pixels, grid = torch.randn(5 * 64, 3 * 2 * 8 * 8), torch.tensor([[1, 8, 8]] * 5)
    expected = tower(pixels, grid)
    for block in tower.blocks:
        block.attn.forward = partial(attend_together, block.attn)
    found = tower(pixels, grid)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found.pooler_output[:16], found.pooler_output[16:32], atol=1e-2)


def test_build_refuses_a_folder_with_other_things(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something besides tiny models"):
        build_tiny(tmp_path, policy_steps=1, judge_steps=1, pictures=32, progress=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_tokenizer_reads_back_any_text():
    tokenizer = train_tokenizer(["a chest x-ray"] * 3, vocabulary=300)
    text = json.loads('"T4:N1 \\u00e9\\u4e2d 12.5 mm <answer>"')
    assert tokenizer.decode(tokenizer(text).input_ids) == text
