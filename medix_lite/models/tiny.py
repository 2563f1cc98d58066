"""Build the three tiny models from scratch, from a seed: policy (Qwen3-VL), judge (Qwen3), embedder (static).

In: the tiny world. Out: a folder of safetensors and `manifest.json`, which holds the hash of every file.
"""

import math
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

from ..files import InputError, read_table, sha256_of, write_json, write_text
from ..judging.templates import MIMIC, REWARD, render
from ..modalities import MODALITIES
from ..responses import build_prompt
from ..tiny_world.questions import generate
from .judge_data import judge_example, judge_questions, near_miss_pairs, synonym_pairs
from .warmup import write_response

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
MARKS = ("<think>", "</think>", "<answer>", "</answer>", *(f"<{tag}>" for tag in MODALITIES))
SPECIFICATION = read_table("tiny_models")
CHAT = f"{START}user\n{{}}{END}\n{START}assistant\n"
VOCABULARY, PATCH, IMAGE_SIZE = 1800, 8, 64
ATTENTION = "eager"  # on short sequences on a CPU twice as fast as the fused kernel, whose backward is slow
QUESTIONS = 20_000  # questions about the tiny world that the judge's examples are made from


def train_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """A byte-level BPE tokenizer (`PreTrainedTokenizerFast`) with Qwen's chat marks; tags and grammar marks are one token each.

    >>> tokenizer = train_tokenizer(["pleural effusion"] * 9, vocabulary=300)
    >>> tokenizer.decode(tokenizer("<think>pleural effusion</think>").input_ids), len(tokenizer("<think>").input_ids)
    ('<think>pleural effusion</think>', 1)
    """
    bpe = Tokenizer(models.BPE())
    digits, bytes_ = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    bpe.decoder = decoders.ByteLevel()
    known: dict[str, Any] = {"special_tokens": [PAD, START, END, *VISION], "initial_alphabet": bytes_.alphabet()}
    bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, **known))
    bpe.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    marks = {"pad_token": PAD, "eos_token": END, "additional_special_tokens": [START, *VISION]}
    settings = {"padding_side": "left", "clean_up_tokenization_spaces": False, "model_max_length": 4096}
    settings["chat_template"] = SPECIFICATION["chat_template"]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, **marks, **settings)


def make_processor(tokenizer: Any) -> Any:
    """A `Qwen3VLProcessor` for pictures of any size; the tiny profile feeds it 64 x 64 pixels, which make 16 image tokens.

    >>> from PIL import Image
    >>> processor = make_processor(train_tokenizer(["pleural effusion"], vocabulary=300))
    >>> given = {"images": [Image.new("RGB", (64, 64))], "text": "<|vision_start|><|image_pad|><|vision_end|>"}
    >>> inputs = processor(**given, return_tensors="pt")
    >>> inputs["pixel_values"].shape, int((inputs["input_ids"] == processor.image_token_id).sum())
    (torch.Size([64, 384]), 16)
    """
    size = {"shortest_edge": IMAGE_SIZE**2, "longest_edge": IMAGE_SIZE**2}
    shape = {"size": size, "patch_size": PATCH, "temporal_patch_size": 2, "merge_size": 2}
    image, video = transformers.Qwen2VLImageProcessor(**shape), transformers.Qwen3VLVideoProcessor(**shape)
    return transformers.Qwen3VLProcessor(image, tokenizer, video, chat_template=SPECIFICATION["chat_template"])


