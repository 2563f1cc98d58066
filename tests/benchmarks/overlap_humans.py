"""How well do overlap, embedding and rules agree with humans on EVOUNA/NQ, where answers are sentences of five systems?

    MEDIX_LITE_REAL_DATA=FOLDER python tests/benchmarks/overlap_humans.py

15,098 labelled answers, as in `evouna.py`; each metric by its best alias. The judge is the rules (UNSCORED is NO), the embedding
is the tiny world's, which never read such texts, and "contains, texts as they are" is that of `judge-humans.json`: without the
normal form. Writes `data/reference/overlap-humans.json`: AUROC and kappa of each metric, on all answers and on each system's.
The 95% intervals resample questions and choose the thresholds anew each time; those of a kappa less the rules' (or less that of
"contains") are paired. The last line is the best kappa of a metric less that of the rules: above 0 the rules are not the best.
"""

import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmark_files import evouna_pairs, judge_by_containing

from medix_lite.evaluation.overlap import agreement, overlap
from medix_lite.files import DATA, write_json
from medix_lite.judging.audit import judge_pairs
from medix_lite.judging.judges import make_judge
from medix_lite.models.load import load_embedder

DRAWS = 200
JUDGE = "judge (rules)"
SHORTCUT = "contains"


def interval(value: float, draws: np.ndarray) -> dict:
    return {"value": round(float(value), 4), "ci95": [round(float(x), 4) for x in np.percentile(draws, [2.5, 97.5])]}


def main() -> None:
    pairs = evouna_pairs(Path(os.environ["MEDIX_LITE_REAL_DATA"]))
    found = overlap([pair.sample() for pair in pairs], [pair.candidate for pair in pairs], load_embedder())
    found["contains, texts as they are"] = [verdict.score for verdict in judge_by_containing(pairs)]
    found[JUDGE] = [float(verdict.verdict == "YES") for verdict in judge_pairs(pairs, make_judge("rules"))]
    scores, label = {name: np.array(values) for name, values in found.items()}, np.array([pair.label for pair in pairs])
    questions, question = np.unique([pair.question for pair in pairs], return_inverse=True)
    systems = np.array([pair.kind for pair in pairs])
    rows = np.split(np.argsort(question, kind="stable"), np.cumsum(np.bincount(question))[:-1])
    rng = np.random.default_rng(0)
    draws = [np.concatenate([rows[i] for i in rng.integers(len(questions), size=len(questions))]) for _ in range(DRAWS)]

    def measured(values: np.ndarray, here: np.ndarray) -> list[float]:
        one = agreement(values[here], label[here], question[here])
        return [one["auroc"], one["kappa"]]

    drawn = {name: np.array([measured(values, here) for here in draws]) for name, values in scores.items()}
    whole = {name: measured(values, np.arange(len(pairs))) for name, values in scores.items()}
    metrics = {}
    for name, values in scores.items():
        metrics[name] = {key: interval(whole[name][i], drawn[name][:, i]) for i, key in enumerate(("auroc", "kappa"))}
        for key, other in (("kappa less the judge's", JUDGE), ("kappa less that of contains", SHORTCUT)):
            metrics[name][key] = interval(whole[name][1] - whole[other][1], drawn[name][:, 1] - drawn[other][:, 1])
        by_system = {kind: measured(values, np.flatnonzero(systems == kind)) for kind in dict.fromkeys(systems.tolist())}
        metrics[name]["by_system"] = {kind: {"auroc": round(a, 4), "kappa": round(k, 4)} for kind, (a, k) in by_system.items()}
        print(f"{name:28} AUROC {metrics[name]['auroc']}  kappa {metrics[name]['kappa']}")
    counts = {"n": len(pairs), "right": int(label.sum()), "questions": len(questions), "draws": DRAWS}
    write_json(DATA / "reference" / "overlap-humans.json", counts | {"metrics": metrics})
    print(f"{max(k for name, (_, k) in whole.items() if name != JUDGE) - whole[JUDGE][1]:.4f}")


if __name__ == "__main__":
    main()
