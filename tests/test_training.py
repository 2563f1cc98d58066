"""The training function: what it may see, what it writes, how it resumes."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from test_cli import MEDIX

from medix_lite.files import InputError, read_jsonl
from medix_lite.judging.judges import Judge, Voter, make_judge
from medix_lite.judging.servers import Reply
from medix_lite.models.load import load_embedder
from medix_lite.profiles import load_profile
from medix_lite.rewards.composite import CompositeReward
from medix_lite.tiny_world.questions import make_samples
from medix_lite.training.grpo import grpo_config, train_policy, training_rows

SHORT = {
    "training.steps": 4,
    "training.prompts_per_step": 2,
    "training.group_size": 4,
    "training.save_every": 2,
    "training.probe_every": 2,
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(16, "train", 3, tmp_path_factory.mktemp("images"))


def reward_for(samples, judge="tiny"):
    judge = make_judge(judge) if isinstance(judge, str) else judge
    return CompositeReward({s.id: s for s in samples}, judge, load_embedder(), "robust")


def test_trainer_sees_id_prompt_and_picture_only(samples):
    rows = training_rows(samples, load_profile("tiny-cpu"))
    assert set(rows[0]) == {"id", "prompt", "images"}
    prompts = [row["prompt"][0]["content"] for row in rows]
    for sample, prompt in zip(samples, prompts, strict=True):
        if not sample.options and sample.facts["family"] == "finding":
            assert sample.reference not in prompt
    assert any(not row["images"] for row in rows), "text-only samples are in the mix"


def test_every_setting_of_the_config_that_matters_is_ours(tmp_path):
    from medix_lite.models.load import load_policy

    profile = load_profile("tiny-cpu")
    config = grpo_config(profile, tmp_path, 5, load_policy()[1])
    assert (config.learning_rate, config.beta, config.seed, config.data_seed) == (5e-4, profile.training.beta, 5, 5)
    assert not config.bf16
    assert config.use_cpu
    assert not config.gradient_checkpointing
    assert config.generation_kwargs["suppress_tokens"], "a sampled image mark would crash the next forward pass"
    assert not config.use_vllm
    with pytest.raises(InputError, match=r"training\.rollouts=vllm-server needs a GPU; set it to transformers"):
        grpo_config(load_profile("tiny-cpu", {"training.rollouts": "vllm-server"}), tmp_path, 5, load_policy()[1])


def test_nothing_to_train_on_is_named(tmp_path):
    with pytest.raises(InputError, match="no training samples"):
        train_policy(load_profile("tiny-cpu"), [], lambda **_: [], tmp_path)


@pytest.mark.slow
def test_training_moves_the_adapter_and_ignores_the_facts(tmp_path, samples):
    from safetensors.torch import load_file

    profile = load_profile("tiny-cpu", SHORT)
    probe = lambda model, processor: {"true_accuracy": float(not model.training)}  # noqa: E731
    train_policy(profile, samples, reward_for(samples), tmp_path / "a", seed=1, probe=probe)
    weights = load_file(tmp_path / "a" / "adapter" / "adapter_model.safetensors")
    assert any(value.abs().max() > 0 for name, value in weights.items() if "lora_B" in name)
    assert not any("visual" in name for name in weights), "the vision tower is frozen"
    rows = read_jsonl(tmp_path / "a" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["step"] for row in rows if row.get("probe/true_accuracy") == 1.0] == [0, 2, 4]
    for key in (
        "reward",
        "signal/accuracy",
        "signal/semantic",
        "signal/format",
        "entropy",
        "completion_tokens",
        "seconds",
    ):
        assert key in rows[1], key

    # Facts and everything else the oracle could read are poisoned: the same adapter must come out, bit for bit.
    poisoned = [s.model_copy(update={"facts": {"family": "poison", "truth": "poison"}}) for s in samples]
    train_policy(profile, poisoned, reward_for(poisoned), tmp_path / "b", seed=1)
    other = load_file(tmp_path / "b" / "adapter" / "adapter_model.safetensors")
    assert all(value.equal(other[name]) for name, value in weights.items())

    # A finished run is not trained again.
    stamp = (tmp_path / "a" / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    train_policy(profile, samples, reward_for(samples), tmp_path / "a", seed=1)
    assert (tmp_path / "a" / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_an_interrupted_run_goes_on(tmp_path, samples):
    """From the last whole checkpoint to the same adapter, bit for bit, as a run that nobody stopped."""
    from safetensors.torch import load_file

    profile = load_profile("tiny-cpu", SHORT)

    def stop(row):
        if row["step"] == 3:
            raise KeyboardInterrupt

    probe = lambda model, processor: {"true_accuracy": 0.5}  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        train_policy(profile, samples, reward_for(samples), tmp_path, seed=1, probe=probe, report=stop)
    (tmp_path / "checkpoints" / "checkpoint-3").mkdir()  # as a kill in the middle of saving leaves it
    done = train_policy(profile, samples, reward_for(samples), tmp_path, seed=1, probe=probe)
    assert done["steps"] == 4
    assert [row["step"] for row in read_jsonl(tmp_path / "metrics.jsonl")] == [0, 1, 2, 3, 4]
    train_policy(profile, samples, reward_for(samples), tmp_path / "whole", seed=1, probe=probe)
    whole, resumed = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (tmp_path / "whole", tmp_path))
    assert all(value.equal(resumed[name]) for name, value in whole.items())


@pytest.mark.slow
def test_a_judge_that_dies_stops_the_run_and_a_restart_goes_on(tmp_path, samples):
    """From the last checkpoint, to the same adapter as a run whose judge never failed."""
    from safetensors.torch import load_file

    down = []

    def ask(prompts, template):
        return [Reply(None, error="down") if down else Reply("YES" if len(p) % 2 else "NO") for p in prompts]

    def fail_late(row):
        down.extend([row["step"]] if row["step"] == 2 else [])

    profile = load_profile("tiny-cpu", SHORT | {"training.prompts_per_step": 4})
    judge = Judge("mine", (Voter(ask),), rules=None, judge_id="mine")
    with pytest.raises(InputError, match="judge mine failed on the last"):
        train_policy(profile, samples, reward_for(samples, judge), tmp_path, seed=1, report=fail_late)
    down.clear()
    train_policy(profile, samples, reward_for(samples, judge), tmp_path, seed=1)
    train_policy(profile, samples, reward_for(samples, judge), tmp_path / "whole", seed=1)
    whole, resumed = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (tmp_path / "whole", tmp_path))
    assert all(value.equal(resumed[name]) for name, value in whole.items())


@pytest.mark.slow
def test_unscored_completions_teach_nothing(tmp_path, samples):
    """All completions unscored: advantages are zero and the adapter stays where it was."""
    from safetensors.torch import load_file

    def reward(completions, log_metric, **_):
        log_metric("signal/unscored", 1.0)
        return [None] * len(completions)

    profile = load_profile("tiny-cpu", SHORT | {"training.steps": 2})
    train_policy(profile, samples, reward, tmp_path, seed=1)
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all(value.abs().max() == 0 for name, value in weights.items() if "lora_B" in name)
    rows = read_jsonl(tmp_path / "metrics.jsonl")
    assert rows[-1]["signal/unscored"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
def test_killed_at_random_moments_a_run_ends_with_the_same_adapter(tmp_path, algorithm):
    """kill -9, MEDIX_LITE_KILLS times (once by default), wherever it is: loading, rolling out, saving a checkpoint."""
    few = "training.steps=8,training.save_every=2,training.probe_every=4,training.prompts_per_step=2,training.group_size=4"
    settings = f"training.algorithm={algorithm},{few},data.train=16,data.probe=4,data.test=4"

    def start(out):
        command = [*MEDIX, "train", "--out", str(out), "--settings", settings]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

    begun = time.perf_counter()
    whole = start(tmp_path / "whole")
    assert whole.wait() == 0, whole.stderr.read().decode()
    seconds = time.perf_counter() - begun
    moments, killed = random.Random(5), 0
    while killed < int(os.environ.get("MEDIX_LITE_KILLS", "1")):
        run = start(tmp_path / "killed")
        try:
            run.wait(seconds * moments.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            killed += 1
        else:
            assert run.returncode == 0, run.stderr.read().decode()
            shutil.rmtree(tmp_path / "killed")  # it got to its end between two kills: another one
    last = start(tmp_path / "killed")
    assert last.wait() == 0, last.stderr.read().decode()
    names = ("whole", "killed")
    weights = [(tmp_path / name / "adapter" / "adapter_model.safetensors").read_bytes() for name in names]
    assert weights[0] == weights[1]
    rows = [read_jsonl(tmp_path / name / "metrics.jsonl") for name in names]
    assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]] == list(range(9))


def test_a_response_longer_than_the_context_is_refused(tmp_path, samples):
    with pytest.raises(InputError, match="max_new_tokens 100000 fills the policy's context"):
        train_policy(load_profile("tiny-cpu", SHORT | {"max_new_tokens": 100000}), samples, reward_for(samples), tmp_path)
