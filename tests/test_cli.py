"""The command line: bad input is one clear line, a non-zero exit, and nothing written over."""

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from medix_lite.cli import app, main
from medix_lite.files import DATA, read_json, read_jsonl, write_jsonl
from medix_lite.samples import write_samples
from medix_lite.tiny_world.questions import make_samples

MEDIX = [sys.executable, "-c", "from medix_lite.cli import main; main()"]


def medix(*arguments, **options):
    """The command; in this process, since starting another takes seconds, but for one that gets `options` of `subprocess.run`."""
    if options:
        return subprocess.run([*MEDIX, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)
    out, errors, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["medix-lite", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int | None) else print(end.code, file=errors) or 1
    return subprocess.CompletedProcess(arguments, status or 0, out.getvalue(), errors.getvalue())


def assert_one_clear_line(done, *words):
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("medix-lite: ")
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "huge"], ["unknown profile 'huge'", "tiny-cpu"]),
        (["-p", "stepz=3"], ["unknown parameter 'stepz'", "run_dir"]),
        (["-p", "stepz"], ["not of the form name=value"]),
        (["--settings", "training.stepz=3"], ["no setting 'training.stepz'"]),
        (["--settings", "training.steps=many"], ["training.steps", "valid integer"]),
        (["--settings", "training.steps=[1"], ["training.steps=[1", "cannot be read"]),
        (["--settings", "training.micro_batch=7"], ["micro_batch must divide"]),
        (["-p", "seed=abc"], ["'seed' must be a whole number"]),
        (["-p", "run_dir=x"], ["given by --out"]),
        (["--profile", "qwen3-vl-30b"], ["needs several GPUs"]),
        (["--source", "kaggle:x"], ["unknown source", "bccd"]),
        (["--source", "bccd:/no/such/place"], ["/no/such/place"]),
        (["--judge", "oracle"], ["unknown judge 'oracle'", "rules"]),
        (["--judge", "openai:m@http://127.0.0.1:9/v1"], ["127.0.0.1:9", "start it or mend the URL"]),
        (["--notebooks", "77"], ["no notebook '77'"]),
        (["--profile", "single-gpu"], ["needs a CUDA GPU", "tiny-cpu"]),
    ],
)
def test_run_refuses_bad_choices(tmp_path, arguments, words):
    import torch

    if "single-gpu" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = medix("run", "--out", tmp_path / "x", *arguments)
    assert_one_clear_line(done, *words)
    assert not list(tmp_path.rglob("*.ipynb"))


