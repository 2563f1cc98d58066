"""Judges behind an OpenAI-compatible server. In: prompts. Out: replies, or the errors that stand for them."""

import asyncio
import ipaddress
import math
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..files import InputError
from .templates import Template

CONCURRENCY = 32  # requests in flight to a server
BROKEN = 16  # requests that failed in a row: the server is down, and the rest is not sent


class Reply(NamedTuple):
    """What a judge model said, with its probability (0-1) where known; `error` says why there is no reply."""

    text: str | None
    confidence: float | None = None
    error: str | None = None


Ask = Callable[[list[str], Template], list[Reply]]


def server_url(url: str) -> str:
    """The URL of the API: `/v1` is added where only host and port are given."""
    url = url.rstrip("/")
    return url if re.search(r"//[^/]+/", url) else f"{url}/v1"


def is_loopback(url: str) -> bool:
    """Whether a URL is this machine's own: `localhost` or a loopback address.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("http://localhost.example.org/v1")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def api_key(url: str) -> str:
    """The judge server's key, from the environment; never printed. `OPENAI_API_KEY` goes to its own host only."""
    own_host = re.match(r"https://api\.openai\.com(?:/|$)", url)
    return os.environ.get("MEDIX_LITE_JUDGE_API_KEY") or (os.environ.get("OPENAI_API_KEY") if own_host else None) or "none"


def _connection(url: str, timeout: float, http_client: Callable[..., Any]) -> dict[str, Any]:
    """Options of a client. A judge on this machine gets its texts through no proxy, and no redirect carries them away."""
    remote = not is_loopback(url)
    http = http_client(timeout=timeout, trust_env=remote, follow_redirects=remote)
    return {"base_url": url, "api_key": api_key(url), "timeout": timeout, "http_client": http}


def describe_error(error: BaseException) -> str:
    """Class and HTTP status; the server's own message may quote the key or the prompt."""
    status = getattr(error, "status_code", None)
    return type(error).__name__ + (f" (HTTP {status})" if status else "")


def check_server(url: str, model: str, timeout: float = 10.0) -> str:
    """What the server says stands behind `model` (its `root`, or the name again).

    Raises:
        InputError: the server does not answer, refuses the key, or does not list the model.
    """
    from openai import DefaultHttpxClient, OpenAI

    try:
        with OpenAI(**_connection(url, timeout, DefaultHttpxClient), max_retries=1) as client:
            served = {entry.id: entry for entry in client.models.list()}
    except Exception as error:  # whatever stands there instead of a model server
        refused = getattr(error, "status_code", None) in (401, 403)
        advice = "set MEDIX_LITE_JUDGE_API_KEY" if refused else "start it or mend the URL"
        raise InputError(f"judge server {url} gives no list of models: {describe_error(error)}; {advice}") from error
    if model not in served:
        raise InputError(f"judge server {url} does not serve {model!r}; it serves {', '.join(served) or 'nothing'}")
    return str(getattr(served[model], "root", None) or model)


def openai_judge(
    model: str, url: str, *, seed: int | None = None, timeout: float = 30.0, attempts: int = 4, longest_wait: float = 8.0
) -> Ask:
    """A function that asks an OpenAI-compatible server, `CONCURRENCY` requests at a time over kept connections.

    After `BROKEN` failures in a row the rest is not sent: each gets an error, and may be asked again later.

    Args:
        seed: of sampling at temperature 1; None asks at temperature 0.
        timeout: seconds for one request.
        attempts: tries in all for time-outs, dropped connections, HTTP 429 and 5xx.
        longest_wait: seconds of back-off between two tries, at most.
    """
    import openai
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    retryable = (openai.APITimeoutError, openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
    wait = wait_random_exponential(0.5, max=longest_wait)
    sampling: dict[str, Any] = {"temperature": 0} if seed is None else {"temperature": 1, "seed": seed}

    @retry(retry=retry_if_exception_type(retryable), stop=stop_after_attempt(attempts), wait=wait, reraise=True)
    async def request(client: openai.AsyncOpenAI, prompt: str, options: dict[str, Any]) -> Reply:
        asked: Any = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 8} | sampling | options
        return _read_completion(await client.chat.completions.create(**asked))

    async def every(prompts: list[str], template: Template) -> list[Reply]:
        extras = {"extra_body": {"structured_outputs": {"choice": list(template.choices)}}, "logprobs": True}
        gate, failed = asyncio.Semaphore(CONCURRENCY), 0  # failed: in a row

        async def one(client: openai.AsyncOpenAI, prompt: str) -> Reply:
            nonlocal failed
            async with gate:
                if failed >= BROKEN:
                    return Reply(None, error=f"not asked: {failed} requests in a row had failed")
                try:
                    try:
                        reply = await request(client, prompt, extras)
                    except (openai.BadRequestError, openai.UnprocessableEntityError):
                        reply = await request(client, prompt, {})  # a server that knows neither field
                except Exception as error:  # one item's failure is that item's: the others keep their verdicts
                    reply = Reply(None, error=describe_error(error))
                failed = failed + 1 if reply.text is None else 0
                return reply

        async with openai.AsyncOpenAI(**_connection(url, timeout, openai.DefaultAsyncHttpxClient), max_retries=0) as client:
            return await asyncio.gather(*(one(client, prompt) for prompt in prompts))

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
    return Reply(text, math.exp(min(0.0, sum(token.logprob for token in tokens))) if tokens else None)
