"""Two processes under torchrun do what one does, and say so once."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medix_lite.files import read_json, read_jsonl

SCRIPT = Path(__file__).with_name("fixed_rollouts.py")


def launch(processes, *command):
    """Run a script, or `-m module`, in so many processes of one thread each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = ["--nproc_per_node", processes, "--master_port", port]
    whole = [sys.executable, "-m", "torch.distributed.run", *options, *command]
    return subprocess.run(
        list(map(str, whole)), capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=600
    )


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
def test_two_processes_equal_one(algorithm, tmp_path):
    settings = (f"training.algorithm={algorithm}", "training.dynamic_sampling=null")
    for processes in (1, 2):
        done = launch(processes, SCRIPT, tmp_path / str(processes), *settings)
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in "12")
    moved = max(weight.abs().max() for name, weight in one.items() if "lora_B" in name)
    assert moved > 1e-4  # it has learnt something
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=float(moved) * 1e-3, msg=name)
    rows = [read_jsonl(tmp_path / name / "metrics.jsonl") for name in "12"]
    assert [row["step"] for row in rows[1]] == [1, 2, 3]
    for row, other in zip(*rows, strict=True):
        assert row.keys() == other.keys()
        for measure in ("reward", "reward_std", "completion_tokens", "grad_norm", *({"kl"} & row.keys())):
            assert other[measure] == pytest.approx(row[measure], abs=2e-5), measure
    sizes = [read_json(tmp_path / name / "trainer.json")["used"]["per_device_train_batch_size"] for name in "12"]
    assert sizes == [16, 8]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("training.prompts_per_step=3,training.group_size=3", "do not divide among 2 processes"),
        ("training.algorithm=dapo", "dynamic_sampling works in one process only"),
    ],
)
def test_what_two_processes_cannot_do_is_said_before_training(settings, message, tmp_path):
    choices = ["--settings", f"training.steps=1,data.train=12,data.probe=4,data.test=4,{settings}"]
    done = launch(2, "-m", "medix_lite", "train", "--out", tmp_path / "run", *choices)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "run" / "adapter").exists()


@pytest.mark.slow
def test_the_command_trains_in_two_processes(tmp_path):
    small = "training.steps=2,training.probe_every=1,training.prompts_per_step=2,training.group_size=4"
    small += ",data.train=12,data.probe=4,data.test=4"
    done = launch(2, "-m", "medix_lite", "train", "--out", tmp_path / "run", "--settings", small)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("2 steps in") == 1
    rows = read_jsonl(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all("probe/true_accuracy" in row for row in rows)
    assert read_json(tmp_path / "run" / "trainer.json")["used"]["per_device_train_batch_size"] == 4, "each has half of the step"
