"""Does RL make the tiny policy better in truth? Three seeds at full length, all reported.

A seed draws the training and test questions as well as the rollouts; the base is the same.

Run: .venv/bin/python tests/benchmarks/three_seeds.py OUT
Writes OUT/three_seeds.json. The last line is the smallest gain in true accuracy over the seeds.
"""

import sys
import time
from pathlib import Path

from medix_lite import runs
from medix_lite.evaluation.score import headroom, results
from medix_lite.files import sha256_of, write_json
from medix_lite.models.load import TINY

SEEDS = (0, 1, 2)


def main(out: Path) -> None:
    rows = []
    for seed in SEEDS:
        run = runs.open_run(out / f"seed{seed}", seed=seed)
        runs.curated(run)
        seconds = {"train": runs.train(run)["seconds"]}
        started = time.perf_counter()
        base, trained = runs.evaluate(run, "base"), runs.evaluate(run, "trained")
        scores = results(base, trained, seconds | {"evaluate": round(time.perf_counter() - started, 1)})
        room = headroom(base, trained)
        rows.append({"seed": seed, "manifest": sha256_of(TINY / "manifest.json")} | scores | {"headroom": room})
        gain = scores["gain"]["true_accuracy"]
        print(
            f"seed {seed}: true accuracy {scores['base']['true_accuracy']['value']} -> "
            f"{scores['trained']['true_accuracy']['value']}, "
            f"gain {gain['value']:+.3f} {gain['ci95']}, gap closed {room['closed']}, vague in base {room['vague']['value']}, "
            f"kept {room['kept']['value']:+.3f} {room['kept']['ci95']} n {room['kept']['n']}, "
            f"format {scores['trained']['format']['value']}, modality {scores['trained']['modality']['value']}, "
            f"judged {scores['trained']['judged_accuracy']['value']}, seconds {scores['seconds']}",
            flush=True,
        )
    write_json(out / "three_seeds.json", rows)
    print(f"{min(row['gain']['true_accuracy']['value'] for row in rows):+.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
