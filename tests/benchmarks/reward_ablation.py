"""The reward ablation in full: every arm of `data/arms.yaml`, three seeds each, on the frozen base.

    python tests/benchmarks/reward_ablation.py RUN_FOLDER [SEEDS] [STEPS]

Prints a line for each arm and seed, then the table; a killed call goes on. `RUN_FOLDER/arms.json` holds what notebook 05 shows; its
curves are of every arm and seed. The last line is by how much the composite reward ends ahead of the best control.
"""

import sys
import time
from pathlib import Path

from medix_lite.ablation import compare_arms, run_arms
from medix_lite.files import read_table, write_json
from medix_lite.runs import environment, open_run

CONTROLS = ("exact match", "format only", "random")


def main(folder: Path, seeds: int = 3, steps: int = 100) -> None:
    started = time.perf_counter()
    run = open_run(folder, settings=f"training.steps={steps},data.test=400")
    found = run_arms(run, read_table("arms"), range(seeds), lambda line: print(line, flush=True))
    table = compare_arms(found)
    machine = {name: value for name, value in environment(run.profile, 0).items() if name in ("python", "cores", "versions")}
    arms = {arm: [{k: one[k] for k in ("seed", "seconds", "curve")} for one in of_arm] for arm, of_arm in found["arms"].items()}
    minutes = round((time.perf_counter() - started) / 60, 1)
    settings = {"seeds": seeds, "steps": steps, "minutes": minutes, "policy": run.profile.policy.path} | machine
    write_json(folder / "arms.json", {"settings": settings, "table": table, "arms": arms})
    for arm, row in table.items():
        print(
            f"{arm:15}", "  ".join(f"{name} {value['value'] if isinstance(value, dict) else value}" for name, value in row.items())
        )
    print(f"{minutes} minutes")
    best = max((table[arm]["true"]["value"], arm) for arm in CONTROLS)
    print(f"{table['composite']['true']['value'] - best[0]:+.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