def shape_of(name: str, tokenizer: Any) -> dict[str, Any]:
    """The shape of `policy` or `judge` from `data/tiny_models.yaml`, with the tokenizer's numbers put in.

    >>> tokenizer = train_tokenizer(["pleural effusion"], vocabulary=300)
    >>> shape_of("judge", tokenizer)["vocab_size"] == len(tokenizer)
    True
    >>> tokenizer.decode(shape_of("policy", tokenizer)["image_token_id"])
    '<|image_pad|>'
    """
    known = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = known | SPECIFICATION["judge" if name == "judge" else "policy_text"]
    if name == "judge":
        return text
    ids = zip(("vision_start", "vision_end", "image", "video"), tokenizer.convert_tokens_to_ids(list(VISION)), strict=True)
    vision = {"patch_size": PATCH, "num_position_embeddings": (IMAGE_SIZE // PATCH) ** 2, **SPECIFICATION["policy_vision"]}
    config = {"text_config": text, "vision_config": vision, "tie_word_embeddings": True}
    return config | {f"{mark}_token_id": number for mark, number in ids}


def train(module: Any, step_loss: Callable[[], Any], steps: int, *, lr: float, what: str, progress: bool = True) -> None:
    """Supervised training with AdamW, a short warm-up and cosine decay. `step_loss()` draws a batch and returns its loss.

    >>> _ = torch.manual_seed(0)
    >>> line, x = nn.Linear(1, 1), torch.tensor([[0.0], [1.0]])
    >>> train(line, lambda: (line(x) - 2 * x - 1).square().mean(), steps=300, lr=0.1, what="line", progress=False)
    >>> round(line(torch.tensor([[2.0]])).item())  # it was shown 1 and 3
    5
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.01, betas=(0.9, 0.98))

    def rate(i: int) -> float:
        return min(1, (i + 1) / min(50, steps)) * (0.5 * (1 + math.cos(math.pi * min(1, i / steps))) * 0.98 + 0.02)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    module.train()
    losses = []
    for step in (bar := tqdm(range(steps), desc=what, disable=not progress, mininterval=5)):
        with torch.autocast("cpu", torch.bfloat16):
            loss = step_loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 50 == 0:
            bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}")
    module.eval()


def attend_together(attention: Any, hidden: Any, cu_seqlens: Any, position_embeddings: Any = None, **_: Any) -> Any:
    """What a vision tower's attention computes, all pictures in one product; they must be of one size.

    Transformers goes from picture to picture, which is half the time of a tower this small.

    Args:
        hidden: shape (pictures x patches, width).

    >>> from medix_lite.models.load import load_policy
    >>> from medix_lite.models.sharing import tower_of
    >>> attention = tower_of(load_policy()[0]).blocks[0].attn
    >>> hidden, turn = torch.rand(8, attention.dim), torch.rand(8, attention.head_dim)
    >>> given = {"cu_seqlens": torch.tensor([0, 4, 8]), "position_embeddings": (turn.cos(), turn.sin())}  # two pictures
    >>> torch.allclose(attend_together(attention, hidden, **given), attention(hidden, **given), atol=1e-5)
    True
    """
    shape = (len(cu_seqlens) - 1, -1, attention.num_heads, attention.head_dim)
    query, key, value = attention.qkv(hidden).reshape(len(hidden), 3, *shape[2:]).unbind(1)
    query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
    query, key, value = (part.reshape(shape).transpose(1, 2) for part in (query, key, value))
    weights = (query @ key.transpose(2, 3) * attention.scaling).softmax(-1, dtype=torch.float32).to(value.dtype)
    return attention.proj((weights @ value).transpose(1, 2).reshape(len(hidden), -1))


def learn_to_see(tower: Any, shown: list[tuple[Any, dict[str, Any]]], rng: Any, steps: int, progress: bool) -> None:
    """Pre-train a vision tower, with heads that are thrown away, to name finding, side, size and count of a picture.

    A backbone's vision tower is trained before its language model meets it; without that the policy's reasoning names a wrong
    finding in one picture of ten, and RL teaches it to fall back on the commonest.

    Args:
        tower: vision tower of the policy, changed in place.
        shown: of each picture its pixels, shape (patches, values), and the facts it was drawn from.

    >>> from medix_lite.models.load import load_policy
    >>> from medix_lite.models.sharing import tower_of
    >>> tower = tower_of(load_policy()[0])
    >>> facts = {"modality": "X_RAY", "finding": "pneumonia", "side": "left", "size_mm": 8, "count": 2}
    >>> weights = tower.blocks[0].attn.qkv.weight
    >>> before = weights.clone()
    >>> learn_to_see(tower, [(torch.rand(64, 384), facts)], np.random.default_rng(0), steps=1, progress=False)
    >>> torch.equal(before, weights)
    False
    """
    told = [[(facts["modality"], facts["finding"]) for _, facts in shown]]
    told += [[facts[name] for _, facts in shown] for name in ("side", "size_mm", "count")]
    names = [sorted({value for value in column if value is not None}, key=str) for column in told]
    indices = [{None: -100} | {value: i for i, value in enumerate(known)} for known in names]
    targets = [torch.tensor([index[value] for value in column]) for column, index in zip(told, indices, strict=True)]
    side = IMAGE_SIZE // PATCH
    heads = nn.ModuleList(nn.Linear(side * side // 4 * tower.config.out_hidden_size, len(known)) for known in names)

    def step_loss() -> Any:
        chosen = rng.integers(len(shown), size=64)
        grid = torch.tensor([[1, side, side]] * len(chosen))
        seen = tower(torch.cat([shown[i][0].float() for i in chosen]), grid).pooler_output.reshape(len(chosen), -1)
        sums = [cross_entropy(head(seen), target[chosen], reduction="sum") for head, target in zip(heads, targets, strict=True)]
        return sum(total / (target[chosen] >= 0).sum().clamp(min=1) for total, target in zip(sums, targets, strict=True))

    train(nn.ModuleList([tower, heads]), step_loss, steps, lr=2e-3, what="vision", progress=progress)


def build_policy(tokenizer: Any, seed: int, steps: int, vision_steps: int, pictures: int, progress: bool) -> tuple[Any, Any]:
    """Build the tiny policy: its vision tower learns to see, then the whole is warmed up. Returns (model, processor).

    >>> tokenizer = train_tokenizer(corpus(seed=0, n=20))
    >>> policy, processor = build_policy(tokenizer, seed=0, steps=1, vision_steps=1, pictures=16, progress=False)
    >>> policy.num_parameters()
    1817888
    """
    torch.manual_seed(seed)
    rng, batch = np.random.default_rng(seed), 32
    processor = make_processor(tokenizer)
    model = transformers.Qwen3VLForConditionalGeneration(transformers.Qwen3VLConfig(**shape_of("policy", tokenizer)))
    side = IMAGE_SIZE // PATCH
    image_block = VISION[0] + VISION[2] * (side // 2) ** 2 + VISION[1]
    read = partial(processor.image_processor, return_tensors="pt")
    drawn = generate(pictures, "warmup", seed)
    items = [(sample, None if image is None else read(images=[image])["pixel_values"].half()) for sample, image in drawn]
    prompts = [CHAT.format(("" if pixels is None else image_block) + build_prompt(sample, "compact")) for sample, pixels in items]
    model.set_attn_implementation(ATTENTION)
    for block in model.model.visual.blocks:
        block.attn.forward = partial(attend_together, block.attn)
    shown = [(pixels, sample.facts or {}) for sample, pixels in items if pixels is not None]
    learn_to_see(model.model.visual, shown, rng, vision_steps, progress)

    def step_loss() -> Any:
        chosen = rng.integers(len(items), size=batch)
        texts = [prompts[i] for i in chosen] + [write_response(items[i][0], rng) + END for i in chosen]
        encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
        starts = list(map(len, encoded[:batch]))
        rows = [prompt + response for prompt, response in zip(encoded[:batch], encoded[batch:], strict=True)]
        ids = nn.utils.rnn.pad_sequence(list(map(torch.tensor, rows)), batch_first=True, padding_value=tokenizer.pad_token_id)
        place, ends = torch.arange(ids.shape[1]), torch.tensor([[len(row)] for row in rows])
        learnt = ((torch.tensor(starts)[:, None] <= place) & (place < ends))[:, 1:]  # the responses
        seen = [pixels.float() for _, pixels in (items[i] for i in chosen) if pixels is not None]
        pictures = {"pixel_values": torch.cat(seen), "image_grid_thw": torch.tensor([[1, side, side]] * len(seen))}
        is_image, mask = (ids == model.config.image_token_id).long(), (place < ends).long()
        hidden = model.model(input_ids=ids, attention_mask=mask, mm_token_type_ids=is_image, **pictures).last_hidden_state[:, :-1]
        return cross_entropy(model.lm_head(hidden[learnt]).float(), ids[:, 1:][learnt])

    train(model, step_loss, steps, lr=2e-3, what="policy", progress=progress)
    model.generation_config.update(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=True)
    return model, processor


def build_judge(tokenizer: Any, seed: int, steps: int, progress: bool) -> Any:
    """Train the tiny judge to say YES or NO (reward and BASE read the same in compact form) or 0 to 5 (MIMIC).

    >>> judge = build_judge(train_tokenizer(corpus(seed=0, n=20)), seed=0, steps=1, progress=False)
    >>> judge.num_parameters()
    704832
    """
    torch.manual_seed(seed + 1)
    rng, batch = np.random.default_rng(seed + 1), 128
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**shape_of("judge", tokenizer)))
    model.set_attn_implementation(ATTENTION)
    questions = judge_questions(QUESTIONS, seed)

    def loss_of(prompts: list[str], right: list[bool]) -> Any:
        inputs = tokenizer(prompts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        hidden = model.model(input_ids=ids, attention_mask=mask, position_ids=positions).last_hidden_state
        # Reading along where the answer is right teaches which words go together; without it the judge stays at chance for long.
        read = (mask[:, 1:-2].bool() & torch.tensor(right)[:, None]).nonzero(as_tuple=True)

        parts = (hidden[:, :-3][read], ids[:, 1:-2][read]), (hidden[:, -3], ids[:, -2]), (hidden[:, -2], ids[:, -1])
        reading, verdict, end = (cross_entropy(model.lm_head(states), targets) for states, targets in parts)
        return verdict + 0.1 * end + 0.5 * reading

    def step_loss() -> Any:
        rows = []
        for sample, candidate, verdict in (judge_example(questions, rng) for _ in range(batch)):
            prompt = render(MIMIC if verdict.isdigit() else REWARD, sample, candidate, compact=True)
            rows.append((CHAT.format(prompt) + verdict + END, verdict in ("YES", "5")))
        rows.sort(key=lambda row: len(row[0]))  # the short half of a batch is not padded to the long one
        halves = rows[: batch // 2], rows[batch // 2 :]
        return sum(loss_of([text for text, _ in half], [right for _, right in half]) for half in halves) / len(halves)

    train(model, step_loss, steps, lr=1e-3, what="judge", progress=progress)
    model.generation_config.update(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False)
    return model


def build_embedder(tokenizer: Any, seed: int) -> Any:
    """Train a `SentenceTransformer` with static token embeddings on synonym pairs with near misses as hard negatives.

    >>> embedder = build_embedder(train_tokenizer(corpus(seed=0, n=200)), seed=0)
    >>> texts = ["pleural effusion", "fluid around the lung", "pneumothorax"]
    >>> reference, synonym, near_miss = embedder.encode(texts, normalize_embeddings=True)
    >>> bool(reference @ synonym > reference @ near_miss)
    True
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.manual_seed(seed + 2)
    rng = np.random.default_rng(seed + 2)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=64)], device="cpu")
    loss_function = MultipleNegativesRankingLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    model.train()
    pairs, wrong = synonym_pairs(), defaultdict(list)
    for form, other in near_miss_pairs():
        wrong[form].append(other)
    for _ in range(20):
        order = rng.permutation(len(pairs))
        for start in range(0, len(order), 64):
            anchors, positives = map(list, zip(*(pairs[i] for i in order[start : start + 64]), strict=True))
            columns = [anchors, positives, [wrong[form][rng.integers(len(wrong[form]))] if wrong[form] else "" for form in anchors]]
            loss_function([model.preprocess(column) for column in columns], None).backward()
            optimizer.step()
            optimizer.zero_grad()
    return model.eval()


