"""Does RL make the tiny policy better in truth? Three seeds at full length, all reported.

A seed draws the training and test questions as well as the rollouts; the base is the same. SETTINGS are those of `medix-lite run`.
Three times as long, with a probe that is large enough to see a collapse:
`training.steps=390,training.probe_every=65,data.probe=1000`.

Run: .venv/bin/python tests/benchmarks/three_seeds.py OUT [SETTINGS]
Writes OUT/three_seeds.json; a killed call goes on. The last line is the smallest gain in true accuracy over the seeds.
"""

import sys
import time
from pathlib import Path

from medix_lite import runs
from medix_lite.evaluation.score import headroom, results
from medix_lite.evaluation.statistics import PROBED
from medix_lite.files import sha256_of, write_json
from medix_lite.models.load import TINY

SEEDS = (0, 1, 2)


def main(out: Path, settings: str = "") -> None:
    rows = []
    for seed in SEEDS:
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
    write_json(out / "three_seeds.json", rows)
    print(f"{min(row['gain']['true_accuracy']['value'] for row in rows):+.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
