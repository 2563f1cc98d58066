"""Judges: rules, the tiny model, or any OpenAI-compatible server. In: Samples and answers. Out: Verdicts.

What a judge cannot decide is UNSCORED with the error beside it; a failure never becomes a NO.
"""

import asyncio
import math
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..files import InputError
from ..samples import Sample
from .templates import Template, parse_reply, render, strip_reasoning, template_of
from .verdicts import Verdict, decide_by_rules

JUDGE_NAMES = "rules, tiny, openai:MODEL@URL, model-only:tiny, model-only:openai:MODEL@URL"
RULES_ID = "rules-1"
BATCH = 64  # prompts in one forward pass of a local judge
CONCURRENCY = 32  # requests in flight to a server


@dataclass(frozen=True)
class Reply:
    """What a judge model said, with its probability (0-1) where known; `error` says why there is no reply."""

    text: str | None
    confidence: float | None = None
    error: str | None = None


Ask = Callable[[list[str], Template], list[Reply]]


@dataclass(frozen=True)
class Judge:
    """A way to decide.

    Attributes:
        name: as in `make_judge`.
        ask: prompts and their template -> one reply for each, in order; None if there is no model.
        tiers: whether the deterministic tiers decide first.
        compact: whether the model reads the compact templates.
        judge_id: model with revision or hash, and the rules' version; written into every verdict, else the name is.
    """

    name: str
    ask: Ask | None
    tiers: bool = True
    compact: bool = False
    judge_id: str = ""


def make_judge(name: str) -> Judge:
    """The judge of that name, checked to be usable.

    Raises:
        InputError: the name is unknown, the weights are missing or changed, or the server does not serve the model.
    """
    base = name.removeprefix("model-only:")
    tiers = base == name
    if name == "rules":
        return Judge(name, None, judge_id=RULES_ID)
    prefix = f"{RULES_ID}+" if tiers else ""
    if base == "tiny":
        ask, judge_id = load_tiny_judge()
        return Judge(name, ask, tiers, compact=True, judge_id=prefix + judge_id)
    server = re.fullmatch(r"openai:(?P<model>.+?)@(?P<url>https?://[^\s@]+)", base)
    if server is None:
        # What follows an @ may be a password.
        raise InputError(f"unknown judge {name.partition('@')[0]!r}; use one of {JUDGE_NAMES}")
    model, url = server["model"], server_url(server["url"])
    return Judge(name, openai_judge(model, url), tiers, judge_id=f"{prefix}{base}#{check_server(url, model)}")


def judge_answers(
    judge: Judge,
    samples: Sequence[Sample],
    answers: Sequence[str | None],
    template: Template | None = None,
    sample_indices: Sequence[int] | None = None,
) -> list[Verdict]:
    """One verdict for each answer, in order.

    An answer that is missing or blank is a NO (rubric: 0) without asking. Answers with the same question, references
    and candidate are asked once.

    Args:
        judge: from `make_judge`.
        samples: the question of each answer.
        answers: final answers, None where there is none; reasoning in them is stripped.
        template: binary or rubric; None is the one of each sample's kind, as in an evaluation.
        sample_indices: the `sample_index` of each answer, 0 by default.
    """
    indices = sample_indices if sample_indices is not None else [0] * len(samples)
    asked = [template or template_of(sample) for sample in samples]
    verdicts: list[Verdict | None] = []
    prompts: dict[Template, dict[str, list[int]]] = {}
    for position, (sample, answer, own) in enumerate(zip(samples, answers, asked, strict=True)):
        text = strip_reasoning(answer or "")
        by_rules = not text or (own.kind == "binary" and judge.tiers)
        verdicts.append(decide_by_rules(sample, text, own.id) if by_rules else None)
        if verdicts[-1] is None:
            prompts.setdefault(own, {}).setdefault(render(own, sample, text, judge.compact), []).append(position)
    for own, places in prompts.items():
        no_model = [Reply(None, error="no rule decides this and the judge has no model")] * len(places)
        replies = judge.ask(list(places), own) if judge.ask else no_model
        for positions, reply in zip(places.values(), replies, strict=True):
            for position in positions:
                verdicts[position] = _model_verdict(samples[position], reply, own)
    finished = []
    for verdict, index, own in zip(verdicts, indices, asked, strict=True):
        assert verdict is not None
        update: dict[str, Any] = {"sample_index": index, "judge_id": judge.judge_id or judge.name}
        if own.kind == "rubric" and verdict.verdict == "NO":
            update |= {"verdict": None, "raw_score": 0.0}
        finished.append(verdict.model_copy(update=update))
    return finished