def _save_judge_and_embedder(folder: Path, tokenizer: Any, seed: int, steps: int, progress: bool) -> None:
    build_judge(tokenizer, seed, steps, progress).half().save_pretrained(folder / "judge")
    tokenizer.save_pretrained(folder / "judge")
    build_embedder(tokenizer, seed).save_pretrained(str(folder / "embedder"), create_model_card=False)


def _save_policy(folder: Path, *args: Any) -> None:
    policy, processor = build_policy(*args)
    policy.half().save_pretrained(folder)
    processor.save_pretrained(folder)


def _save_models(folder: Path, tokenizer: Any, settings: dict[str, int], progress: bool) -> None:
    """Build the small models beside the policy, since neither keeps two cores busy.

    The processes have two threads each (another number gives other bits), sleep, not spin, while they wait, and keep the memory
    of a step for the next one (glibc would give it back each time).
    """
    seed, *amounts = (settings[name] for name in ("seed", "policy_steps", "vision_steps", "pictures"))
    before = dict(os.environ)
    os.environ.update(SPECIFICATION["environment"])
    try:
        with ProcessPoolExecutor(2, get_context("spawn"), initializer=torch.set_num_threads, initargs=(2,)) as pool:
            small = pool.submit(_save_judge_and_embedder, folder, tokenizer, seed, settings["judge_steps"], progress)
            policy = pool.submit(_save_policy, folder / "policy", tokenizer, seed, *amounts, progress)
            small.result()
            policy.result()
    finally:
        os.environ.clear()
        os.environ.update(before)