def test_run_refuses_a_folder_that_exists(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("mine")
    assert_one_clear_line(medix("run", "--out", tmp_path / "x"), "exists already", "--resume")
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["mine.txt"]


def test_run_refuses_to_mix_choices(tmp_path):
    assert medix("run", "--out", tmp_path / "x", "--notebooks", "77").returncode != 0
    from medix_lite.runs import open_run

    open_run(tmp_path / "y", seed=1)
    before = read_json(tmp_path / "y" / "run.json")
    assert_one_clear_line(medix("run", "--out", tmp_path / "y", "--resume", "--seed", "2"), "made with other choices")
    assert read_json(tmp_path / "y" / "run.json") == before


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A samples file and a responses file: right, wrong, and not well formed."""
    folder = tmp_path_factory.mktemp("answers")
    samples = make_samples(6, "test", 1, folder / "images")
    write_samples(folder / "samples.jsonl", samples)
    tags = [f"<{s.modality}>" if s.modality else "" for s in samples]
    texts = [f"{tag}<think>t</think><answer>{s.reference}</answer>" for s, tag in zip(samples[:3], tags, strict=False)] + [
        "nothing"
    ] * 3
    write_jsonl(folder / "responses.jsonl", [{"id": s.id, "response": t} for s, t in zip(samples, texts, strict=True)])
    return folder


def test_judge_score_and_reward_files(answers, tmp_path):
    files = ["--responses", answers / "responses.jsonl", "--samples", answers / "samples.jsonl"]
    assert medix("judge", *files, "--judge", "rules", "--out", tmp_path / "v.jsonl").returncode == 0
    assert [row["score"] for row in read_jsonl(tmp_path / "v.jsonl")] == [1.0] * 3 + [0.0] * 3
    assert medix("score", *files, "--judge", "rules", "--out", tmp_path / "s.json").returncode == 0
    assert read_json(tmp_path / "s.json")["accuracy"]["value"] == 0.5
    assert medix("reward", *files, "--out", tmp_path / "r.jsonl").returncode == 0
    totals = [row["total"] for row in read_jsonl(tmp_path / "r.jsonl")]
    assert min(totals[:3]) > 0.9 > max(totals[3:])
    whole = (tmp_path / "r.jsonl").read_bytes()
    (tmp_path / "r.jsonl").write_bytes(whole[: len(whole) // 2])  # as a kill leaves it
    assert medix("reward", *files, "--out", tmp_path / "r.jsonl").returncode == 0
    assert (tmp_path / "r.jsonl").read_bytes() == whole
    other = ("--preset", "faithful", "--out", tmp_path / "r.jsonl")
    assert_one_clear_line(medix("reward", *files, *other), "r.jsonl holds rewards of other answers or settings")


def test_nothing_is_written_over(answers, tmp_path):
    files = ["--responses", answers / "responses.jsonl", "--samples", answers / "samples.jsonl", "--judge", "rules"]
    out = tmp_path / "mine.jsonl"
    out.write_text("mine")
    assert_one_clear_line(medix("score", *files, "--out", out), "mine.jsonl exists already")
    for command, what in (("judge", "verdicts"), ("reward", "rewards")):
        assert_one_clear_line(medix(command, *files, "--out", out), f"mine.jsonl holds {what} of other answers or settings")
    assert_one_clear_line(medix("build-tiny"), "exists already", "--overwrite")
    assert_one_clear_line(medix("run", "--out", out), "exists already")
    assert out.read_text() == "mine"


def test_generate_then_resume(answers, tmp_path):
    command = ["generate", "--samples", answers / "samples.jsonl", "--out", tmp_path / "g.jsonl"]
    assert medix(*command).returncode == 0
    first = (tmp_path / "g.jsonl").read_bytes()
    assert len(first.splitlines()) == 6
    assert medix(*command).returncode == 0
    assert (tmp_path / "g.jsonl").read_bytes() == first


def test_bad_files_are_named(answers, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a", "response": "x"}\n{"id": \n')
    assert_one_clear_line(medix("score", "--responses", bad, "--judge", "rules"), "bad.jsonl, line 2", "not valid JSON")
    assert_one_clear_line(medix("score", "--responses", tmp_path / "none.jsonl"), "none.jsonl", "No such file")
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(json.dumps({"id": "a", "question": "q", "reference": "r", "modality": "XRAY"}) + "\n")
    assert_one_clear_line(medix("generate", "--samples", wrong, "--out", tmp_path / "o.jsonl"), "row 1", "unknown modality 'XRAY'")
    for content in (b"", b"not a picture"):
        shutil.copytree(answers, tmp_path / f"copy{len(content)}")
        folder = tmp_path / f"copy{len(content)}"
        next((folder / "images").glob("*.png")).write_bytes(content)
        done = medix("generate", "--samples", folder / "samples.jsonl", "--out", folder / "o.jsonl")
        assert_one_clear_line(done, "image", ".png")


def test_changed_weights_stop_a_command(answers, tmp_path):
    shutil.copytree(DATA, tmp_path / "data")
    shutil.copytree(Path(__file__).parents[1] / "medix_lite", tmp_path / "medix_lite")
    weights = tmp_path / "data" / "models" / "policy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = medix("generate", "--samples", answers / "samples.jsonl", "--out", tmp_path / "o.jsonl", env=environment, cwd=tmp_path)
    assert_one_clear_line(done, "model.safetensors differs from its hash")
    assert not (tmp_path / "o.jsonl").exists()


def test_full_disk_is_one_line_and_the_next_call_goes_on(answers, tmp_path):
    """A file-size limit stands in for a full disk."""
    out = tmp_path / "v.jsonl"
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64));"
        "from medix_lite.cli import main; main()"
    )
    files = ["--responses", str(answers / "responses.jsonl"), "--samples", str(answers / "samples.jsonl")]
    done = subprocess.run(
        [sys.executable, "-c", code, "judge", *files, "--judge", "rules", "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert_one_clear_line(done, "cannot write", "free space")
    done = medix("judge", *files, "--judge", "rules", "--out", out)
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole.jsonl"
    assert medix("judge", *files, "--judge", "rules", "--out", whole).returncode == 0
    assert out.read_bytes() == whole.read_bytes(), "what the full disk cut short is mended by the next call"


def test_doctor_says_ready():
    done = medix("doctor")
    assert done.returncode == 0
    assert "profile tiny-cpu: ready" in done.stdout


def test_help_needs_no_heavy_import():
    code = "import sys; import medix_lite.cli; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_speaks_of_the_command_line():
    """The examples of the commands as Python functions are for who reads the code."""
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert len(commands) > 12
    for command in commands:
        shown = medix(command, "--help").stdout
        assert "Options" in shown
        assert ">>>" not in shown