def _model_verdict(sample: Sample, reply: Reply, template: Template) -> Verdict:
    choice = parse_reply(template, reply.text)
    decision: dict[str, Any]
    if choice is None:
        error = reply.error or f"the reply is none of {', '.join(template.choices)}"
        decision = {"verdict": "UNSCORED", "decided_by": "none", "score": None, "error": error}
    elif template.kind == "rubric":
        decision = {"verdict": None, "score": float(choice) / 5, "raw_score": float(choice)}
    else:
        decision = {"verdict": choice, "score": float(choice == "YES")}
    votes = [choice] if choice else []
    # A lone surrogate, which JSON can spell, would make the verdict unwritable.
    raw = None if reply.text is None else reply.text.encode("utf-8", "replace").decode()
    known = {"decided_by": "model", "votes": votes, "raw_reply": raw, "confidence": reply.confidence}
    return Verdict(id=sample.id, template_id=template.id, **(known | decision))


def load_tiny_judge() -> tuple[Ask, str]:
    """The shipped judge as (ask, judge_id); one forward pass a batch, deterministic.

    Raises:
        InputError: the weights are missing or their hash differs.
    """
    from ..models.load import load_judge, model_hash

    model, tokenizer = load_judge()
    return partial(local_replies, model, tokenizer), f"tiny@{model_hash('tiny:judge')}"


