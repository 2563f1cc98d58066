"""A real vLLM server for tests: a model folder in, the base URL of an OpenAI-compatible API out."""

import importlib.util
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SERVED_NAME = "judge"
# Measured on 2 cores: 20 to 60 s, of which most is importing vLLM in each of its processes.
STARTUP_SECONDS = 300
STOP_SECONDS = 20


def require_vllm() -> None:
    """Skip where vLLM is absent. In CI on x86-64 Linux, where it should be there, fail instead."""
    if importlib.util.find_spec("vllm") is not None:
        return
    reason = "vLLM is not installed (`make test` installs its CPU build on x86-64 Linux)"
    if os.environ.get("CI") and (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(url: str) -> bool:
    """True if GET url answers 200. Proxies are passed over: the server is on this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the whole process group: vLLM runs an engine and a worker beside the server."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextmanager
def serve(model: Path, log: Path, max_model_len: int | None = None) -> Iterator[str]:
    """Serve a model folder as `judge` on a free loopback port and yield the base URL, ending in /v1.

    Args:
        model: folder in Hugging Face format, with tokenizer and chat template.
        log: file that takes what the server prints.
        max_model_len: context in tokens; None leaves it to the model's configuration.

    Raises:
        RuntimeError: the server ended, or did not answer in time; the message has the end of its log.
    """
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model), "--served-model-name", SERVED_NAME]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    if max_model_len is not None:
        command += ["--max-model-len", str(max_model_len)]
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # leave the placing of threads to the system: tests share the cores
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_LOGGING_LEVEL": "INFO",  # importing TRL where vLLM is installed sets it to ERROR
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(log.parent / "vllm_cache"),
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + STARTUP_SECONDS
        while not is_healthy(f"http://127.0.0.1:{port}/health"):
            ended = server.poll()
            if ended is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
                what = f"ended with {ended}" if ended is not None else f"did not answer in {STARTUP_SECONDS} s"
                raise RuntimeError(f"the vLLM server {what}; the end of its log:\n{tail}")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        stop(server)
