"""An experiment of `data/arms.yaml` in full: every arm, several seeds each, on the frozen base.

    python tests/benchmarks/train_arms.py EXPERIMENT RUN_FOLDER [SEEDS] [STEPS]

EXPERIMENT is `signals` (which reward: notebook 05), `algorithms` or `rates` (how it learns: notebook 03). Prints a line for each
arm and seed, then the table; a killed call goes on. `RUN_FOLDER/EXPERIMENT.json` holds what the notebook shows, with the curves
of every arm and seed. The last line is by how much the best arm ends ahead of the worst in true accuracy; for `signals`, the
composite reward ahead of the best control.
"""

import sys
import time
from pathlib import Path

from medix_lite.ablation import check_claims, compare_arms, find_arms, run_arms
from medix_lite.files import write_json
from medix_lite.runs import environment, open_run

CONTROLS = ("exact match", "format only", "random")


def main(experiment: str, folder: Path, seeds: int = 3, steps: int = 100) -> None:
    started = time.perf_counter()
    run = open_run(folder, settings=f"training.steps={steps},data.test=400")
    found = run_arms(run, find_arms(experiment), range(seeds), lambda line: print(line, flush=True))
    table = compare_arms(found)
    machine = {name: value for name, value in environment(run.profile, 0).items() if name in ("python", "cores", "versions")}
    arms = {arm: [{k: one[k] for k in ("seed", "seconds", "curve")} for one in of_arm] for arm, of_arm in found["arms"].items()}
    training = round(sum(one["seconds"] for of_arm in found["arms"].values() for one in of_arm) / 60, 1)
    settings = {
        "seeds": seeds,
        "steps": steps,
        "minutes_of_training": training,
        "policy": run.profile.policy.path,
    } | machine
    claims = {"claims": check_claims(found)} if experiment == "signals" else {}
    write_json(folder / f"{experiment}.json", {"settings": settings, "table": table, "arms": arms} | claims)
    for claim in claims.get("claims", []):
        print("reproduced    " if claim["reproduced"] else "not reproduced", claim["claim"], "|", claim["measured"])
    for arm, row in table.items():
        print(
            f"{arm:21}", "  ".join(f"{name} {value['value'] if isinstance(value, dict) else value}" for name, value in row.items())
        )
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    true = {arm: row["true"]["value"] for arm, row in table.items() if arm != "base"}
    if experiment == "signals":
        print(f"{true['composite'] - max(true[arm] for arm in CONTROLS):+.3f}")
    else:
        print(f"{max(true.values()) - min(true.values()):+.3f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
