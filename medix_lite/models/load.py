"""Load policy, judge and embedder: the tiny ones with their hashes checked, or Hub models at a pinned revision.

`trust_remote_code` is never passed, and only safetensors are read.
"""

from functools import cache
from pathlib import Path
from typing import Any

from ..files import DATA, InputError, read_json, sha256_of

TINY = DATA / "models"


def check_manifest(folder: Path) -> None:
    """Compare the files of a tiny model with the manifest beside it.

    Raises:
        InputError: a file is missing or its hash differs.

    >>> check_manifest(folder_of("tiny:judge"))  # silent: every file has its hash
    """
    manifest = folder.parent / "manifest.json"
    for name, expected in read_json(manifest)["files"].items():
        path = folder.parent / name
        if path.is_relative_to(folder) and (not path.exists() or sha256_of(path) != expected):
            problem = f"differs from its hash in {manifest}" if path.exists() else "is missing"
            raise InputError(f"{path} {problem}; restore it from git or run `medix-lite build-tiny`")


def resolve_model(path: str, revision: str | None) -> tuple[str, dict[str, Any]]:
    """Where to load from: a local folder (`tiny:policy` is the shipped one) or a Hub id, which needs a pinned revision.

    >>> resolve_model("Qwen/Qwen3-VL-2B-Instruct", None)
    Traceback (most recent call last):
    medix_lite.files.InputError: model 'Qwen/Qwen3-VL-2B-Instruct' has no pinned revision; give the commit of the Hub repository
    """
    folder = folder_of(path)
    if folder.is_dir():
        if (folder.parent / "manifest.json").exists():
            check_manifest(folder)
        return str(folder), {"local_files_only": True}
    if path.startswith(("tiny:", ".", "/")):
        raise InputError(f"no model at {folder}; check the path or run `medix-lite build-tiny`")
    if not revision:
        raise InputError(f"model {path!r} has no pinned revision; give the commit of the Hub repository")
    return path, {"revision": revision}


def load_policy(
    path: str = "tiny:policy",
    *,
    revision: str | None = None,
    adapter: Path | str | None = None,
    dtype: str = "float32",
    device: str = "cpu",
) -> tuple[Any, Any]:
    """A Qwen3-VL policy and its processor, in eval mode.

    Args:
        path: `tiny:policy`, a local folder, or a Hub id.
        revision: commit of the Hub repository.
        adapter: folder of a LoRA adapter to put on top.
        dtype: name of a torch dtype.
        device: `cpu` or `cuda`.

    Raises:
        InputError: nothing there, a hash differs, or a Hub id without a revision.

    >>> policy, processor = load_policy()
    >>> policy.training, processor.tokenizer.padding_side
    (False, 'left')
    >>> load_policy("Qwen/Qwen3-VL-2B-Instruct")  # "the newest" is not a version, so nothing is downloaded
    Traceback (most recent call last):
    medix_lite.files.InputError: model 'Qwen/Qwen3-VL-2B-Instruct' has no pinned revision; give the commit of the Hub repository
    """
    import transformers

    if adapter is not None and not (Path(adapter) / "adapter_model.safetensors").exists():
        raise InputError(f"no adapter at {adapter}; train one first (notebook 03 or `medix-lite train`)")
    where, options = resolve_model(path, revision)
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForImageTextToText.from_pretrained(where, dtype=dtype, use_safetensors=True, **options)
    processor = transformers.AutoProcessor.from_pretrained(where, **options)
    processor.tokenizer.padding_side = "left"
    model.config.eos_token_id, model.config.pad_token_id = processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter), use_safetensors=True)
    return model.to(device).eval(), processor


