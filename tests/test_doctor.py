"""The run doctor: faults planted into real training runs are named first, healthy runs are called healthy."""

import pytest
from test_cli import assert_one_clear_line, medix

from medix_lite import runs
from medix_lite.files import read_table, write_jsonl
from medix_lite.judging.judges import Judge, Voter
from medix_lite.judging.servers import Reply
from medix_lite.judging.verdicts import rule_verdict
from medix_lite.modalities import MODALITIES
from medix_lite.rewards.composite import completion_text
from medix_lite.runs import open_run
from medix_lite.training import grpo
from medix_lite.training.doctor import diagnose

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
    ("completions too short", {"settings": "max_new_tokens=8"}),
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
