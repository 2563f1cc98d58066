"""Responses from a server: a real one on this machine, which now and then fails as servers do."""

import base64
import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from test_cli import assert_one_clear_line, medix

from medix_lite.evaluation.engines import seed_of, served_engine, served_messages
from medix_lite.evaluation.files import join_responses, score_file
from medix_lite.evaluation.generate import generate
from medix_lite.files import InputError, read_jsonl
from medix_lite.judging.judges import make_judge
from medix_lite.judging.servers import BROKEN
from medix_lite.runs import ask_policy, load_profile
from medix_lite.samples import Sample, open_image, write_samples


class Model(BaseHTTPRequestHandler):
    """Answers `<answer>NUMBER</answer>`, the number in the question; fails on the poisoned one until it is mended."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(200, {"object": "list", "data": [{"id": "m", "object": "model", "root": "/weights/m"}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = asked["messages"][0]["content"][-1]["text"]
        self.server.asked.append(asked)
        if "poison" in text and not self.server.mended:
            return self.reply(500, {"error": {"message": "sk-secret"}})
        if "badly put" in text:
            return self.reply(400, {"error": {"message": "no"}})
        number = text.split("#")[1].split()[0]
        reason = "length" if number == "7" else "stop"
        message = {"role": "assistant", "content": f"<think>I count.</think><answer>{number}</answer>"}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        self.reply(200, {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.asked, server.mended = [], False
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def samples(tmp_path):
    def ask(i):
        return f"Is this poison? Case #{i} ?" if i == 3 else f"Case #{i} : how many?"

    samples = [Sample(id=f"s{i}", question=ask(i), reference=str(i), source="odd" if i % 2 else "even") for i in range(12)]
    write_samples(tmp_path / "samples.jsonl", samples)
    return samples


def test_one_poisonous_question_blocks_nothing(server, samples, tmp_path):
    """It ends UNSCORED with its error, the exit says so, and once the server is mended only that one is asked again."""
    out, judged = tmp_path / "r.jsonl", tmp_path / "v.jsonl"
    files = ["--samples", str(tmp_path / "samples.jsonl"), "--out", str(out), "--engine", f"openai:m@{server.url}"]
    result = medix("generate", *files)
    assert_one_clear_line(result)
    assert "medix-lite: 1 ended with an error, the first is 's3'" in result.stderr
    assert "InternalServerError (HTTP 500)" in result.stderr
    rows = {row["id"]: row for row in read_jsonl(out)}
    assert len(rows) == 12
    assert rows["s3"]["finish_reason"] == "error"
    assert "sk-secret" not in out.read_text()
    assert all(row["response"].endswith(f"<answer>{key[1:]}</answer>") for key, row in rows.items() if key != "s3")
    judge = [
        "judge",
        "--responses",
        str(out),
        "--samples",
        str(tmp_path / "samples.jsonl"),
        "--out",
        str(judged),
        "--judge",
        "rules",
    ]
    medix(*judge)
    verdicts = {row["id"]: row for row in read_jsonl(judged)}
    assert Counter(row["verdict"] for row in verdicts.values()) == {"YES": 11, "UNSCORED": 1}
    assert "HTTP 500" in verdicts["s3"]["error"]
    scores = score_file(out, tmp_path / "samples.jsonl", make_judge("rules"))
    assert (scores["accuracy"]["value"], scores["accuracy"]["n"]) == (1.0, 11)
    assert scores["unscored"]["value"] == pytest.approx(1 / 12, abs=1e-4)
    assert scores["failed"] == ["'s3': no response, generate it again: InternalServerError (HTTP 500)"]
    assert scores["truncated"]["value"] == pytest.approx(1 / 11, abs=1e-4)
    assert (scores["format"]["value"], scores["format"]["n"]) == (1.0, 11), "of what never came nothing is known"

    server.mended, before = True, len(server.asked)
    result = medix("generate", *files)
    assert result.returncode == 0, result.stderr
    assert len(server.asked) == before + 1
    assert len(read_jsonl(out)) == 12
    assert medix(*judge).returncode == 0, "verdicts that stand are kept, and the missing one is made"
    assert Counter(row["verdict"] for row in read_jsonl(judged)) == {"YES": 12}


def test_a_kill_while_failures_are_asked_again_doubles_nothing(server, samples, tmp_path):
    out, made = tmp_path / "r.jsonl", {"model_name": "m", "revision": "r"}
    engine = served_engine("m", server.url, max_new_tokens=9, prompt_style="compact")
    assert [row["id"] for row in generate(engine, samples, out, **made) if row["finish_reason"] == "error"] == ["s3"]
    failed = out.read_bytes()
    server.mended = True
    rows = generate(engine, samples, out, **made)
    out.write_bytes(failed + b"".join(line for line in out.read_bytes().splitlines(keepends=True) if b'"s3"' in line))
    assert generate(engine, samples, out, **made) == rows
    assert len(read_jsonl(out)) == len(join_responses(out, tmp_path / "samples.jsonl").keys) == 12


def test_many_poisonous_questions_do_not_pass_for_a_dead_server(server, samples, tmp_path):
    """A server that refuses what is asked (HTTP 400) answers; the questions behind are asked all the same."""
    many = [samples[0].model_copy(update={"id": f"bad{i}", "question": f"Case #{i} : badly put"}) for i in range(2 * BROKEN)]
    rows = generate(
        served_engine("m", server.url, max_new_tokens=9), [*many, *samples[:2]], tmp_path / "r", model_name="m", revision="r"
    )
    assert Counter(row["finish_reason"] for row in rows) == {"error": 2 * BROKEN, "stop": 2}


def test_many_copies_have_their_own_seeds_and_keep_them(server, samples, tmp_path):
    made = {"model_name": "m", "revision": "r", "copies": 3, "seed": 5}
    engine = served_engine("m", server.url, max_new_tokens=9, temperature=1.0, prompt_style="compact")
    server.mended = True
    rows = generate(engine, samples, tmp_path / "r.jsonl", **made)
    assert [(row["id"], row["sample_index"]) for row in rows] == [(s.id, i) for s in samples for i in range(3)]
    asked = server.asked
    assert {request["seed"] for request in asked} == {seed_of(5, s, i) for s in samples for i in range(3)}
    assert len({request["seed"] for request in asked}) == 36
    assert {(request["max_tokens"], request["temperature"]) for request in asked} == {(9, 1.0)}
    assert generate(engine, samples, tmp_path / "r.jsonl", **made) == rows
    assert len(asked) == 36, "what stands there is not asked for again"


def test_pictures_travel_without_loss(tmp_path):
    Image.effect_noise((31, 17), 90).convert("RGB").save(tmp_path / "p.png")
    sample = Sample(id="a", question="What?", reference="x", modality="X_RAY", images=[str(tmp_path / "p.png")])
    picture, text = served_messages(sample)[0]["content"]
    sent = Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2])))
    assert sent.tobytes() == open_image(tmp_path / "p.png").tobytes()
    assert "What?" in text["text"]


def test_text_that_may_not_leave_is_not_sent_to_another_machine(samples, tmp_path):
    private = [sample.model_copy(update={"local_only": True}) for sample in samples]
    engine = served_engine("m", "http://192.0.2.1/v1", max_new_tokens=9)
    with pytest.raises(InputError, match="may not leave this machine"):
        generate(engine, private, tmp_path / "r.jsonl", model_name="m", revision="r")
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    ("engine", "message"),
    [("torch", "unknown engine 'torch'; use transformers, vllm or"), ("openai:other@URL", "does not serve 'other'; it serves m")],
)
def test_an_engine_that_is_not_there_is_named(server, samples, tmp_path, engine, message):
    with pytest.raises(InputError, match=message):
        ask_policy(load_profile("tiny-cpu"), samples, tmp_path / "r.jsonl", engine=engine.replace("URL", server.url))
    with pytest.raises(InputError, match="takes no adapter"):
        ask_policy(load_profile("tiny-cpu"), samples, tmp_path / "r.jsonl", engine="vllm", adapter=tmp_path)


def test_what_the_server_said_can_be_joined(server, samples, tmp_path):
    rows = ask_policy(load_profile("tiny-cpu"), samples[:2], tmp_path / "r.jsonl", engine=f"openai:m@{server.url}")
    assert {(row["model"], row["revision"]) for row in rows} == {("m", "/weights/m")}
    joined = join_responses(tmp_path / "r.jsonl", tmp_path / "samples.jsonl")
    assert {key: response.answer for (key, _), response in zip(joined.keys, joined.responses, strict=True)} == {
        "s0": "0",
        "s1": "1",
    }
