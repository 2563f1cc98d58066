"""An experiment of `data/arms.yaml`: every arm (or some, by name), several seeds each, on the frozen base.

    python tests/benchmarks/train_arms.py EXPERIMENT RUN_FOLDER [SEEDS [STEPS [QUESTIONS [ARM ...]]]]

EXPERIMENT is `signals` (which reward: notebook 05), `algorithms` or `rates` (how it learns: notebook 03); QUESTIONS is how
many the test has. Prints a line for each arm and seed, then the table; a killed call goes on. `RUN_FOLDER/EXPERIMENT.json`
(`EXPERIMENT-some.json` where arms are named) holds what the notebook shows, with the curves of every arm and seed. The last
line is by how much the best arm ends ahead of the worst in true accuracy; for `signals`, the composite reward ahead of the
best control that was run.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from medix_lite.ablation import ahead_by, compare_arms, find_arms, mean_over_seeds, rise, run_arms
from medix_lite.files import write_json
from medix_lite.runs import environment, open_run
from medix_lite.statistics import PROBED

CONTROLS = ("exact match", "format only", "random")


def main(experiment: str, folder: Path, seeds: int = 3, steps: int = 100, questions: int = 400, *names: str) -> None:
    started = time.perf_counter()
    run = open_run(folder, settings=f"training.steps={steps},data.test={questions}")
    found = run_arms(run, find_arms(experiment, names), range(seeds), lambda line: print(line, flush=True))
    table = compare_arms(found)
    machine = {name: value for name, value in environment(run.profile, 0).items() if name in ("python", "cores", "versions")}
    arms = {arm: [{k: one[k] for k in ("seed", "seconds", "curve")} for one in of_arm] for arm, of_arm in found["arms"].items()}
    training = round(sum(one["seconds"] for of_arm in found["arms"].values() for one in of_arm) / 60, 1)
    settings = {
        "seeds": seeds,
        "steps": steps,
        "questions": questions,
        "minutes_of_training": training,
        "policy": run.profile.policy.path,
    } | machine
    claims = {"claims": check_claims(found)} if experiment == "signals" and not names else {}
    write_json(folder / f"{experiment}{'-some' * bool(names)}.json", {"settings": settings, "table": table, "arms": arms} | claims)
    for claim in claims.get("claims", []):
        print("reproduced    " if claim["reproduced"] else "not reproduced", claim["claim"], "|", claim["measured"])
    for arm, row in table.items():
        print(
            f"{arm:21}", "  ".join(f"{name} {value['value'] if isinstance(value, dict) else value}" for name, value in row.items())
        )
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    true = {arm: row["true"]["value"] for arm, row in table.items() if arm != "base"}
    controls = [true[arm] for arm in CONTROLS if arm in true]
    if experiment == "signals" and "composite" in true and controls:
        print(f"{true['composite'] - max(controls):+.3f}")
    else:
        print(f"{max(true.values()) - min(true.values()):+.3f}")


def check_claims(found: dict[str, Any], apart: float = 0.05, overpaid: float = 0.1) -> list[dict[str, Any]]:
    """What MediX-R1's paper says of its reward signals (the last two are ours), and whether an ablation of the `signals` shows it.

    A reward counts as unstable where its seeds end further apart than `apart` in true accuracy, and as better than another
    where the 95% interval of the difference lies above 0. It counts as hacked where its rise beyond the rise of the truth is
    larger than the composite's by `overpaid`: what is paid is sampled and the truth is of greedy answers, so that they part a
    little in every arm.

    Returns:
        for each claim `{"claim", "measured", "reproduced"}`.
    """

    def pays_too_much(arm: str) -> float:
        curves = [one["curve"] for one in found["arms"][arm]]
        return float(np.mean([rise(curve, "reward") - rise(curve, PROBED) for curve in curves]))

    def told(values: dict[str, float]) -> str:
        return ", ".join(f"{arm} {value:+.3f}" for arm, value in values.items())

    def compared(arm: str, others: tuple[str, ...]) -> tuple[str, bool]:
        rows = {other: ahead_by(found, arm, other) for other in others}
        text = ", ".join(f"{row['value']:+.3f} {row['ci95']} on {other}" for other, row in rows.items())
        return text, all(row["ci95"][0] > 0 for row in rows.values())

    single = ("judge only", "embedding only")
    ends = {arm: [np.mean(one["true"]) for one in found["arms"][arm]] for arm in (*single, "composite")}
    spreads = {arm: round(float(np.ptp(values)), 6) for arm, values in ends.items()}
    gaps = {arm: pays_too_much(arm) - pays_too_much("composite") for arm in (*single, "weak judge")}
    tidy = float(np.mean(mean_over_seeds(found, "composite", "format")))
    unstable, hacked = (max(values[arm] for arm in single) for values in (spreads, gaps))
    stable = spreads["composite"] <= apart and tidy >= 0.95
    claims = {
        "A single signal is unstable": (f"seeds apart: {told(spreads)}", unstable > apart),
        "A single signal is hacked": (f"paid beyond the truth, more than by the composite: {told(gaps)}", hacked > overpaid),
        "Both together end higher than either": compared("both", single),
        "The composite ends highest": compared("composite", (*single, "both")),
        "The composite is stable": (f"seeds apart: {spreads['composite']:.3f}, format {tidy:.3f}", stable),
        "Exact match is too brittle for open answers": compared("composite", ("exact match",)),
        "It is where references vary in their words": compared("composite reworded", ("exact match reworded",)),
    }
    return [{"claim": claim, "measured": text, "reproduced": bool(shown)} for claim, (text, shown) in claims.items()]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]), *sys.argv[6:])
