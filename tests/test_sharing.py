"""What is computed once for a group equals what TRL computes for each completion, gradients included."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medix_lite.models.sharing import find_repeats, see_once, tower_of
from medix_lite.profiles import load_profile
from medix_lite.tiny_world.questions import make_samples
from medix_lite.training.grpo import make_trainer, next_batch

CHUNK = 4  # responses in a pass
SETTINGS = {"training.prompts_per_step": 6, "training.group_size": 4, "max_new_tokens": 12}


@given(st.lists(st.sampled_from("abc")))
def test_repeats_are_found_in_the_order_they_come(keys):
    first, of = find_repeats(keys)
    assert [keys[first[number]] for number in of] == keys
    assert len(first) == len(set(keys))
    assert first == sorted(first)


def logps_and_gradient(samples, out, shuffled, **settings):
    """Log-probabilities and entropies of one batch in float64 (norms are float32 inside), and the gradients of a weighted sum."""
    profile = load_profile("tiny-cpu", SETTINGS | {f"training.{k}": v for k, v in settings.items()})
    trainer = make_trainer(profile, samples, lambda completions, **_: [0.0] * len(completions), out)
    trainer.model.double()
    for name, weight in trainer.model.named_parameters():
        if "lora_B" in name:  # which starts at zero: the other half of an adapter has no gradient then
            torch.nn.init.normal_(weight, std=0.02, generator=torch.Generator().manual_seed(len(name)))
    batch = next_batch(trainer)
    if shuffled:
        from trl.trainer.utils import shuffle_sequence_dict, split_pixel_values_by_grid, unsplit_pixel_values_by_grid

        torch.manual_seed(5)
        batch = unsplit_pixel_values_by_grid(shuffle_sequence_dict(split_pixel_values_by_grid(batch)))
    ids, mask = (torch.cat([batch[f"prompt_{kind}"], batch[f"completion_{kind}"]], 1) for kind in ("ids", "mask"))
    kept = batch["completion_ids"].size(1)
    counted = {"tokens": 0, "pictures": 0}
    model = trainer.model.base_model.model

    def count_tokens(module, args):
        counted["tokens"] += args[0].numel()

    def count_patches(module, args):
        counted["pictures"] += len(args[0]) // 64

    model.get_input_embeddings().register_forward_pre_hook(count_tokens)
    tower_of(model).patch_embed.register_forward_pre_hook(count_patches)
    names = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
    known = {name: batch[name] for name in names if name in batch} | {"compute_entropy": True, "batch_size": CHUNK}
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, kept, **known)
    weights = torch.linspace(-1, 1, logps.numel(), dtype=logps.dtype).reshape(logps.shape) * batch["completion_mask"]
    ((logps * weights).sum()).backward()
    real = batch["completion_mask"].bool()
    gradients = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    pictures_in = [sum(batch.get("num_images", [0])[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)]
    return ids, logps.detach()[real], entropies.detach()[real], gradients, counted, pictures_in


@pytest.mark.parametrize("pictures", ["some", "none", "all"])
def test_shared_pictures_and_prompts_change_neither_log_probabilities_nor_gradients(pictures, tmp_path):
    samples = [s for s in make_samples(60, "train", 4, tmp_path) if pictures == "some" or s.has_image == (pictures == "all")][:12]
    plain, shared = (
        logps_and_gradient(samples, tmp_path / name, pictures != "some", share_pictures=share, share_prompts=share)
        for name, share in (("plain", False), ("shared", True))
    )
    assert torch.equal(plain[0], shared[0])  # the same rollouts
    assert len({tuple(row) for row in plain[0].tolist()}) > 6
    for one, other in zip(plain[1:3], shared[1:3], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert shared[4]["tokens"] < 0.8 * plain[4]["tokens"]
    if pictures != "none":
        assert shared[4]["pictures"] == 0 < plain[4]["pictures"], "they are remembered from the rollouts"
    if pictures == "some":
        assert 0 in plain[5], "a pass without pictures among passes with some"
    assert plain[3].keys() == shared[3].keys()
    assert max(gradient.abs().max() for gradient in plain[3].values()) > 1e-3
    for name, gradient in plain[3].items():
        torch.testing.assert_close(gradient, shared[3][name], rtol=0, atol=1e-5, msg=name)


def test_gradients_are_the_same_bits_each_time(tmp_path):
    samples = [s for s in make_samples(200, "train", 4, tmp_path) if not s.has_image][:8]
    profile = load_profile("tiny-cpu", {"training.group_size": 8, "max_new_tokens": 24})
    trainer = make_trainer(profile, samples, lambda completions, **_: [0.0] * len(completions), tmp_path / "out")
    batch = next_batch(trainer)
    mixed = torch.randperm(64, generator=torch.Generator().manual_seed(1))  # as TRL does; threads meet in a group then
    ids, mask = (torch.cat([batch[f"prompt_{kind}"], batch[f"completion_{kind}"]], 1)[mixed] for kind in ("ids", "mask"))
    kept, seen = batch["completion_ids"].size(1), list[dict[str, torch.Tensor]]()
    for _ in range(6):
        trainer.model.zero_grad()
        logps, *_ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, kept)
        (logps * torch.linspace(-1, 1, logps.numel()).reshape(logps.shape) * mask[:, -kept:]).sum().backward()
        seen.append({name: weight.grad.clone() for name, weight in trainer.model.named_parameters() if weight.grad is not None})
    assert all(torch.equal(gradient, some[name]) for some in seen for name, gradient in seen[0].items())


@pytest.fixture
def tower():
    from medix_lite.models.load import load_policy

    return load_policy(dtype="float64")[0].model.visual


def shown(*numbers, size=8):
    pixels = {n: torch.tensor(np.random.default_rng(n).random((size * size, 3 * 2 * 64))) for n in numbers}
    return torch.cat([pixels[n] for n in numbers]), torch.tensor([[1, size, size]] * len(numbers))


def test_a_frozen_tower_sees_a_picture_once_until_it_forgets(tower):
    seen = []
    plain = tower.forward
    tower.forward = lambda pixels, grid, **options: seen.append(len(grid)) or plain(pixels, grid, **options)
    for weight in tower.parameters():
        weight.requires_grad_(False)
    expected = [plain(*shown(*numbers)) for numbers in ((1, 2, 1, 1), (2, 3), (1, 3))]
    forget = see_once(tower, remember=True)
    found = [tower(*shown(*numbers)) for numbers in ((1, 2, 1, 1), (2, 3), (1, 3))]
    assert seen == [2, 1]
    forget()
    tower(*shown(3, 3))
    assert seen == [2, 1, 1]
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one.pooler_output, other.pooler_output, rtol=0, atol=1e-12)
        for layer, own in zip(one.deepstack_features, other.deepstack_features, strict=True):
            torch.testing.assert_close(layer, own, rtol=0, atol=1e-12)


def test_nothing_is_remembered_unless_asked_for(tower):
    seen = []
    plain = tower.forward
    tower.forward = lambda pixels, grid, **options: seen.append(len(grid)) or plain(pixels, grid, **options)
    tower.requires_grad_(False)
    see_once(tower)
    for _ in range(2):
        tower(*shown(1, 2, 1))
    assert seen == [2, 2]


def test_a_tower_that_learns_remembers_nothing(tower):
    see_once(tower, remember=True)
    pixels, grid = shown(1, 1)
    before = tower(pixels, grid).pooler_output
    before.sum().backward()
    with torch.no_grad():
        for weight in tower.parameters():
            weight += 0.01
    assert not torch.allclose(before, tower(pixels, grid).pooler_output)
    assert tower.patch_embed.proj.weight.grad.abs().max() > 0
