"""Seconds and peak memory of the course at full length, as `make tutorial` runs it (environment not counted).

Run: .venv/bin/python tests/benchmarks/tutorial.py OUT
Memory is the resident memory of the whole process tree, summed, sampled twice a second: shared pages count more than once,
so it is an upper bound. The last line is the figure.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil


def resident(process: psutil.Process) -> int:
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total


def main(out: Path) -> None:
    command = [str(Path(sys.executable).with_name("medix-lite")), "run", "--profile", "tiny-cpu", "--out", str(out)]
    started, peak = time.perf_counter(), 0
    process = psutil.Popen(command)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            peak = max(peak, resident(process))
        time.sleep(0.5)
    seconds = time.perf_counter() - started
    train = json.loads((out / "results.json").read_text())["seconds"]["train"]
    print(f"{seconds:.0f} s in all, {train:.0f} s of it GRPO, peak {peak / 1e9:.1f} GB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
