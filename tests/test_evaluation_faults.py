"""Evaluation under faults: kill -9, files torn at any byte, an answer that no judge server survives, texts that may not leave."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer

import psutil
import pytest
import torch
from test_cli import assert_one_clear_line, medix

from medix_lite.evaluation.engines import local_engine
from medix_lite.evaluation.generate import generate, generate_batch
from medix_lite.files import read_json, read_jsonl, write_jsonl
from medix_lite.judging.judges import judge_to_file, make_judge
from medix_lite.models.load import load_policy
from medix_lite.samples import Sample, write_samples
from medix_lite.tiny_world.questions import make_samples

KILLS = int(os.environ.get("MEDIX_LITE_KILLS", "4"))
GENERATE = [sys.executable, "-m", "medix_lite", "generate"]
# Four rows at a time, not a thousand, so that a small file has many places to be killed at.
JUDGE = [sys.executable, "-c", "import medix_lite.files as f; f.CHUNK = 4; from medix_lite.cli import main; main()", "judge"]


def wait_for_size(path, size, process):
    """Until the file is larger than `size`, or the process ends."""
    while (path.stat().st_size if path.exists() else 0) <= size and process.poll() is None:
        time.sleep(0.002)


def start(command):
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(command, out):
    """Seconds until it first wrote."""
    begun = time.perf_counter()
    process = start([*command, "--out", out])
    wait_for_size(out, 1, process)
    wrote = time.perf_counter()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return wrote - begun


def kill_often(command, out, kills, before_writing, whole, moments):
    """kill -9, every fourth time at any moment of the start, else when the file has grown to a random size; then let it finish.

    The sizes are drawn from ever later parts of the `whole` file's bytes: by the clock, a fast machine would always be done before.
    """
    sizes = []
    for number in range(kills):
        process = start([*command, "--out", out])
        if number % 4 == 3:
            time.sleep(moments.uniform(0, before_writing))
        else:
            wait_for_size(out, moments.uniform(number, number + 1) / (kills + 1) * whole, process)
        assert process.poll() is None, process.stderr.read()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        sizes.append(out.stat().st_size if out.exists() else 0)
    finish(command, out)
    return sizes


@pytest.mark.slow
def test_killed_at_random_moments_an_evaluation_ends_with_the_same_rows_and_scores(tmp_path):
    """MEDIX_LITE_KILLS times in all, half of them in `generate` and half in `judge`."""
    write_samples(tmp_path / "samples.jsonl", make_samples(160, "test", 3, tmp_path / "images"))
    samples, moments = ["--samples", tmp_path / "samples.jsonl"], random.Random(7)
    copies = ["--copies", "2", "--settings", "evaluation.batch_size=4"]
    for command, name, kills in (
        ([*GENERATE, *samples, *copies], "responses", KILLS - KILLS // 2),
        ([*JUDGE, *samples, "--judge", "tiny", "--responses", tmp_path / "whole.responses.jsonl"], "verdicts", KILLS // 2),
    ):
        whole, killed = tmp_path / f"whole.{name}.jsonl", tmp_path / f"killed.{name}.jsonl"
        before_writing, size = finish(command, whole), whole.stat().st_size
        sizes = kill_often(command, killed, kills, before_writing, size, moments)
        print(f"{name}: killed at {sizes} of {size} bytes")
        assert any(0 < at < size for at in sizes), "no kill hit a file that was being written"
        rows = read_jsonl(killed)
        assert len({(row["id"], row["sample_index"]) for row in rows}) == len(rows) == 320
        assert rows == read_jsonl(whole)
        assert killed.read_bytes() == whole.read_bytes()
    for name in ("whole", "killed"):
        done = medix("score", *samples, "--responses", tmp_path / f"{name}.responses.jsonl", "--out", tmp_path / f"{name}.json")
        assert done.returncode == 0, done.stderr
    scores = read_json(tmp_path / "killed.json")
    assert scores == read_json(tmp_path / "whole.json")
    assert scores["accuracy"]["n"] == 320


@pytest.mark.slow
def test_responses_torn_at_any_byte_are_completed_to_the_same_file(tmp_path, monkeypatch):
    """The policy answers each batch once for each seed; the same batch with the same seed need not be computed again."""
    policy, answers = load_policy(), {}

    def remember(model, processor, batch, **how):
        key = (*(s.id for s in batch), torch.initial_seed())
        answers[key] = answers.get(key) or generate_batch(model, processor, batch, **how)
        return answers[key]

    monkeypatch.setattr("medix_lite.evaluation.engines.generate_batch", remember)
    samples = [Sample(id=f"é{i}", question=question, reference="r") for i, question in enumerate(("Which?", "Who?", "Where?"))]
    path = tmp_path / "responses.jsonl"
    ask = {"model_name": "m", "revision": "r", "copies": 2}
    engine = local_engine(lambda: policy, batch_size=4, temperature=1.0, max_new_tokens=8, prompt_style="compact")
    rows = generate(engine, samples, path, **ask)
    whole = path.read_bytes()
    assert len(rows) == len(whole.splitlines()) == 6
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        assert generate(engine, samples, path, **ask) == rows, cut
        assert path.read_bytes() == whole, cut


def test_verdicts_torn_at_any_byte_are_completed_to_the_same_file(tmp_path):
    path, rules = tmp_path / "verdicts.jsonl", make_judge("rules")
    sample = Sample(id="é", question="Which side?", reference="left")
    for answers in (["left", "purple", "right"], ["left"]):  # purple stays unscored, and is judged again each time
        path.unlink(missing_ok=True)
        judged = [sample] * len(answers), answers, range(len(answers))
        verdicts = judge_to_file(path, rules, *judged)
        whole = path.read_bytes()
        for cut in range(len(whole) + 1):
            path.write_bytes(whole[:cut])
            assert judge_to_file(path, rules, *judged) == verdicts, cut
            assert path.read_bytes() == whole, cut


def test_a_kill_between_the_last_verdict_and_the_last_writing_leaves_none_twice(tmp_path):
    """What was unscored is judged again and appended; only the last writing takes the old row out."""
    path, rules = tmp_path / "verdicts.jsonl", make_judge("rules")
    samples = [Sample(id=str(i), question="Which side?", reference="left") for i in range(3)]
    verdicts = judge_to_file(path, rules, samples, ["left", "right", "left"], [0] * 3)
    whole = read_jsonl(path)
    unscored = whole[1] | {"verdict": "UNSCORED", "decided_by": "none", "score": None, "error": "down"}
    write_jsonl(path, [whole[0], unscored, whole[2], whole[1]])
    assert judge_to_file(path, rules, samples, ["left", "right", "left"], [0] * 3) == verdicts
    assert read_jsonl(path) == whole


def test_generate_leaves_a_file_of_something_else_alone(tmp_path):
    write_samples(tmp_path / "samples.jsonl", [Sample(id="a", question="Which side?", reference="left")])
    out = tmp_path / "notes.txt"
    out.write_text("mine")
    assert_one_clear_line(medix("generate", "--samples", tmp_path / "samples.jsonl", "--out", out), "notes.txt", "something else")
    assert out.read_text() == "mine"


class Fragile(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that fails on two answers: HTTP 500 on one, and on the other it hangs up.

    Its model `denier` always says NO, and `away` sends whoever asks to another server.
    """

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in ("m", "denier", "away")]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = asked["messages"][0]["content"]
        self.server.prompts.append(prompt)
        if self.server.fragile and "POISON" in prompt:
            return None if "HANGS UP" in prompt else self.reply(500, {"error": {"message": "YES"}})
        if asked["model"] == "away":
            return self.reply(307, {}, Location=f"{self.server.away}/v1/chat/completions")
        message = {"role": "assistant", "content": "YES" if "influenza" in prompt and asked["model"] == "m" else "NO"}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return self.reply(200, {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})

    def reply(self, status, value, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


def serving(server):
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def judge_server():
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Fragile)) as server:
        server.prompts, server.fragile = [], True
        yield server
        server.shutdown()


