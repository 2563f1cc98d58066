"""The attack suite against `rules`, the default judge and the tiny judge alone; and the rules against humans and `contains`.

    MEDIX_LITE_REAL_DATA=FOLDER python tests/benchmarks/judge_audit.py

Prints a table by judge and kind, then agreement with EVOUNA's humans, and writes `data/reference/judge-audit.json` and
`data/reference/judge-humans.json`. The last line is the default judge's false-positive rate on the suite.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmark_files import evouna_pairs, judge_by_containing

from medix_lite.files import DATA, write_json
from medix_lite.judging.audit import audit, judge_pairs, read_pairs
from medix_lite.judging.judges import make_judge


def line(name: str, found: dict) -> str:
    values = [f"{key} {found[key]['value']}" for key in ("kappa", "mcc", "sensitivity", "specificity", "unscored")]
    return f"{name:16} n {found['n']}, {', '.join(values)}"


def main() -> None:
    suite, audits = read_pairs(DATA / "audit" / "attacks.jsonl"), {}
    for name in ("rules", "tiny", "model-only:tiny"):
        audits[name] = audit(suite, judge_pairs(suite, make_judge(name)))
        print(line(name, audits[name]))
        for kind, part in audits[name]["by_kind"].items():
            print(f"    {kind:19} n {part['n']:3}, fpr {part['fpr']['value']}, fnr {part['fnr']['value']}")
    write_json(DATA / "reference" / "judge-audit.json", audits)
    fresh = read_pairs(DATA / "audit" / "fresh.jsonl")  # written after the rules, and never tuned on
    for name in ("rules", "tiny"):
        print(line(f"fresh: {name}", audit(fresh, judge_pairs(fresh, make_judge(name)))))
    if folder := os.environ.get("MEDIX_LITE_REAL_DATA"):
        humans = evouna_pairs(Path(folder))
        found = {
            "contains": audit(humans, judge_by_containing(humans)),
            "rules": audit(humans, judge_pairs(humans, make_judge("rules"))),
        }
        for name, agreement in found.items():
            print(line(name, agreement))
        write_json(DATA / "reference" / "judge-humans.json", found)
    print(f"{1 - audits['tiny']['specificity']['value']:.4f}")


if __name__ == "__main__":
    main()
