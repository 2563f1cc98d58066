"""Who answers: a model in this process, vLLM in this process, or any OpenAI-compatible server. In: Samples. Out: responses."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from ..judging.servers import ask_server, describe_error, is_loopback, refuse_to_send
from ..samples import Sample, content_id, picture_url
from .generate import Answer, Asked, Engine, chat_messages, generate_batch

CHUNK = 256  # samples in one call of vLLM; what a kill can lose


def local_engine(load: Callable[[], tuple[Any, Any]], *, batch_size: int = 64, **how: Any) -> Engine:
    """A transformers model that answers in batches.

    Batches are the same in every run, and each has its own seed, so a resumed run gives what an uninterrupted one would.

    Args:
        load: gives model and processor; called only if something is missing.
        how: `temperature`, `max_new_tokens` and the other settings of `generate_batch`.

    >>> from medix_lite.models.load import load_policy
    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> engine = local_engine(load_policy, max_new_tokens=2, prompt_style="compact")
    >>> [[answer]] = engine([asked], 1, [(asked, 0)], 0)
    >>> answer.id, answer.finish_reason
    ('a', 'length')
    """

    def answer(samples: list[Sample], copies: int, asked: list[Asked], seed: int) -> Iterator[list[Answer]]:
        import torch

        policy, missing = None, {(sample.id, index) for sample, index in asked}
        per_batch = max(1, batch_size // copies)
        for number, start in enumerate(range(0, len(samples), per_batch)):
            batch = samples[start : start + per_batch]
            if not missing & {(sample.id, index) for sample in batch for index in range(copies)}:
                continue
            policy = policy or load()
            torch.manual_seed(seed * 1_000_003 + number)
            found = zip(batch, generate_batch(*policy, batch, copies=copies, **how), strict=True)
            answers = [Answer(sample.id, index, *pair) for sample, pairs in found for index, pair in enumerate(pairs)]
            yield [one for one in answers if one[:2] in missing]

    return answer


def served_engine(
    model: str, url: str, *, max_new_tokens: int, temperature: float = 0, timeout: float = 300.0, **how: Any
) -> Engine:
    """A model behind an OpenAI-compatible server; each response has its own seed, and comes when it is ready.

    Args:
        timeout: seconds for one response.
        how: as for `chat_messages`.

    >>> engine = served_engine("medix", "https://models.example/v1", max_new_tokens=8)
    >>> private = Sample(id="a", question="What is seen?", reference="flu", local_only=True)
    >>> list(engine([private], 1, [(private, 0)], 0))  # a data use agreement may ask for this
    Traceback (most recent call last):
    medix_lite.files.InputError: sample 'a' may not leave this machine (local_only); use what runs here, not 'https://models.example/v1'
    """

    def answer(samples: list[Sample], copies: int, asked: list[Asked], seed: int) -> Iterator[list[Answer]]:
        if not is_loopback(url):
            refuse_to_send(samples, url)

        def request(place: Asked) -> dict[str, Any]:
            sampling = {"max_tokens": max_new_tokens, "temperature": temperature, "top_p": 1, "seed": seed_of(seed, *place)}
            return {"model": model, "messages": served_messages(place[0], **how)} | sampling

        # What a server would take from the model's own settings; not every server knows these.
        plain = {"extra_body": {"top_k": -1, "min_p": 0, "repetition_penalty": 1}}
        for place, said in ask_server(url, asked, request, plain, timeout=timeout):
            failed = isinstance(said, Exception)
            what = ("", "error", describe_error(said)) if failed else (said.message.content, said.finish_reason, None)
            yield [Answer(asked[place][0].id, asked[place][1], *what)]

    return answer


def vllm_engine(
    path: str, revision: str | None, dtype: str, device: str, *, max_new_tokens: int, temperature: float = 0, **how: Any
) -> Engine:
    """vLLM in this process, which needs no server.

    Args:
        path: folder or Hub id, with `revision` and `dtype` of the weights.
        device: on `cpu` nothing is compiled, which would take longer than it saves.
        how: as for `chat_messages`.

    >>> engine = vllm_engine("data/models/policy", None, "float32", "cpu", max_new_tokens=8)
    >>> callable(engine)  # vLLM and the weights are loaded when it is first asked
    True
    """

    def answer(samples: list[Sample], copies: int, asked: list[Asked], seed: int) -> Iterator[list[Answer]]:
        if device == "cpu":
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; it would ask for nearly all of the memory
        from vllm import LLM, SamplingParams  # slow to import, and not everywhere
        from vllm.exceptions import VLLMValidationError

        llm = LLM(model=path, revision=revision, dtype=dtype, seed=seed, enforce_eager=device == "cpu")

        def chat(chunk: list[Asked]) -> list[Answer]:
            seeds = [seed_of(seed, *place) for place in chunk]
            how_each = [SamplingParams(max_tokens=max_new_tokens, temperature=temperature, seed=own) for own in seeds]
            try:
                said = llm.chat([served_messages(sample, **how) for sample, _ in chunk], how_each, use_tqdm=False)
            except (ValueError, VLLMValidationError) as error:  # of one of these prompts, and then none of them was asked
                if len(chunk) > 1:
                    return [answer for place in chunk for answer in chat([place])]
                return [Answer(chunk[0][0].id, chunk[0][1], "", "error", describe_error(error))]
            return [Answer(s.id, i, o.outputs[0].text, o.outputs[0].finish_reason) for (s, i), o in zip(chunk, said, strict=True)]

        for start in range(0, len(asked), CHUNK):
            yield chat(asked[start : start + CHUNK])

    return answer


def seed_of(seed: int, sample: Sample, index: int) -> int:
    """The seed of one response, the same whatever else is asked with it.

    >>> asked = Sample(id="a", question="What is seen?", reference="flu")
    >>> seed_of(0, asked, 0) == seed_of(0, asked, 0), seed_of(0, asked, 0) == seed_of(0, asked, 1)
    (True, False)
    """
    return int(content_id(str(seed), sample.id, str(index)), 16) % 2**31


def served_messages(sample: Sample, **how: Any) -> list[dict[str, Any]]:
    """`chat_messages` in the form that OpenAI's interface has: pictures as PNG, without loss, inside the message.

    >>> import tempfile
    >>> from PIL import Image
    >>> Image.new("RGB", (64, 64)).save(path := f"{tempfile.mkdtemp()}/a.png")
    >>> asked = Sample(id="a", question="What is seen?", reference="flu", modality="X_RAY", images=[path])
    >>> [part["type"] for part in served_messages(asked)[0]["content"]]
    ['image_url', 'text']
    """
    messages = chat_messages(sample, **how)
    for place, part in enumerate(messages[0]["content"]):
        if part["type"] == "image":
            messages[0]["content"][place] = {"type": "image_url", "image_url": {"url": picture_url(part["image"])}}
    return messages