def write_answers(folder, answers, **fields):
    """Samples and responses, as options of a command."""
    samples = [Sample(id=f"id-{i}", question="Which SECRET disease?", reference="flu", **fields) for i in range(len(answers))]
    write_samples(folder / "samples.jsonl", samples)
    rows = [{"id": s.id, "response": f"<think>SECRET</think><answer>{a}</answer>"} for s, a in zip(samples, answers, strict=True)]
    write_jsonl(folder / "responses.jsonl", rows)
    return ["--samples", folder / "samples.jsonl", "--responses", folder / "responses.jsonl"]


def test_a_poisonous_answer_blocks_no_other_and_the_exit_says_so(tmp_path, judge_server):
    answers = [f"{'influenza' if i % 2 else 'cold'} {i}" for i in range(30)]
    answers[7], answers[19] = "POISON", "POISON that HANGS UP"
    files, out = write_answers(tmp_path, answers), tmp_path / "verdicts.jsonl"
    command = ["judge", *files, "--judge", f"openai:m@http://127.0.0.1:{judge_server.server_port}", "--out", out]

    done = medix(*command)
    assert done.returncode == 1
    assert_one_clear_line(done, "2 ended with an error", "'id-7': InternalServerError (HTTP 500)", "run the same command again")
    rows = read_jsonl(out)
    assert [row["id"] for row in rows] == [f"id-{i}" for i in range(30)]
    wanted = ["UNSCORED" if "POISON" in answer else "YES" if "influenza" in answer else "NO" for answer in answers]
    assert [row["verdict"] for row in rows] == wanted
    assert [row["error"] for row in rows if row["error"]] == ["InternalServerError (HTTP 500)", "APIConnectionError"]
    assert [row["score"] for row in rows if row["error"]] == [None, None]

    judge_server.prompts.clear()
    judge_server.fragile = False
    done = medix(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(judge_server.prompts) == 2, "only what failed is asked again"
    assert all("POISON" in prompt for prompt in judge_server.prompts)
    for row, old in zip(read_jsonl(out), rows, strict=True):
        assert row["verdict"] == "NO" if old["error"] else row == old


@pytest.mark.parametrize("judge", ["rules", "openai:m@{url}+openai:denier@{url}"])
def test_an_answer_that_no_rule_or_a_split_panel_leaves_open_is_no_failure(tmp_path, judge_server, judge):
    judge = judge.format(url=f"http://127.0.0.1:{judge_server.server_port}")
    done = medix("judge", *write_answers(tmp_path, ["influenza"]), "--judge", judge, "--out", tmp_path / "verdicts.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 verdicts, 1 unscored" in done.stdout


class Listener(BaseRequestHandler):
    """Keeps every byte it gets, and answers each request with a list of models."""

    def handle(self):
        self.server.connections += 1
        body = b'{"object": "list", "data": [{"id": "m", "object": "model"}]}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        while received := self.request.recv(1 << 16):
            self.server.received += received
            if b"\r\n\r\n" in received:
                self.request.sendall(head + body)


@pytest.fixture
def elsewhere():
    """A server on an address of this machine that is not its loopback: for a client, another machine."""
    addresses = (a.address for each in psutil.net_if_addrs().values() for a in each if a.family == socket.AF_INET)
    address = next((address for address in addresses if not address.startswith("127.")), None)
    if address is None:
        pytest.skip("this machine has no address but its loopback")
    ThreadingTCPServer.daemon_threads = True
    with serving(ThreadingTCPServer((address, 0), Listener)) as server:
        server.connections, server.received = 0, b""
        server.url = f"http://{address}:{server.server_address[1]}"
        yield server
        server.shutdown()


TEXTS = (b"SECRET", b"influenza", b"flu", b"id-0")


@pytest.mark.slow
def test_of_texts_that_may_not_leave_no_byte_is_sent(tmp_path, elsewhere):
    """Each command may ask the server which models it has, in a request without a body; nothing else reaches it."""
    judge = ["--judge", f"openai:m@{elsewhere.url}"]
    files = write_answers(tmp_path, ["influenza", "cold"], local_only=True)
    for command in ("judge", "score", "reward"):
        elsewhere.connections, elsewhere.received = 0, b""
        done = medix(command, *files, *judge, "--out", tmp_path / command, env=os.environ)
        assert_one_clear_line(done, "sample 'id-0' may not leave this machine (local_only)")
        assert not (tmp_path / command).exists()
        requests = elsewhere.received.split(b"\r\n\r\n")
        assert elsewhere.connections == 1
        assert requests[0].startswith(b"GET /v1/models HTTP/1.1\r\n")
        assert requests[1:] == [b""], "one request, and nothing after its head"
        assert not any(text in elsewhere.received for text in TEXTS)

    done = medix("judge", *write_answers(tmp_path, ["influenza", "cold"]), *judge, "--out", tmp_path / "free", env=os.environ)
    assert done.returncode == 1, "this server gives no verdicts"
    assert all(text in elsewhere.received for text in TEXTS[:-1]), "what may leave does, so the listener would have seen it"


def test_texts_for_a_judge_on_this_machine_go_through_no_proxy(tmp_path, elsewhere, judge_server):
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    environment |= dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), elsewhere.url)
    files = write_answers(tmp_path, ["influenza", "cold"], local_only=True)
    judge = ["--judge", f"openai:m@http://127.0.0.1:{judge_server.server_port}", "--out", tmp_path / "verdicts.jsonl"]
    done = medix("judge", *files, *judge, env=environment)
    assert (elsewhere.connections, elsewhere.received) == (0, b"")
    assert done.returncode == 0, done.stderr
    assert len(judge_server.prompts) == 2


def test_no_redirect_carries_texts_for_a_judge_on_this_machine_away(tmp_path, elsewhere, judge_server):
    judge_server.away = elsewhere.url
    files = write_answers(tmp_path, ["influenza", "cold"], local_only=True)
    judge = ["--judge", f"openai:away@http://127.0.0.1:{judge_server.server_port}", "--out", tmp_path / "verdicts.jsonl"]
    done = medix("judge", *files, *judge, env=os.environ)
    assert (elsewhere.connections, elsewhere.received) == (0, b"")
    assert done.returncode == 1
    assert_one_clear_line(done, "2 ended with an error", "(HTTP 307)")
