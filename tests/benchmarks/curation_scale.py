"""What curation costs at 5,133, 51,335 (the authors' training set) and 200,000 rows of 64 x 64 pictures: time and memory.

    python tests/benchmarks/curation_scale.py [ROWS ...]

The rows are Parquet in the authors' schema. Thirteen pictures are made from each phantom, turned, cropped and made noisy anew, so
that they are different but of few kinds, at every size alike: a hard case for the search for copies. Each size runs in a process
of its own; making the rows is not timed. Prints seconds and peak memory for each size, what ten times the rows cost from each
size to the next, and last from the smallest to the largest.
"""

import io
import itertools
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from medix_lite.tiny_world.questions import generate

CHILD = """
import json, sys, threading, time
from pathlib import Path
import psutil
from medix_lite.curation.curate import curate
me, peak = psutil.Process(), 0
def watch():  # this process and those it starts, together
    global peak
    while True:
        used = 0
        for process in (me, *me.children(recursive=True)):
            try:
                used += process.memory_info().rss
            except psutil.NoSuchProcess:
                pass
        peak = max(peak, used)
        time.sleep(0.2)
threading.Thread(target=watch, daemon=True).start()
started = time.perf_counter()
sizes = {"train": 10**6, "test": 10**6, "probe": 64}
report = curate("parquet:" + sys.argv[1], Path(sys.argv[2]), sizes=sizes, seed=0, image_size=64)
print(json.dumps({"seconds": time.perf_counter() - started, "mib": peak / 2**20} | report["counts"]))
"""


def write_rows(folder: Path, n: int, shard: int = 5_000) -> None:
    """`n` rows as Parquet files of `shard` rows."""
    import datasets
    import pyarrow
    from pyarrow.parquet import write_table

    rng = np.random.default_rng(0)
    base = [(s, p) for s, p in generate(n // 10, "train", 0) if p is not None][: n // 13]
    text = datasets.Value("string")
    features = datasets.Features(
        {"id": text, "image": datasets.List(datasets.Image()), "source": text, "problem": text, "solution": text}
    )
    for start in range(0, n, shard):
        rows = []
        for i in range(start, min(n, start + shard)):
            sample, pixels = base[int(rng.integers(len(base)))]
            turned = np.rot90(pixels, int(rng.integers(4)))[:, :: int(rng.choice([1, -1]))]
            side = int(rng.integers(40, 60))
            x, y = rng.integers(0, 64 - side, 2)
            picture = Image.fromarray(np.ascontiguousarray(turned[y : y + side, x : x + side])).resize((64, 64))
            noisy = np.asarray(picture, np.int16) + rng.integers(-12, 13, (64, 64, *pixels.shape[2:]), np.int16)
            buffer = io.BytesIO()
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
            row = {"id": f"row-{i}", "image": [{"bytes": buffer.getvalue(), "path": None}], "source": "scale"}
            rows.append(
                row | {"problem": f"<image>Case {i}. {sample.question}", "solution": f"<{sample.modality}> {sample.reference}"}
            )
        write_table(pyarrow.Table.from_pylist(rows, schema=features.arrow_schema), folder / f"train-{start // shard:05d}.parquet")


def main(sizes: list[int]) -> None:
    found = {}
    for n in sizes:
        with tempfile.TemporaryDirectory() as work:
            source = Path(work, "source")
            source.mkdir()
            write_rows(source, n)
            command = [sys.executable, "-c", CHILD, str(source), str(Path(work, "out"))]
            found[n] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        one = found[n]
        assert one["in"] == n
        print(f"{n:7} rows: {one['seconds']:6.1f} s, peak {one['mib']:5.0f} MiB, {one['kept']} kept", flush=True)

    def growth(small: int, large: int) -> float:
        return 10 ** (math.log(found[large]["seconds"] / found[small]["seconds"]) / math.log(large / small))

    for small, large in itertools.pairwise(sizes):
        print(f"from {small} to {large}: {growth(small, large):.1f}x for ten times the rows")
    if len(sizes) > 1:
        print(f"ten times the rows: {growth(min(sizes), max(sizes)):.1f}x the time")


if __name__ == "__main__":
    main(list(map(int, sys.argv[1:])) or [5_133, 51_335, 200_000])
