"""What all tests share: no network, few threads, the real data and the vLLM server where they are there."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports torch or a Hugging Face library, which read these once. Subprocesses inherit them.
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    MPLBACKEND="Agg",
    NO_PROXY="127.0.0.1,localhost",
    no_proxy="127.0.0.1,localhost",
)
os.environ.setdefault("OMP_NUM_THREADS", str(min(4, os.cpu_count() or 1)))

import pytest
from vllm_server import require_vllm, serve

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = ("127.", "::1", "localhost")

for name in [name for name in os.environ if name.startswith(("MAKE", "MFLAGS"))]:
    del os.environ[name]  # what `make test` was asked is not meant for the targets that tests call


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Refuse every TCP connection that leaves this machine, as a machine without a network would."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        away = self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK)
        if away and self.type == socket.SOCK_STREAM:
            raise ConnectionRefusedError(f"tests use no network: {address[0]}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real medical data, named by MEDIX_LITE_REAL_DATA."""
    value = os.environ.get("MEDIX_LITE_REAL_DATA")
    if not value and os.environ.get("CI"):
        pytest.fail("MEDIX_LITE_REAL_DATA is not set, and CI runs on real data too")
    if not value:
        pytest.skip("MEDIX_LITE_REAL_DATA is not set: it names the folder with bccd/ and pubmedqa/")
    folder = Path(value).resolve()
    if not folder.is_dir():
        pytest.fail(f"MEDIX_LITE_REAL_DATA is not a folder: {folder}")
    return folder


@pytest.fixture(scope="session")
def vllm_judge_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a real vLLM server that serves the tiny judge under the name `judge`."""
    require_vllm()
    model = ROOT / "data" / "models" / "judge"
    if not (model / "config.json").is_file():
        pytest.fail("data/models/judge is missing: `medix-lite build-tiny` makes it")
    with serve(model, tmp_path_factory.mktemp("vllm") / "server.log") as url:
        yield url


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of the whole course with seed 4, done once for the tests that read one."""
    from test_notebooks import SHORT, run

    folder = tmp_path_factory.mktemp("course") / "run"
    done = run(folder, "--settings", SHORT, "--seed", "4")
    assert done.returncode == 0, done.stderr
    return folder
