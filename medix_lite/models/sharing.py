"""What the completions of a group have in common is computed once: their picture and their prompt.

In: a policy (Qwen3-VL) and the rows of a batch. Out: what the plain path computes, in fewer products.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


def find_repeats(keys: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Where each distinct key stands first, and for every key the number of its distinct one.

    Example:
        >>> find_repeats(["a", "a", "b", "a"])
        ([0, 2], [0, 0, 1, 0])
    """
    numbers: dict[Any, int] = {}
    of = [numbers.setdefault(key, len(numbers)) for key in keys]
    return [of.index(number) for number in range(len(numbers))], of


def key_of(tensor: Any) -> bytes:
    """The very bytes of a tensor. Shape and type go beside them where they may differ.

    >>> import torch
    >>> key_of(torch.tensor([1, 2])) == key_of(torch.tensor([1, 2])), key_of(torch.tensor([1, 2])) == key_of(torch.tensor([2, 1]))
    (True, False)
    """
    import torch

    return bytes(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())


def tower_of(model: Any) -> Any:
    """The vision tower of a Qwen3-VL, with or without adapter.

    >>> from medix_lite.models.load import load_policy
    >>> type(tower_of(load_policy()[0])).__name__
    'Qwen3VLVisionModel'
    """
    return next(module for name, module in model.named_modules() if name.rpartition(".")[2] == "visual")


