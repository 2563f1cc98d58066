"""How fast is an evaluation? 1,000 questions generated and judged by one real vLLM server on this machine, in two ways.

    python tests/benchmarks/evaluation_speed.py [QUESTIONS] [ROUNDS]

First `score` by rules of 10,000 ready responses. Then vLLM in a process: its own batch of all prompts, and `generate` with the
engine that wraps it. Then a server has the tiny policy, which also plays the judge (held to YES and NO: only the speed counts
here). In each round `serial` asks one question after the other and judges each answer before the next, for a fourth of the
questions, its seconds taken times four; `ours` generates, then judges without rules, so the work is equal. Prints medians; the
last line is the speed of ours against serial.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from vllm_server import SERVED_NAME, serve

from medix_lite.evaluation.engines import served_engine, served_messages, vllm_engine
from medix_lite.evaluation.files import join_responses, judge_responses
from medix_lite.evaluation.generate import generate
from medix_lite.files import write_jsonl
from medix_lite.judging.judges import make_judge
from medix_lite.judging.templates import BASE, render
from medix_lite.models.load import TINY
from medix_lite.profiles import load_profile
from medix_lite.responses import parse_response
from medix_lite.runs import sampling_of
from medix_lite.samples import read_samples, write_samples
from medix_lite.tiny_world.questions import make_samples

HOW = sampling_of(load_profile("tiny-cpu"))
ASKED = {name: HOW[name] for name in ("prompt_style", "image_size", "max_prompt_chars")}
MADE = {"model_name": "tiny", "revision": "1"}


def in_process(folder: Path, rounds: int) -> None:
    """Seconds of vLLM's own batch, and of `generate` with the engine that wraps it; in a process of its own, to free its memory."""
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    import vllm

    samples = read_samples(folder / "samples.jsonl")
    # Without its caches of prompts and pictures, which would make whoever comes second faster.
    fair = {"enable_prefix_caching": False, "mm_processor_cache_gb": 0}
    llm = vllm.LLM(model=str(TINY / "policy"), dtype="float32", seed=0, enforce_eager=True, **fair)
    vllm.LLM = lambda **_: llm  # the start of the engine is nobody's speed
    sampling = vllm.SamplingParams(max_tokens=HOW["max_new_tokens"], temperature=0)
    llm.chat([served_messages(sample, **ASKED) for sample in samples[:32]], sampling, use_tqdm=False)
    seconds: dict[str, list[float]] = {"raw batch": [], "generate, vllm": []}
    for turn in range(rounds):
        started = time.perf_counter()
        llm.chat([served_messages(sample, **ASKED) for sample in samples], sampling, use_tqdm=False)
        seconds["raw batch"].append(time.perf_counter() - started)
        started = time.perf_counter()
        generate(vllm_engine(str(TINY / "policy"), None, "float32", "cpu", **HOW), samples, folder / f"raw{turn}.jsonl", **MADE)
        seconds["generate, vllm"].append(time.perf_counter() - started)
    (folder / "in_process.json").write_text(json.dumps(seconds))


def serial(url: str, samples: list) -> None:
    from openai import OpenAI

    for sample in samples:
        with OpenAI(base_url=url, api_key="none") as client:
            ask = client.chat.completions.create
            messages = served_messages(sample, **ASKED)
            said = ask(model=SERVED_NAME, messages=messages, temperature=0, max_tokens=HOW["max_new_tokens"])
            answer = parse_response(said.choices[0].message.content, has_image=sample.has_image).answer
            prompt = render(BASE, sample, answer or "")
            choice = {"structured_outputs": {"choice": list(BASE.choices)}}
            message = {"role": "user", "content": prompt}
            ask(model=SERVED_NAME, messages=[message], temperature=0, max_tokens=8, extra_body=choice)


def score_many(folder: Path, n: int = 10_000) -> tuple[float, float]:
    """Seconds and GiB of `medix-lite score --judge rules` on n responses."""
    row = {"question": "Which side?", "reference": "left", "response": "<think>Look.</think><answer>on the {} side</answer>"}
    sides = (row["response"].format(("left", "right")[i % 2]) for i in range(n))
    write_jsonl(folder / "many.jsonl", (row | {"id": str(i), "response": said} for i, said in enumerate(sides)))
    started = time.perf_counter()
    command = [sys.executable, "-m", "medix_lite", "score", "--responses", str(folder / "many.jsonl"), "--judge", "rules"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def ours(url: str, folder: Path, turn: int) -> tuple[float, float]:
    """Seconds to generate, and to judge."""
    samples, out = read_samples(folder / "samples.jsonl"), folder / f"ours{turn}.jsonl"
    started = time.perf_counter()
    rows = generate(served_engine(SERVED_NAME, url, **HOW), samples, out, **MADE)
    assert {row["finish_reason"] for row in rows} <= {"stop", "length"}
    middle = time.perf_counter()
    judge = make_judge(f"model-only:openai:{SERVED_NAME}@{url}")
    verdicts = judge_responses(join_responses(out, folder / "samples.jsonl"), judge, folder / f"verdicts{turn}.jsonl")
    assert all(verdict.score is not None for verdict in verdicts)
    return middle - started, time.perf_counter() - middle


def main(questions: int = 1000, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        took, memory = score_many(folder)
        print(f"score of 10,000 responses by rules: {took:.1f} s, {memory:.2f} GiB", flush=True)
        samples = [sample.model_copy(update={"graded": False}) for sample in make_samples(questions, "test", 5, folder / "images")]
        write_samples(folder / "samples.jsonl", samples)
        subprocess.run([sys.executable, __file__, "in-process", work, str(rounds)], check=True, stdout=subprocess.DEVNULL)
        seconds = json.loads((folder / "in_process.json").read_text())
        with serve(TINY / "policy", folder / "log", 2048) as url:
            serial(url, samples[:16])  # warms the server up
            for turn in range(rounds):
                started = time.perf_counter()
                serial(url, samples[: questions // 4])
                seconds.setdefault("serial, generate and judge", []).append(4 * (time.perf_counter() - started))
                parts = ours(url, folder, turn)
                seconds.setdefault("ours, generate by the server", []).append(parts[0])
                seconds.setdefault("ours, generate and judge", []).append(sum(parts))
    median = {name: statistics.median(found) for name, found in seconds.items()}
    for name, value in median.items():
        print(
            f"{name:30} {value:7.1f} s   {questions / value:6.1f} questions/s   {median['raw batch'] / value:.0%} of the raw batch"
        )
    print(f"{median['serial, generate and judge'] / median['ours, generate and judge']:.1f}x")


if __name__ == "__main__":
    if sys.argv[1:2] == ["in-process"]:
        in_process(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:]))
