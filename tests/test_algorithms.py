"""The presets of the GRPO family against a few lines of float64, and dynamic sampling against what it promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medix_lite.files import InputError, read_jsonl, read_table
from medix_lite.profiles import load_profile, save_profile
from medix_lite.samples import open_image
from medix_lite.tiny_world.questions import make_samples
from medix_lite.training import grpo
from medix_lite.training.grpo import make_trainer, next_batch, token_logps, train_policy
from medix_lite.training.trainer import teaches

ALGORITHMS = sorted(read_table("grpo")["algorithms"])
GROUP, TOKENS = 4, 6
SMALL = {"training.prompts_per_step": 4, "training.group_size": GROUP, "training.max_draws": 3, "max_new_tokens": TOKENS}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(16, "train", 3, tmp_path_factory.mktemp("images"))


@pytest.fixture
def build(samples, tmp_path):
    def build(algorithm, reward=lambda completions, **_: [0.0] * len(completions), **changes):
        profile = load_profile("tiny-cpu", SMALL | {"training.algorithm": algorithm} | changes)
        trainer = make_trainer(profile, samples, reward, tmp_path)
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        return profile.training, trainer

    return build


def advantages_by_hand(rewards, scale):
    """Of groups of rewards, shape (groups, size); NaN is left out, and gets 0."""
    by_hand = rewards - np.nanmean(rewards, 1, keepdims=True)
    if scale == "group":
        by_hand = by_hand / (np.nanstd(rewards, 1, ddof=1, keepdims=True) + 1e-4)
    return np.nan_to_num(by_hand).ravel()


def loss_by_hand(t, advantages, new, old, base, lengths, longest):
    """Of all tokens, in loops: shape (responses, tokens) for the log-probabilities of the new, old and base policy."""
    sums = []
    for advantage, n, o, b, length in zip(advantages, new, old, base, lengths, strict=True):
        logs = [n[i] - o[i] for i in range(length)]
        if t.importance_sampling_level == "sequence":
            logs = [sum(logs) / length] * length
        losses = []
        for i, log in enumerate(logs):
            ratio = math.exp(log)
            clipped = min(max(ratio, 1 - t.epsilon_low), 1 + t.epsilon_high)
            gain = min(ratio * advantage, clipped * advantage)
            if t.delta is not None and advantage < 0:
                gain = max(gain, t.delta * advantage)  # dual clip (Ye et al. 2020)
            k3 = math.exp(b[i] - n[i]) - (b[i] - n[i]) - 1  # Schulman's low-variance estimate of the KL divergence
            losses.append(-gain + t.beta * k3 * (ratio if t.weighted_kl else 1))
        sums.append(sum(losses))
    if t.loss_type == "grpo":
        return sum(s / length for s, length in zip(sums, lengths, strict=True)) / len(sums)
    return sum(sums) / (sum(lengths) if t.loss_type == "dapo" else len(sums) * longest)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_loss_and_gradient_equal_the_formula(build, algorithm):
    import torch

    t, trainer = build(algorithm)
    size, updates = t.group_size * t.prompts_per_step, t.updates_per_batch
    for case in range(20):
        rng = np.random.default_rng(case)
        old, base = rng.normal(-1.5, 1, (2, size, TOKENS))
        # small steps where the clip is narrow, so that some ratios lie on either side of it
        new = old + rng.normal(0, 0.4 if t.importance_sampling_level == "token" else 6e-4, (size, TOKENS))
        new[0] += 2  # for the dual clip
        lengths = rng.integers(1, TOKENS + 1, size)
        advantages = np.concatenate([[-1.3], rng.normal(0, 1, size - 1)])
        logps = torch.tensor(new, requires_grad=True)
        trainer._get_per_token_logps_and_entropies = lambda *_, logps=logps, **__: (logps, torch.zeros_like(logps), None)
        mask = torch.arange(TOKENS) < torch.tensor(lengths)[:, None]
        inputs = dict.fromkeys(("prompt_ids", "prompt_mask"), torch.ones(size, 3, dtype=torch.long))
        inputs |= {"completion_ids": torch.ones(size, TOKENS, dtype=torch.long), "completion_mask": mask.long()}
        inputs |= {"advantages": torch.tensor(advantages), "num_items_in_batch": mask.sum() * updates}
        inputs |= {"old_per_token_logps": torch.tensor(old), "ref_per_token_logps": torch.tensor(base)}
        loss = trainer.compute_loss(trainer.model, inputs)
        by_hand = loss_by_hand(t, advantages, new, old, base, lengths, TOKENS)
        assert loss.item() == pytest.approx(by_hand, abs=1e-6)
        loss.backward()
        for row, place in ((0, 0), (1, 0), (size - 1, lengths[-1] - 1)):
            up, down = new.copy(), new.copy()
            up[row, place] += 1e-7
            down[row, place] -= 1e-7
            slope = np.subtract(*(loss_by_hand(t, advantages, side, old, base, lengths, TOKENS) for side in (up, down))) / 2e-7
            assert float(logps.grad[row, place]) == pytest.approx(slope, abs=1e-6)
        assert (logps.grad[~mask] == 0).all(), "what comes after a response is not learnt from"


@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "medix-dapo"])
def test_advantages_equal_the_formula(build, algorithm):
    rng = np.random.default_rng(0)
    told = []

    def reward(completions, **_):
        drawn = rng.choice([0, 0.145, 0.6, 1.0, np.nan], len(completions), p=[0.2, 0.3, 0.2, 0.2, 0.1]).astype(np.float32)
        drawn[:GROUP] = 0.145  # a group of equals
        told.append(drawn)
        return [None if math.isnan(value) else float(value) for value in drawn]

    t, trainer = build(
        algorithm, reward, **{"training.group_size": GROUP, "training.prompts_per_step": 4, "training.dynamic_sampling": None}
    )
    rows = [row for i in range(4) for row in [trainer.train_dataset[i]] * GROUP]
    for _ in range(3):
        made = trainer._generate_and_score_completions(rows)
        by_hand = advantages_by_hand(told[-1].astype(np.float64).reshape(-1, GROUP), t.scale_rewards)
        assert made["advantages"].numpy() == pytest.approx(by_hand, abs=1e-6)
        assert (made["advantages"][:GROUP] == 0).all()


@given(arrays.arrays(np.float64, (3, 4), elements=st.one_of(st.just(math.nan), st.sampled_from([0, 0.145, 0.5, 1.0]))))
@settings(max_examples=300)
def test_what_teaches(rewards):
    for by in ("mean", "std"):
        for group, keep in zip(rewards, teaches(rewards, by), strict=True):
            scored = group[~np.isnan(group)]
            wanted = len(scored) > 1 and (0.01 < scored.mean() < 0.99 if by == "mean" else len(set(scored)) > 1)
            assert keep == wanted


@pytest.mark.parametrize("by", ["mean", "std"])
def test_groups_that_cannot_teach_are_drawn_anew(build, samples, by):
    """Rewards hang on the question alone at first, so that whole groups are dropped; what is learnt from is what was kept."""
    seen = []

    def reward(completions, id, **_):
        kinds = [int(key.rsplit("-", 1)[1]) % 2 for key in id]
        seen.append(id)
        return [1.0 if kind else float(place % 2) for place, kind in enumerate(kinds)]

    _, trainer = build("dapo", reward, **{"training.dynamic_sampling": by})
    numbers = [row["id"] for row in trainer.train_dataset]
    assert any(row["images"] for row in trainer.train_dataset)
    rows = [row for i in range(4) for row in [trainer.train_dataset[i]] * GROUP]
    bad = sum(int(numbers[i].rsplit("-", 1)[1]) % 2 for i in range(4))
    assert bad
    made = trainer._generate_and_score_completions(rows)
    assert len(seen) > 1
    assert len(seen[1]) == bad * GROUP
    assert len(made["advantages"]) == 4 * GROUP == len(made["completion_ids"])
    spread = made["advantages"].reshape(4, GROUP).abs().amax(1)
    kept = [key for draw in seen for key in draw[::GROUP] if not int(key.rsplit("-", 1)[1]) % 2]
    assert int((spread > 0).sum()) == min(4, len(kept))
    metrics = trainer._metrics["train"]
    assert metrics["draws"] == [len(seen)]
    assert metrics["dropped_groups"] == [1 - len(kept) / sum(len(draw) // GROUP for draw in seen)]
    # Prompt and pictures still belong to their question.
    by_id = {sample.id: sample for sample in samples}
    asked = [by_id[key] for key in trainer._ids]
    for sample, ids in zip(asked, made["prompt_ids"], strict=True):
        assert sample.question in trainer.processing_class.decode(ids, skip_special_tokens=True)
    assert made["num_images"] == [len(sample.images) for sample in asked]
    pictures = [open_image(path, 64) for sample in asked for path in sample.images]
    pixels = trainer.processing_class.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
    assert made["pixel_values"].equal(pixels)


def test_a_batch_before_its_update_has_a_loss_of_nothing_but_a_gradient(build):
    """Advantages of a group add up to 0 and every ratio is 1; what the notebook shows by hand."""
    rng = np.random.default_rng(1)
    _, trainer = build("grpo", lambda completions, **_: rng.random(len(completions)).tolist(), **{"training.beta": 0.0})
    batch = next_batch(trainer)
    old, counted = token_logps(trainer, batch)
    assert old.shape == counted.shape == batch["completion_ids"].shape
    assert (old[counted] < 0).all()
    grouped = batch["advantages"].reshape(-1, GROUP)
    assert grouped.sum(1).abs().max() < 1e-5, "the responses of a question stand side by side"
    assert (grouped**2).sum(1).numpy() == pytest.approx(GROUP - 1, abs=0.02)
    loss = trainer.compute_loss(trainer.model, batch)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in trainer.model.parameters())


def test_a_preset_comes_along_and_explicit_settings_go_first(tmp_path):
    plain = load_profile("tiny-cpu").training
    assert (plain.algorithm, plain.loss_type, plain.dynamic_sampling) == ("grpo", "grpo", None)
    medix = load_profile("tiny-cpu", {"training.algorithm": "medix-grpo", "training.prompts_per_step": 8}).training
    assert (medix.learning_rate, medix.delta, medix.group_size, medix.updates_per_batch) == (1e-6, 3.0, 5, 4)
    assert medix.prompts_per_step == 8
    for name in ALGORITHMS:
        assert load_profile("tiny-cpu", {"training.algorithm": name}).training.algorithm == name
    saved = tmp_path / "dapo.yaml"
    save_profile(load_profile("tiny-cpu", {"training.algorithm": "dapo"}), saved)
    with pytest.raises(InputError, match=r"setting 'training\.beta': Field required"):
        load_profile(str(saved), {"training.algorithm": "grpo"})
    again = load_profile(str(saved), {"training.algorithm": "gspo"}).training
    assert (again.dynamic_sampling, again.epsilon_high, again.loss_type) == (None, 4e-4, "grpo"), "no mixture of two presets"
    assert load_profile(str(saved)).training.dynamic_sampling == "std"
    for broken in ("", "[]", "3", "text"):
        (tmp_path / "broken.yaml").write_text(f"name: x\ntraining: {broken}\n")
        with pytest.raises(InputError, match=r"broken\.yaml"):
            load_profile(str(tmp_path / "broken.yaml"))
    with pytest.raises(InputError, match="unknown algorithm 'ppo'; use one of grpo"):
        load_profile("tiny-cpu", {"training.algorithm": "ppo"})


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["dapo", "gspo"])
def test_an_interrupted_run_of_another_algorithm_goes_on(tmp_path, samples, algorithm):
    """In its third epoch, with several updates a batch or groups drawn anew: the same adapter as a run nobody stopped."""
    from safetensors.torch import load_file

    def reward(completions, **_):
        return [len(str(completion)) % 5 / 4 for completion in completions]

    def stop(row):
        if row["step"] == 22:
            raise KeyboardInterrupt

    few = {"training.steps": 24, "training.save_every": 9, "training.updates_per_batch": 4 if algorithm == "gspo" else 1}
    profile = load_profile("tiny-cpu", SMALL | {"training.algorithm": algorithm, "training.prompts_per_step": 2} | few)
    with pytest.raises(KeyboardInterrupt):
        train_policy(profile, samples, reward, tmp_path / "stopped", seed=1, report=stop)
    for name in ("stopped", "whole"):
        train_policy(profile, samples, reward, tmp_path / name, seed=1)
    stopped, whole = (load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("stopped", "whole"))
    assert all(value.equal(stopped[name]) for name, value in whole.items())
    assert any(value.abs().max() > 0 for name, value in whole.items() if "lora_B" in name)
    rows = read_jsonl(tmp_path / "whole" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 25))
    rolled_out = [row["step"] for row in rows if "reward" in row]
    assert rolled_out == (list(range(1, 25)) if algorithm == "dapo" else list(range(1, 25, 4)))
    assert any("draws" in row for row in rows) == (algorithm == "dapo")


@pytest.mark.slow
def test_a_rehearsal_is_as_heavy_as_a_step_can_be(samples, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(grpo, "make_trainer", lambda *how: made.append(make_trainer(*how)) or made[-1])
    longest = samples[5].model_copy(update={"question": "Please. " * 40 + samples[5].question})
    done = grpo.rehearse(load_profile("tiny-cpu", SMALL | {"training.steps": 30}), [*samples[:5], longest, *samples[6:]], tmp_path)
    rehearsed = set(made[0].train_dataset["id"])
    assert len(rehearsed) == 4
    assert longest.id in rehearsed
    logged = next(row for row in made[0].state.log_history if "reward" in row)
    assert logged["completions/min_length"] == TOKENS, "no response ends early"
    assert done["seconds"] > 0
    assert 0.1 < done["gigabytes"] < 24


def test_too_few_samples_for_a_batch_are_refused(samples, tmp_path):
    with pytest.raises(InputError, match="there are 16 training samples and a batch of rollouts takes 512"):
        train_policy(load_profile("tiny-cpu", {"training.algorithm": "medix-grpo"}), samples, lambda **_: [], tmp_path)


@pytest.mark.slow
def test_a_run_killed_after_its_last_step_trains_no_step_more(samples, tmp_path):
    """The rate is constant, so that a step too many would show."""
    from safetensors.torch import load_file

    few = {"training.steps": 3, "training.save_every": 1, "training.schedule": "constant_with_warmup", "training.warmup_steps": 0}
    profile = load_profile("tiny-cpu", SMALL | {"training.prompts_per_step": 2} | few)
    reward = lambda completions, **_: [len(str(completion)) % 5 / 4 for completion in completions]  # noqa: E731
    train_policy(profile, samples, reward, tmp_path, seed=1)
    adapter = tmp_path / "adapter"
    before = load_file(adapter / "adapter_model.safetensors")
    adapter.rename(tmp_path / "adapter.part")  # as a kill leaves it, just before its last act
    done = train_policy(profile, samples, reward, tmp_path, seed=1)
    assert done["steps"] == 3
    after = load_file(adapter / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    assert all(value.equal(after[name]) for name, value in before.items())
    assert [row["step"] for row in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3]
