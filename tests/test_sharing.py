"""What is computed once for a group equals what TRL computes for each completion, gradients included."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medix_lite.profiles import load_profile
from medix_lite.tiny_world.questions import make_samples
from medix_lite.training.grpo import make_trainer, next_batch
from medix_lite.training.sharing import find_repeats, see_once

SETTINGS = {"training.prompts_per_step": 6, "training.group_size": 4, "max_new_tokens": 12}


@given(st.lists(st.sampled_from("abc")))
def test_repeats_are_found_in_the_order_they_come(keys):
    first, of = find_repeats(keys)
    assert [keys[first[number]] for number in of] == keys
    assert len(first) == len(set(keys))
    assert first == sorted(first)


def logps_and_gradient(samples, out, shuffled=True, **settings):
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
    names = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
    known = {name: batch[name] for name in names if name in batch} | {"compute_entropy": True, "batch_size": 16}
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, kept, **known)
    weights = torch.linspace(-1, 1, logps.numel(), dtype=logps.dtype).reshape(logps.shape) * batch["completion_mask"]
    ((logps * weights).sum()).backward()
    counted = batch["completion_mask"].bool()
    gradients = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    return ids, logps.detach()[counted], entropies.detach()[counted], gradients


@pytest.mark.parametrize("pictures", ["some", "none", "all"])
def test_shared_pictures_and_prompts_change_neither_log_probabilities_nor_gradients(pictures, tmp_path):
    samples = [s for s in make_samples(60, "train", 4, tmp_path) if pictures == "some" or s.has_image == (pictures == "all")][:12]
    plain, shared = (
        logps_and_gradient(samples, tmp_path / name, share_pictures=share, share_prompts=share)
        for name, share in (("plain", False), ("shared", True))
    )
    assert torch.equal(plain[0], shared[0])  # the same rollouts
    assert len({tuple(row) for row in plain[0].tolist()}) > 6
    for one, other in zip(plain[1:3], shared[1:3], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert plain[3].keys() == shared[3].keys()
    assert max(gradient.abs().max() for gradient in plain[3].values()) > 1e-3
    for name, gradient in plain[3].items():
        torch.testing.assert_close(gradient, shared[3][name], rtol=0, atol=1e-5, msg=name)


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
    forget = see_once(tower)
    found = [tower(*shown(*numbers)) for numbers in ((1, 2, 1, 1), (2, 3), (1, 3))]
    assert seen == [2, 1]
    forget()
    tower(*shown(3, 3))
    assert seen == [2, 1, 1]
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one.pooler_output, other.pooler_output, rtol=0, atol=1e-12)
        for layer, own in zip(one.deepstack_features, other.deepstack_features, strict=True):
            torch.testing.assert_close(layer, own, rtol=0, atol=1e-12)


def test_a_tower_that_learns_remembers_nothing(tower):
    see_once(tower)
    pixels, grid = shown(1, 1)
    before = tower(pixels, grid).pooler_output
    before.sum().backward()
    with torch.no_grad():
        for weight in tower.parameters():
            weight += 0.01
    assert not torch.allclose(before, tower(pixels, grid).pooler_output)
    assert tower.patch_embed.proj.weight.grad.abs().max() > 0