def local_replies(model: Any, tokenizer: Any, prompts: list[str], template: Template) -> list[Reply]:
    """Replies of a causal language model: the likeliest choice, its probability among the choices as confidence.

    Only the logits of the choices' first tokens are compared, at the one position after the prompt.

    Raises:
        InputError: the tokenizer gives two choices the same first token.
    """
    import torch

    starts = [tokenizer(choice, add_special_tokens=False).input_ids[0] for choice in template.choices]
    if len(set(starts)) < len(starts):
        raise InputError(f"this judge's tokenizer cannot tell {', '.join(template.choices)} apart by one token")
    users = [[{"role": "user", "content": prompt}] for prompt in prompts]
    chats = [tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True) for user in users]
    order = sorted(range(len(chats)), key=lambda index: len(chats[index]))
    replies: dict[int, Reply] = {}
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        texts = [chats[index] for index in batch]
        encoded = tokenizer(texts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
        inputs = {name: encoded[name].to(model.device) for name in ("input_ids", "attention_mask")}
        positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            logits = model(**inputs, position_ids=positions, logits_to_keep=1).logits[:, -1]
        probabilities = logits[:, starts].float().softmax(-1).cpu()
        for index, row in zip(batch, probabilities.tolist(), strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            failure = None if all(map(math.isfinite, row)) else Reply(None, error="the judge's logits are not finite")
            replies[index] = failure or Reply(template.choices[best], row[best])
    return [replies[index] for index in range(len(prompts))]


def server_url(url: str) -> str:
    """The URL of the API: `/v1` is added where only host and port are given."""
    url = url.rstrip("/")
    return url if re.search(r"//[^/]+/", url) else f"{url}/v1"


def api_key(url: str) -> str:
    """The judge server's key, from the environment; never printed. `OPENAI_API_KEY` goes to its own host only."""
    own_host = re.match(r"https://api\.openai\.com(?:/|$)", url)
    return os.environ.get("MEDIX_LITE_JUDGE_API_KEY") or (os.environ.get("OPENAI_API_KEY") if own_host else None) or "none"


def describe_error(error: BaseException) -> str:
    """Class and HTTP status; the server's own message may quote the key or the prompt."""
    status = getattr(error, "status_code", None)
    return type(error).__name__ + (f" (HTTP {status})" if status else "")


def check_server(url: str, model: str, timeout: float = 10.0) -> str:
    """What the server says stands behind `model` (its `root`, or the name again).

    Raises:
        InputError: the server does not answer, refuses the key, or does not list the model.
    """
    from openai import OpenAI

    try:
        with OpenAI(base_url=url, api_key=api_key(url), timeout=timeout, max_retries=1) as client:
            served = {entry.id: entry for entry in client.models.list()}
    except Exception as error:  # whatever stands there instead of a model server
        refused = getattr(error, "status_code", None) in (401, 403)
        advice = "set MEDIX_LITE_JUDGE_API_KEY" if refused else "start it or mend the URL"
        raise InputError(f"judge server {url} gives no list of models: {describe_error(error)}; {advice}") from error
    if model not in served:
        raise InputError(f"judge server {url} does not serve {model!r}; it serves {', '.join(served) or 'nothing'}")
    return str(getattr(served[model], "root", None) or model)


def openai_judge(model: str, url: str, *, timeout: float = 30.0, attempts: int = 4, longest_wait: float = 8.0) -> Ask:
    """A function that asks an OpenAI-compatible server, `CONCURRENCY` requests at a time.

    Args:
        timeout: seconds for one request.
        attempts: tries in all for time-outs, dropped connections, HTTP 429 and 5xx.
        longest_wait: seconds of back-off between two tries, at most.
    """
    import openai
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    retryable = (openai.APITimeoutError, openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
    wait = wait_random_exponential(0.5, max=longest_wait)

    @retry(retry=retry_if_exception_type(retryable), stop=stop_after_attempt(attempts), wait=wait, reraise=True)
    async def request(client: openai.AsyncOpenAI, prompt: str, options: dict[str, Any]) -> Reply:
        messages: Any = [{"role": "user", "content": prompt}]
        completion = await client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=8, **options)
        return _read_completion(completion)

    async def one(client: openai.AsyncOpenAI, gate: asyncio.Semaphore, prompt: str, extras: dict[str, Any]) -> Reply:
        async with gate:
            try:
                try:
                    return await request(client, prompt, extras)
                except (openai.BadRequestError, openai.UnprocessableEntityError):
                    return await request(client, prompt, {})  # a server that knows neither field
            except Exception as error:  # one item's failure is that item's: the others keep their verdicts
                return Reply(None, error=describe_error(error))

    async def every(prompts: list[str], template: Template) -> list[Reply]:
        extras = {"extra_body": {"structured_outputs": {"choice": list(template.choices)}}, "logprobs": True}
        gate = asyncio.Semaphore(CONCURRENCY)
        async with openai.AsyncOpenAI(base_url=url, api_key=api_key(url), timeout=timeout, max_retries=0) as client:
            return await asyncio.gather(*(one(client, gate, prompt, extras) for prompt in prompts))

    def ask(prompts: list[str], template: Template) -> list[Reply]:
        # A thread of its own, because a notebook already runs an event loop in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, every(prompts, template)).result()

    return ask


def _read_completion(completion: Any) -> Reply:
    try:
        choice = completion.choices[0]
        text = choice.message.content
        tokens = choice.logprobs.content if getattr(choice, "logprobs", None) else None
    except (AttributeError, TypeError, IndexError):
        return Reply(None, error="the server's reply is no chat completion")
    if not isinstance(text, str):
        return Reply(None, error="the server's reply has no text")
    confidence = math.exp(min(0.0, sum(token.logprob for token in tokens))) if tokens else None
    return Reply(text, confidence)