def see_once(tower: Any, *, remember: bool = False) -> Callable[[], None]:
    """Let a vision tower of a Qwen3-VL, changed in place, look at each distinct picture of a batch once.

    Args:
        remember: whether it remembers them for the batches that follow; a tower that learns never does.

    Returns:
        a function that makes it forget them. Call it between steps: what is computed beside other pictures differs in the last
        bits, and a resumed run remembers nothing.

    >>> import torch
    >>> from medix_lite.models.load import load_policy
    >>> tower, looked = tower_of(load_policy()[0]), []
    >>> _ = tower.patch_embed.register_forward_pre_hook(lambda _, given: looked.append(len(given[0])))
    >>> forget = see_once(tower)
    >>> patches, shapes = torch.rand(64, 384).repeat(2, 1), torch.tensor([[1, 8, 8]] * 2)  # the same picture twice
    >>> seen = tower(patches, shapes).pooler_output
    >>> looked, torch.equal(*seen.chunk(2))
    ([64], True)
    """
    import torch

    look, merged = tower.forward, tower.spatial_merge_size**2
    remember = remember and not any(weight.requires_grad for weight in tower.parameters())
    known: dict[Any, tuple[type, list[Any]]] = {}

    def forward(hidden_states: Any, grid_thw: Any, **options: Any) -> Any:
        patches = grid_thw.prod(-1).tolist()
        parts = hidden_states.split(patches)
        mixed = torch.is_autocast_enabled(hidden_states.device.type)  # what was seen in one precision is not used in another
        keys = [(mixed, tuple(shape), key_of(part)) for shape, part in zip(grid_thw.tolist(), parts, strict=True)]
        first, of = find_repeats(keys)
        if new := [place for place in first if keys[place] not in known]:
            features = look(torch.cat([parts[place] for place in new]), grid_thw[new], **options)
            tokens = [patches[place] // merged for place in new]
            layers = [layer.split(tokens) for layer in (features.pooler_output, *(features.get("deepstack_features") or ()))]
            known.update({keys[place]: (type(features), own) for place, *own in zip(new, *layers, strict=True)})
        kinds, layers_of = zip(*(known[keys[first[number]]] for number in of), strict=True)
        if not remember:
            known.clear()
        pooled, *deep = (torch.cat(layer) for layer in zip(*layers_of, strict=True))
        return kinds[0](pooler_output=pooled, **({"deepstack_features": deep} if deep else {}))

    tower.forward = forward
    return known.clear


class Pictures(NamedTuple):
    """The pictures of a batch: patches (all pictures one after the other), shapes (pictures, 3), and how many each row has.

    >>> import torch
    >>> shapes = torch.tensor([[1, 2, 2], [1, 2, 4], [1, 2, 2]])  # 4, 8 and 4 patches; the second row has no picture
    >>> pictures = Pictures(torch.arange(16)[:, None], shapes, [2, 0, 1])
    >>> [len(patches) for patches, _ in pictures.by_row()], pictures.of_rows([2]).pixel_values.ravel().tolist()
    ([12, 0, 4], [12, 13, 14, 15])
    """

    pixel_values: Any
    image_grid_thw: Any
    num_images: list[int]

    def by_row(self) -> list[tuple[Any, Any]]:
        """Of each row its patches and its shapes."""
        shapes = self.image_grid_thw.split(self.num_images)
        return list(zip(self.pixel_values.split([int(shape.prod(-1).sum()) for shape in shapes]), shapes, strict=True))

    def of_rows(self, rows: Sequence[int]) -> "Pictures":
        """Those of some rows."""
        import torch

        parts = self.by_row()
        pixels, grid = (torch.cat(part) for part in zip(*(parts[row] for row in rows), strict=True))
        return Pictures(pixels, grid, [self.num_images[row] for row in rows])


def completion_logits(model: Any, ids: Any, mask: Any, kept: int, kinds: Any = None, pictures: Pictures | None = None) -> Any:
    """Logits of the completions, each distinct prompt read once and its keys and values shared; shape (rows, kept, vocabulary).

    Args:
        model: a Qwen3-VL, with or without adapter.
        ids: prompt, padded on the left, and completion, padded on the right; shape (rows, tokens), as `mask`.
        kept: tokens of the completions.
        kinds: 1 where a token stands for a picture, as the processor gives them.

    >>> import torch
    >>> from medix_lite.models.load import load_policy
    >>> policy, _ = load_policy()
    >>> prompt, completions = torch.full((2, 5), 300), torch.tensor([[301, 302], [303, 304]])  # of a group of two
    >>> ids = torch.cat([prompt, completions], 1)
    >>> with torch.no_grad():
    ...     shared = completion_logits(policy, ids, torch.ones_like(ids), kept=2)
    ...     plain = policy(input_ids=ids).logits[:, 4:6]
    >>> shared.shape == plain.shape, bool(torch.allclose(shared, plain, atol=1e-3))
    (True, True)
    """
    import torch

    cut = ids.size(1) - kept - 1  # the last token of the prompt predicts the first of the completion
    seen = [(key_of(patches), key_of(shapes)) for patches, shapes in pictures.by_row()] if pictures else [()] * len(ids)
    keys = [(key_of(row[: cut + 1]), key_of(real[: cut + 1]), picture) for row, real, picture in zip(ids, mask, seen, strict=True)]
    first, of = find_repeats(keys)
    inputs = {"input_ids": ids[first, :cut], "attention_mask": mask[first, :cut], "use_cache": True, "logits_to_keep": 1}
    positions = torch.arange(cut, ids.size(1), device=ids.device).expand(3, len(ids), -1)
    if pictures and (own := pictures.of_rows(first)).pixel_values.numel():
        inputs |= {"mm_token_type_ids": kinds[first, :cut], "pixel_values": own.pixel_values, "image_grid_thw": own.image_grid_thw}
    prompts = model(**inputs)
    if "pixel_values" in inputs:  # pictures count by their longer side, so what follows them starts earlier
        positions = (mask.cumsum(-1)[:, cut:] - 1 + prompts.rope_deltas[of]).clamp(min=0).expand(3, -1, -1)
    cache = prompts.past_key_values
    which = torch.tensor(of, device=ids.device)
    for layer in cache.layers:  # whose own `batch_select_indices` adds gradients up in an order that changes from run to run
        layer.keys, layer.values = (part.index_select(0, which) for part in (layer.keys, layer.values))
    rest = {"attention_mask": mask, "position_ids": positions, "past_key_values": cache, "use_cache": True}
    return model(input_ids=ids[:, cut:], **rest).logits[:, :-1]
