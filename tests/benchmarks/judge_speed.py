"""How fast are verdicts? 512 completions in groups of 8, judged by the tiny judge behind one real vLLM server on this machine.

    python tests/benchmarks/judge_speed.py [RUNS]

The completions are sampled from the base policy: 64 questions of the tiny world, 8 answers each. In turn, RUNS times each:
`serial` asks about one sample after the other, as the authors' reward does; `model only` asks the same 512 prompts through our
judge, without rules or cache; `whole` is the default: rules first, identical answers asked about once, replies kept. Prints
medians, what rules and cache each save, and last the speed of `whole` against `serial`.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from vllm_server import serve

from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import REWARD, render
from medix_lite.models.load import TINY
from medix_lite.profiles import load_profile
from medix_lite.responses import parse_response
from medix_lite.runs import ask_policy
from medix_lite.tiny_world.questions import make_samples

GROUPS, GROUP = 64, 8


def completions(folder: Path) -> tuple[list, list]:
    """Samples and answers of 64 groups of 8."""
    samples = make_samples(GROUPS, "train", 5, folder / "images")
    rows = ask_policy(load_profile("tiny-cpu"), samples, folder / "r.jsonl", copies=GROUP)
    by_id = {sample.id: sample for sample in samples}
    asked = [by_id[row["id"]] for row in rows]
    return asked, [parse_response(r["response"], has_image=s.has_image).answer or "" for s, r in zip(asked, rows, strict=True)]


def serial(url: str, prompts: list[str]) -> None:
    from openai import OpenAI

    for prompt in prompts:
        with OpenAI(base_url=url, api_key="none") as client:
            message = {"role": "user", "content": prompt}
            client.chat.completions.create(model="judge", messages=[message], temperature=0, max_tokens=4)


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as work, serve(TINY / "judge", Path(work, "log"), 1024) as url:
        samples, answers = completions(Path(work))
        prompts = [render(REWARD, sample, answer) for sample, answer in zip(samples, answers, strict=True)]
        judge = make_judge(f"openai:judge@{url}")
        judge.voters[0].ask(prompts[:64], REWARD)  # warms the server up
        seconds: dict[str, list[float]] = {"serial": [], "model only": [], "whole": [], "whole, seen before": []}
        for _ in range(runs):
            fresh = replace(judge, cache={})
            # In training a step's answers were often given in a step before it; here, the same batch once more.
            for name in seconds:
                started = time.perf_counter()
                if name == "serial":
                    serial(url, prompts)
                elif name == "model only":
                    assert all(reply.text for reply in judge.voters[0].ask(prompts, REWARD))
                else:
                    verdicts = judge_answers(fresh, samples, answers, REWARD)
                seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(ways) for name, ways in seconds.items()}
    for name, value in median.items():
        print(f"{name:18} {value:7.3f} s, {len(prompts) / value:6.0f} verdicts/s, {median['serial'] / value:5.1f}x")
    ruled = sum(verdict.decided_by != "model" for verdict in verdicts)
    different = len({(s.id, a) for s, a, v in zip(samples, answers, verdicts, strict=True) if v.decided_by == "model"})
    print(f"rules decide {ruled / len(prompts):.1%}; of the rest {different} of {len(prompts) - ruled} are different and are asked")
    print(f"equal work {median['serial'] / median['model only']:.1f}x")
    print(f"{median['serial'] / median['whole']:.1f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
