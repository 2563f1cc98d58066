"""Generate responses. In: Samples and a policy. Out: rows of the responses format, persisted as they arrive."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..files import InputError, append_jsonl, read_jsonl, write_jsonl
from ..models.load import image_token_ids
from ..responses import build_prompt
from ..samples import Sample, open_image

Key = tuple[str, int]  # id and sample_index


class Answer(NamedTuple):
    """What an engine gives: a response and why it ended (`stop`, `length`, or `error` where there is none)."""

    id: str
    sample_index: int
    response: str
    finish_reason: str
    error: str | None = None


Asked = tuple[Sample, int]  # a sample and a sample_index
Engine = Callable[[list[Sample], int, list[Asked], int], Iterator[list[Answer]]]
"""Samples, copies, which of their responses are missing, seed -> these, a few at a time."""


def chat_messages(
    sample: Sample, prompt_style: str = "full", image_size: int | None = None, max_prompt_chars: int | None = None
) -> list[dict[str, Any]]:
    """The conversation for one sample: pictures first, then the prompt.

    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> [message] = chat_messages(asked, "compact")
    >>> message["role"], message["content"][-1]["text"].splitlines()[-1]
    ('user', 'Which organ does glioma affect?')
    """
    content: list[dict[str, Any]] = [{"type": "image", "image": open_image(path, image_size)} for path in sample.images]
    content.append({"type": "text", "text": build_prompt(sample, prompt_style, max_prompt_chars)})
    return [{"role": "user", "content": content}]


def generate_batch(
    model: Any, processor: Any, samples: list[Sample], *, max_new_tokens: int, copies: int = 1, temperature: float = 0, **how: Any
) -> list[list[tuple[str, str]]]:
    """Responses to a batch of samples.

    Args:
        copies: responses for each sample.
        temperature: 0 for greedy decoding.
        how: `prompt_style`, `image_size` and `max_prompt_chars`, as `chat_messages` takes them.

    Returns:
        For each sample, `copies` pairs (response, finish reason `stop` or `length`).

    >>> from medix_lite.models.load import load_policy
    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> [[(text, reason)]] = generate_batch(*load_policy(), [asked], max_new_tokens=2, prompt_style="compact")
    >>> reason, "<answer>" in text  # too few tokens: it never gets to its answer
    ('length', False)
    """
    import torch

    conversations = [chat_messages(sample, **how) for sample in samples]
    chat = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    inputs = processor.apply_chat_template(conversations, **chat, processor_kwargs={"padding": True}).to(model.device)
    end = processor.tokenizer.eos_token_id
    decoding = {"max_new_tokens": max_new_tokens, "eos_token_id": end, "pad_token_id": processor.tokenizer.pad_token_id}
    random = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    decoding |= random if temperature > 0 else {"do_sample": False}
    with torch.inference_mode():
        output = model.generate(**inputs, **decoding, num_return_sequences=copies, suppress_tokens=image_token_ids(processor))
    completions = output[:, inputs["input_ids"].shape[1] :]
    texts = processor.tokenizer.batch_decode(completions, skip_special_tokens=True)
    reasons = ["stop" if end in row else "length" for row in completions.tolist()]
    pairs = list(zip(texts, reasons, strict=True))
    return [pairs[i * copies : (i + 1) * copies] for i in range(len(samples))]


def generate(
    engine: Engine,
    samples: list[Sample],
    out: Path,
    *,
    model_name: str,
    revision: str,
    task: str = "",
    copies: int = 1,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Responses to all samples, appended to `out` as they come; what stands there already is not asked for again.

    A response that the engine could not get is a row too, empty, with the finish reason `error` and the `error`; the next call asks
    for it again.

    Args:
        engine: who answers, from `evaluation.engines`.
        revision: commit or hash of the weights, adapter included.
        copies: responses for each sample.
        seed: of sampling.

    Returns:
        The rows of `out` for these samples: `id, sample_index, response, task, model, revision, finish_reason, seed`.

    Raises:
        InputError: `out` holds responses of another model, revision, task or seed.

    >>> import tempfile
    >>> out, asked = Path(tempfile.mkdtemp()) / "responses.jsonl", Sample(id="a", question="What is seen?", reference="flu")
    >>> def parrot(samples, copies, asked, seed):
    ...     yield [Answer(sample.id, index, sample.question, "stop") for sample, index in asked]
    >>> [row["response"] for row in generate(parrot, [asked], out, model_name="parrot", revision="1")]
    ['What is seen?']
    >>> generate(parrot, [asked], out, model_name="parrot", revision="2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ...responses.jsonl holds responses of another revision; ...
    """
    written = read_jsonl(out, torn_last_line=True) if out.exists() else []
    made_by = {"task": task, "model": model_name, "revision": revision, "seed": seed}
    for row in written:
        if differing := [name for name, value in made_by.items() if row.get(name) != value]:
            raise InputError(f"{out} holds responses of another {' and '.join(differing)}; choose another file")
    rows = {(row["id"], row.get("sample_index", 0)): row for row in written}
    there = {key for key, row in rows.items() if row.get("finish_reason") != "error"}
    missing = [(sample, index) for sample in samples for index in range(copies) if (sample.id, index) not in there]
    with tqdm(total=len(missing), disable=None) as bar:
        for answers in engine(samples, copies, missing, seed) if missing else ():
            new = {a[:2]: {name: value for name, value in a._asdict().items() if value is not None} | made_by for a in answers}
            append_jsonl(out, new.values())
            rows |= new
            written += new.values()
            bar.update(len(new))
    append_jsonl(out, [])  # a kill may have left the last row without its newline
    if len(written) > len(rows):  # a second try stands below the first
        write_jsonl(out, rows.values())
    return [rows[sample.id, index] for sample in samples for index in range(copies)]
