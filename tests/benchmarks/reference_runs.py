"""Does RL make the tiny policy better in truth? Several seeds at full length, all reported, and the ranges of a further run.

A seed draws the training and test questions as well as the rollouts; the base is the same. SETTINGS are those of `medix-lite run`.
Three times as long, with a probe that is large enough to see a collapse:
`training.steps=390,training.probe_every=65,data.probe=1000`, 3 SEEDS.

Run: .venv/bin/python tests/benchmarks/reference_runs.py OUT [SETTINGS] [SEEDS]
Writes OUT/reference.json (kept as data/reference/PROFILE.json, which `medix-lite doctor RUN` reads); a killed call goes on. The
last line is the smallest gain in true accuracy over the seeds.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from medix_lite import runs
from medix_lite.evaluation.score import headroom, results
from medix_lite.files import read_json, sha256_of, write_json
from medix_lite.models.load import TINY
from medix_lite.statistics import PROBED

LEAST = 0.01  # half of a range at least: where all runs agree, as on the format, a hundredth is still no difference


def range_of(values: list[float], confidence: float = 0.99) -> list[float]:
    """Where one further value of the same normal distribution lies with this confidence: mean +- t s sqrt(1 + 1/n)."""
    n, mean = len(values), float(np.mean(values))
    half = max(LEAST, float(student.ppf((1 + confidence) / 2, n - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / n)))
    return [round(mean - half, 4), round(mean + half, 4)]


def main(out: Path, settings: str = "", seeds: str = "5") -> None:
    rows = []
    for seed in range(int(seeds)):
        run = runs.open_run(out / f"seed{seed}", seed=seed, settings=settings)
        runs.curated(run)
        seconds = {"train": runs.train(run)["seconds"]}
        started = time.perf_counter()
        base, trained = runs.evaluate(run, "base"), runs.evaluate(run, "trained")
        scores = results(base, trained, seconds | {"evaluate": round(time.perf_counter() - started, 1)})
        room = headroom(base, trained)
        probe = [row[PROBED] for row in runs.last_rows(run) if PROBED in row]
        rows.append({"seed": seed, "manifest": sha256_of(TINY / "manifest.json")} | scores | {"headroom": room, "probe": probe})
        gain = scores["gain"]["true_accuracy"]
        print(
            f"seed {seed}: true accuracy {scores['base']['true_accuracy']['value']} -> "
            f"{scores['trained']['true_accuracy']['value']}, "
            f"gain {gain['value']:+.3f} {gain['ci95']}, gap closed {room['closed']}, vague in base {room['vague']['value']}, "
            f"kept {room['kept']['value']:+.3f} {room['kept']['ci95']} n {room['kept']['n']}, "
            f"format {scores['trained']['format']['value']}, modality {scores['trained']['modality']['value']}, "
            f"probe ends {max(probe) - probe[-1]:.3f} below its best, "
            f"judged {scores['trained']['judged_accuracy']['value']}, seconds {scores['seconds']}",
            flush=True,
        )
    measures = {which: [name for name, value in rows[0][which].items() if name != "n"] for which in ("base", "trained", "gain")}
    ranges = {
        f"{which} {name}": range_of([row[which][name]["value"] for row in rows])
        for which, names in measures.items()
        for name in names
    }
    machine, choices = read_json(run.folder / "environment.json"), read_json(run.folder / "run.json")
    known = {name: machine[name] for name in ("python", "device", "cores")}
    known["versions"] = {name: version for name, version in machine["versions"].items() if not name.startswith("vllm")}
    minutes = round(float(np.mean([row["seconds"]["train"] for row in rows])) / 60, 2)
    head = {"choices": choices | {"seed": None}, "machine": known, "minutes": minutes, "ranges": ranges}
    write_json(out / "reference.json", head | {"runs": rows})
    print({name: tuple(limits) for name, limits in ranges.items()})
    print(f"{min(row['gain']['true_accuracy']['value'] for row in rows):+.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
