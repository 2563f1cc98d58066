"""The run doctor: faults planted into real training runs are named first, healthy runs are called healthy."""

import re
import sys
from pathlib import Path

import pytest
from test_cli import assert_one_clear_line, medix

from medix_lite import runs
from medix_lite.files import DATA, read_json, read_table, write_json, write_jsonl
from medix_lite.judging.judges import Judge, Voter
from medix_lite.judging.servers import Reply
from medix_lite.judging.verdicts import rule_verdict
from medix_lite.modalities import MODALITIES
from medix_lite.rewards.composite import completion_text
from medix_lite.runs import open_run
from medix_lite.training import grpo
from medix_lite.training.doctor import diagnose, hold_against_reference

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from reference_runs import range_of

SHORT = "data.train=200,data.probe=64,data.test=8,training.probe_every=12,training.steps="


def health_of(folder, monkeypatch, settings="", steps=24, judge=None, curated=None, reward=None):
    """Names of what the doctor finds in a real run with these changes."""
    run = open_run(folder, settings=f"{SHORT}{steps}{settings and ','}{settings}")
    if judge:
        monkeypatch.setattr(runs, "run_judge", lambda run: judge)
    if curated:
        monkeypatch.setattr(runs, "curated", lambda run, real=runs.curated: curated(real(run)))
    if reward:
        real = grpo.train_policy
        monkeypatch.setattr(grpo, "train_policy", lambda p, s, r, out, **how: real(p, s, reward, out, **how))
    runs.train(run)
    return [found.name for found in diagnose(runs.last_rows(run), folder / "adapter")]


def half_down(prompts, template):
    return [Reply(None, error="time-out") if number % 2 else Reply("YES") for number, _ in enumerate(prompts)]


VAGUE = {text for texts in read_table("answers")["vague"].values() for text in texts}


def fond_of_hedges(sample, answer, template_id):
    """A judge that takes the vague answers of the tiny world for right, and no others."""
    return rule_verdict(sample, "YES" if answer in VAGUE else "NO", "exact", template_id)


def for_hedges(prompts, completions, **_):
    return [float(any(f"<answer>{text}</answer>" in completion_text(c) for text in VAGUE)) for c in completions]


def shifted_tags(splits):
    after = dict(zip(MODALITIES, [*MODALITIES[1:], MODALITIES[0]], strict=True))
    return {n: [s.model_copy(update={"modality": after.get(s.modality)}) for s in part] for n, part in splits.items()}


def constant(prompts, completions, **_):
    return [0.5] * len(completions)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "how"), [
    ("judge down", {"judge": Judge("half", (Voter(half_down),), rules=None)}),
    ("completions cut off", {"settings": "max_new_tokens=8"}),
    ("tags do not match", {"curated": shifted_tags}),
    ("rewards all equal", {"reward": constant}),
    ("adapter frozen", {"settings": "training.max_grad_norm=1.0e-30"}),
    ("rate too low", {"settings": "training.learning_rate=1e-6"}),
    ("rate too high", {"settings": "training.learning_rate=2e-2", "steps": 40}),
    ("reward hacked", {"judge": Judge("fond", rules=fond_of_hedges), "reward": for_hedges, "steps": 48}),
])  # fmt: skip
def test_planted_faults_are_named_first(fault, how, tmp_path, monkeypatch):
    assert health_of(tmp_path / "run", monkeypatch, **how)[:1] == [fault]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [24, 60])
def test_healthy_runs_are_healthy(steps, tmp_path, monkeypatch):
    assert health_of(tmp_path / "run", monkeypatch, steps=steps) == []


def test_the_command_names_the_fault_and_what_to_do(tmp_path):
    rows = [{"step": step, "reward": 0.5, "signal/unscored": 0.5} for step in range(1, 11)]
    write_jsonl(tmp_path / "metrics.jsonl", rows)
    found = medix("doctor", tmp_path)
    assert found.returncode == 1
    assert "judge down: " in found.stdout
    assert "unscored mean is 0.5 (> 0.1)" in found.stdout
    write_jsonl(tmp_path / "metrics.jsonl", [row | {"signal/unscored": 0.0} for row in rows])
    assert medix("doctor", tmp_path).stdout.endswith("healthy\n")
    write_jsonl(tmp_path / "metrics.jsonl", [{"step": 0}])
    assert_one_clear_line(medix("doctor", tmp_path), "no training step")
    assert_one_clear_line(medix("doctor", tmp_path / "nothing"), "cannot read", "metrics.jsonl")


REFERENCE = DATA / "reference" / "tiny-cpu.json"


def held(folder, score=None, choices=None, machine=None):
    """What is said of a run like the first reference run, with the changes given."""
    reference = read_json(REFERENCE)
    results = {which: reference["runs"][0][which] for which in ("base", "trained", "gain")}
    results["gain"]["true_accuracy"]["value"] += score or 0
    write_json(folder / "results.json", results)
    write_json(folder / "run.json", reference["choices"] | {"seed": 7} | (choices or {}))
    write_json(folder / "environment.json", reference["machine"] | {"commit": "abc"} | (machine or {}))
    return hold_against_reference(folder)


def test_scores_are_held_against_the_reference_runs(tmp_path):
    assert held(tmp_path) == ["within the ranges of 5 reference runs"]
    versions = read_json(REFERENCE)["machine"]["versions"] | {"vllm": "0.1"}  # installed beside, and no part of the run
    (worse, why) = held(tmp_path, score=-0.2, machine={"cores": 64, "versions": versions})
    assert re.fullmatch(r"gain true_accuracy 0\.1\d+ lies outside of 0\.\d+ to 0\.\d+", worse)
    assert why == "what differs from the reference runs: cores 64 (there 2), seed 7 (there 0, 1, 2, 3, 4)"
    longer = read_json(REFERENCE)["choices"]["profile"]
    longer["training"]["steps"] = 390
    assert held(tmp_path, choices={"profile": longer}) == [
        "not comparable with the reference runs: profile.training.steps 390 (there 130)"
    ]
    assert held(tmp_path, choices={"profile": {"name": "mine"}}) == ["not compared with reference runs: there is no mine.json"]
    (tmp_path / "results.json").unlink()
    write_json(tmp_path / "run.json", read_json(REFERENCE)["choices"])
    assert hold_against_reference(tmp_path) == ["not compared with reference runs: there is no results.json"]


def test_reference_ranges_are_computed_from_five_runs():
    reference = read_json(REFERENCE)
    assert len(reference["runs"]) >= 5
    for name, limits in reference["ranges"].items():
        which, metric = name.split()
        assert limits == range_of([run[which][metric]["value"] for run in reference["runs"]])
        assert 0.02 <= round(limits[1] - limits[0], 4) < 0.3