def corpus(seed: int, n: int = 3000) -> Iterable[str]:
    """Text for the tokenizer: prompts, responses, judge prompts and verdicts.

    >>> texts = list(corpus(seed=0, n=2))
    >>> len(texts)
    6
    """
    rng = np.random.default_rng(seed)
    questions = judge_questions(n, seed + 1)
    for sample in questions:
        yield build_prompt(sample, "compact")
        yield write_response(sample, rng)
    for _ in range(n):
        sample, candidate, verdict = judge_example(questions, rng)
        yield render(MIMIC if verdict.isdigit() else REWARD, sample, candidate, compact=True) + "\n" + verdict


def build_tiny(out: Path, *, seed: int = 0, progress: bool = True, **amounts: int) -> dict[str, Any]:
    """Build tokenizer, embedder, judge and policy into `out` and write the manifest of hashes.

    Everything is built in a folder beside `out` and moved there at the end, so a killed build leaves the old models whole.

    Args:
        amounts: `vision_steps`, `policy_steps`, `judge_steps` and `pictures`, where they are not to be those of
            `data/tiny_models.yaml`.

    Raises:
        InputError: `out` holds something besides tiny models.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "models"
    >>> short = {"policy_steps": 1, "vision_steps": 1, "judge_steps": 1, "pictures": 16}
    >>> made = build_tiny(folder, progress=False, **short)
    >>> sorted(made), sorted(path.name for path in folder.iterdir())
    (['megabytes', 'seconds'], ['embedder', 'judge', 'manifest.json', 'policy'])
    """
    if out.exists() and not {path.name for path in out.iterdir()} <= {"policy", "judge", "embedder", "manifest.json"}:
        raise InputError(f"{out} holds something besides tiny models; choose another folder")
    started = time.perf_counter()
    aside = out.with_name(out.name + ".building")
    shutil.rmtree(aside, ignore_errors=True)
    settings: dict[str, int] = {"seed": seed} | SPECIFICATION["amounts"] | amounts
    if unknown := amounts.keys() - SPECIFICATION["amounts"].keys():
        raise InputError(f"the tiny models have no {', '.join(sorted(unknown))}; see data/tiny_models.yaml")
    _save_models(aside, train_tokenizer(corpus(seed)), settings, progress)
    seconds = time.perf_counter() - started
    for name, card in SPECIFICATION["cards"].items():
        write_text(aside / name / "README.md", card.format(**settings))
    files = {str(p.relative_to(aside)): sha256_of(p) for p in sorted(aside.rglob("*")) if p.is_file() and p.name != "README.md"}
    write_json(aside / "manifest.json", {"settings": settings, "files": files})
    old = out.with_name(out.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    aside.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {"seconds": round(seconds, 1), "megabytes": round(size / 1e6, 2)}