def load_unsloth(choice: Any, *, rank: int, alpha: int, seed: int, max_length: int) -> tuple[Any, Any]:
    """A policy with a fresh LoRA adapter through Unsloth (GPU only). Unsloth must be imported before trl, transformers and peft.

    >>> from medix_lite.profiles import load_profile
    >>> unpinned = load_profile("tiny-cpu").policy.model_copy(update={"path": "Qwen/Qwen3-VL-2B-Instruct"})
    >>> load_unsloth(unpinned, rank=16, alpha=32, seed=0, max_length=512)  # known before anything is downloaded
    Traceback (most recent call last):
    medix_lite.files.InputError: model 'Qwen/Qwen3-VL-2B-Instruct' has no pinned revision; give the commit of the Hub repository
    """
    where, options = resolve_model(choice.path, choice.revision)
    from unsloth import FastVisionModel  # isort: skip
    import torch

    options |= {"dtype": getattr(torch, choice.dtype), "load_in_4bit": choice.load_in_4bit, "trust_remote_code": False}
    memory = {"max_seq_length": max_length, "use_gradient_checkpointing": "unsloth"}
    model, processor = FastVisionModel.from_pretrained(where, **memory, **options)
    lora = {"r": rank, "lora_alpha": alpha, "lora_dropout": 0, "bias": "none", "random_state": seed}
    model = FastVisionModel.get_peft_model(model, finetune_vision_layers=False, finetune_language_layers=True, **lora)
    processor.tokenizer.padding_side = "left"
    return model, processor


@cache
def load_judge(path: str = "tiny:judge", revision: str | None = None) -> tuple[Any, Any]:
    """A causal language model and its tokenizer, for judging; loaded once in a process.

    >>> judge, tokenizer = load_judge()
    >>> judge.training, tokenizer.padding_side
    (False, 'left')
    """
    import transformers

    where, options = resolve_model(path, revision)
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype="float32", use_safetensors=True, **options)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(where, padding_side="left", **options)


@cache
def load_embedder(path: str = "tiny:embedder", revision: str | None = None) -> Any:
    """A `SentenceTransformer` on the CPU; loaded once in a process.

    >>> texts = ["pleural effusion", "fluid around the lung", "pneumothorax"]
    >>> reference, synonym, near_miss = load_embedder().encode(texts, normalize_embeddings=True)
    >>> bool(reference @ synonym > reference @ near_miss)
    True
    """
    from sentence_transformers import SentenceTransformer

    where, options = resolve_model("tiny:embedder" if path == "tiny" else path, revision)
    return SentenceTransformer(where, device="cpu", **options)


def folder_of(path: str) -> Path:
    """The folder of a local model; `tiny:policy` is the shipped one.

    >>> folder_of("tiny:policy").name, folder_of("runs/mine").as_posix()
    ('policy', 'runs/mine')
    """
    return TINY / path.removeprefix("tiny:") if path.startswith("tiny:") else Path(path)


def model_hash(path: str) -> str | None:
    """The first 12 digits of the hash of a local model's weights; None for a Hub id.

    >>> len(model_hash("tiny:policy")), model_hash("Qwen/Qwen3-VL-2B-Instruct")
    (12, None)
    """
    weights = folder_of(path) / "model.safetensors"
    return sha256_of(weights)[:12] if weights.exists() else None


def policy_revision(path: str, revision: str | None, adapter: Path | str | None = None) -> str:
    """What names the weights of a policy: the Hub commit or the hash of the local weights, and the hash of the adapter.

    >>> policy_revision("Qwen/Qwen3-VL-2B-Instruct", "0123abc")
    '0123abc'
    """
    base = model_hash(path) or revision or "unpinned"
    weights = Path(adapter) / "adapter_model.safetensors" if adapter else None
    return f"{base}+{sha256_of(weights)[:12]}" if weights and weights.exists() else base


def image_token_ids(processor: Any) -> list[int]:
    """Ids of the image, video and vision marks: a policy that samples one of them breaks the next forward pass.

    >>> _, processor = load_policy()
    >>> [processor.tokenizer.decode([token]) for token in image_token_ids(processor)]
    ['<|image_pad|>', '<|video_pad|>', '<|vision_start|>', '<|vision_end|>']
    """
    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    return [i for i in map(processor.tokenizer.convert_tokens_to_ids, marks) if isinstance(i, int) and i >= 0]
