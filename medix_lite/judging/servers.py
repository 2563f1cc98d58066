"""OpenAI-compatible servers, and judges behind them. In: prompts. Out: replies, or the errors that stand for them."""

import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..files import InputError
from ..samples import Sample
from .templates import Template

CONCURRENCY = 32  # requests in flight to a server
BROKEN = 16  # requests that failed in a row: the server is down, and the rest is not sent


class Reply(NamedTuple):
    """What a judge model said, with its probability (0-1) where known; `error` says why there is no reply.

    >>> Reply("YES", 0.9), Reply(None, error="APITimeoutError")
    (Reply(text='YES', confidence=0.9, error=None), Reply(text=None, confidence=None, error='APITimeoutError'))
    """

    text: str | None
    confidence: float | None = None
    error: str | None = None


Ask = Callable[[list[str], Template], list[Reply]]
Asked = dict[str, Any]  # arguments of `chat.completions.create`


def parse_server(name: str) -> tuple[str, str] | None:
    """Model and URL of `openai:MODEL@URL`, None if the name is not of that form; `/v1` is added where only host and port are given.

    >>> parse_server("openai:m@http://localhost:8000")
    ('m', 'http://localhost:8000/v1')
    """
    named = re.fullmatch(r"openai:(.+?)@(https?://[^\s@]+)", name)
    if named is None:
        return None
    model, url = named[1], named[2].rstrip("/")
    return model, url if re.search(r"//[^/]+/", url) else f"{url}/v1"


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
    """The key of a judge's or engine's server, from the environment; never printed. `OPENAI_API_KEY` goes to its own host only.

    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, {"OPENAI_API_KEY": "secret", "MEDIX_LITE_JUDGE_API_KEY": ""}):
    ...     [api_key(f"https://{host}/v1") == "secret" for host in ("api.openai.com", "api.openai.com.example.org")]
    [True, False]
    """
    own_host = re.match(r"https://api\.openai\.com(?:/|$)", url)
    return os.environ.get("MEDIX_LITE_JUDGE_API_KEY") or (os.environ.get("OPENAI_API_KEY") if own_host else None) or "none"


def refuse_to_send(samples: Iterable[Sample], who: str) -> None:
    """Text under a data use agreement stays here.

    Raises:
        InputError: a sample is `local_only`.

    >>> refuse_to_send([Sample(id="mimic-7", question="Seen?", reference="flu", local_only=True)], "openai:m@https://example.org/v1")
    Traceback (most recent call last):
    medix_lite.files.InputError: sample 'mimic-7' may not leave this machine (local_only); use what runs here, not 'openai:m@https://example.org/v1'
    """
    if (kept := next((sample.id for sample in samples if sample.local_only), None)) is not None:
        raise InputError(f"sample {kept!r} may not leave this machine (local_only); use what runs here, not {who!r}")


def connect(url: str, timeout: float, attempts: int) -> Any:
    """A client. A server on this machine gets its texts through no proxy, and no redirect carries them away.

    >>> with connect("http://127.0.0.1:9/v1", timeout=1, attempts=4) as client:
    ...     print(client.base_url, client.max_retries)
    http://127.0.0.1:9/v1/ 3
    """
    from openai import DefaultHttpxClient, OpenAI

    remote = not is_loopback(url)
    http = DefaultHttpxClient(timeout=timeout, trust_env=remote, follow_redirects=remote)
    return OpenAI(base_url=url, api_key=api_key(url), timeout=timeout, max_retries=attempts - 1, http_client=http)


def describe_error(error: BaseException) -> str:
    """Class and HTTP status; the server's own message may quote the key or the prompt.

    >>> describe_error(ValueError("the prompt was: a man of 60 ..."))
    'ValueError'
    """
    if isinstance(error, InputError):
        return str(error)
    status = getattr(error, "status_code", None)
    return type(error).__name__ + (f" (HTTP {status})" if status else "")


