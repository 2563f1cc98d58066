"""How well does the default judge (rules, then the tiny model) agree with the oracle on what the tiny model never saw?

At least 5,000 unseen pairings of question, reference and candidate, half of them right by the oracle in each family, as
tests/benchmarks/tiny_models.py makes them for the model alone.

Run: .venv/bin/python tests/benchmarks/pipeline_agreement.py
Prints Cohen's kappa of each deciding tier and of each family; the last line is kappa over all.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from sklearn.metrics import cohen_kappa_score

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tiny_models import unseen_examples

from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import BASE


def main():
    binary, _ = unseen_examples()
    assert len(binary) >= 5000, len(binary)
    verdicts = judge_answers(make_judge("tiny"), [sample for sample, _, _ in binary], [answer for _, answer, _ in binary], BASE)
    rows = defaultdict(list)
    for (sample, candidate, truth), verdict in zip(binary, verdicts, strict=True):
        for group in (f"decided by {verdict.decided_by}", f"family {sample.facts['family']}", "all"):
            rows[group].append((truth, verdict.verdict, sample.reference, candidate))
    for group, part in sorted(rows.items(), key=lambda item: (item[0] == "all", item[0])):
        truth, said = [row[0] for row in part], [row[1] for row in part]
        wrong = [f"{reference} / {candidate}: {b}" for a, b, reference, candidate in part if a != b]
        counts = dict(Counter(zip(truth, said, strict=True)))
        print(f"{group:24} kappa {cohen_kappa_score(truth, said):.4f}  n {len(part)}  (oracle, judge): {counts}  {wrong[:3]}")
    print(f"{cohen_kappa_score([row[0] for row in rows['all']], [row[1] for row in rows['all']]):.4f}")


if __name__ == "__main__":
    main()