def check_server(url: str, model: str, timeout: float = 10.0) -> str:
    """What the server says stands behind `model` (its `root`, or the name again).

    Raises:
        InputError: the server does not answer, refuses the key, or does not list the model.

    >>> check_server("http://127.0.0.1:9/v1", "m")
    Traceback (most recent call last):
    medix_lite.files.InputError: server http://127.0.0.1:9/v1 gives no list of models: APIConnectionError; start it or mend the URL
    """
    try:
        with connect(url, timeout, attempts=2) as client:
            served = {entry.id: entry for entry in client.models.list()}
    except Exception as error:  # whatever stands there instead of a model server
        advice = "set MEDIX_LITE_JUDGE_API_KEY" if getattr(error, "status_code", 0) in (401, 403) else "start it or mend the URL"
        raise InputError(f"server {url} gives no list of models: {describe_error(error)}; {advice}") from error
    if model not in served:
        raise InputError(f"server {url} does not serve {model!r}; it serves {', '.join(served) or 'nothing'}")
    return str(getattr(served[model], "root", None) or model)


def ask_server(
    url: str, items: Sequence[Any], request: Callable[[Any], Asked], optional: Asked, *, timeout: float = 30, attempts: int = 4
) -> Iterator[tuple[int, Any]]:
    """What a server says to each item, as it arrives: the item's place, and the choice with the text or the exception in its stead.

    `CONCURRENCY` requests are in flight over kept connections. After `BROKEN` failures of the server in a row the rest is not
    sent.

    Args:
        request: what is asked for an item.
        optional: further arguments, left out where the server refuses them.
        timeout: seconds for one request.
        attempts: tries in all, with growing pauses, for time-outs, dropped connections, HTTP 429 and 5xx.

    >>> def request(prompt):
    ...     return {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    >>> list(ask_server("http://127.0.0.1:9/v1", ["Seen?"], request, {}, attempts=1))  # nobody listens there
    [(0, APIConnectionError('Connection error.'))]
    """
    import openai

    failed = 0  # in a row

    def one(place: int) -> tuple[int, Any]:
        nonlocal failed
        if failed >= BROKEN:
            return place, InputError(f"not asked: {failed} requests in a row had failed")
        asked = request(items[place])
        try:
            try:
                completion = client.chat.completions.create(**asked, **optional)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                completion = client.chat.completions.create(**asked)
            if not (choices := getattr(completion, "choices", None)) or not isinstance(choices[0].message.content, str):
                raise InputError("the server's reply is no chat completion with a text")
        except Exception as error:  # one item's failure is that item's: the others keep their replies
            down = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
            failed = failed + 1 if isinstance(error, down) else 0
            return place, error
        failed = 0
        return place, choices[0]

    with connect(url, timeout, attempts) as client, ThreadPoolExecutor(CONCURRENCY) as pool:
        try:
            for done in as_completed([pool.submit(one, place) for place in range(len(items))]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def openai_judge(model: str, url: str, *, seed: int | None = None, **patience: Any) -> Ask:
    """A function that asks a judge behind an OpenAI-compatible server.

    Args:
        seed: of sampling at temperature 1; None asks at temperature 0.
        patience: `timeout` and `attempts` of `ask_server`.

    >>> from medix_lite.judging.templates import REWARD
    >>> openai_judge("m", "http://127.0.0.1:9/v1", attempts=1)(["Same meaning?"], REWARD)  # nobody listens there: no NO
    [Reply(text=None, confidence=None, error='APIConnectionError')]
    """
    sampling: dict[str, Any] = {"temperature": 0} if seed is None else {"temperature": 1, "seed": seed}

    def request(prompt: str) -> dict[str, Any]:
        return {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 8} | sampling

    def ask(prompts: list[str], template: Template) -> list[Reply]:
        optional = {"extra_body": {"structured_outputs": {"choice": list(template.choices)}}, "logprobs": True}
        said = dict(ask_server(url, prompts, request, optional, **patience))
        return [_read_choice(said[place]) for place in range(len(prompts))]

    return ask


def _read_choice(choice: Any) -> Reply:
    if isinstance(choice, Exception):
        return Reply(None, error=describe_error(choice))
    tokens = choice.logprobs.content if getattr(choice, "logprobs", None) else None
    return Reply(choice.message.content, math.exp(min(0.0, sum(token.logprob for token in tokens))) if tokens else None)
