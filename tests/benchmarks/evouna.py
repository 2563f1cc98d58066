"""How well do the rules agree with people on EVOUNA/NQ, where answers are sentences of five systems?

Alternatives in `golden_answer` are joined by "/" and become references; rows marked `improper`, and answers without a text or a
label, are dropped, which leaves 15,098. UNSCORED counts as NO. Beside the rules stands plain `contains`: the answer holds one of
the alternatives, whatever the case.

Run: MEDIX_LITE_REAL_DATA=FOLDER .venv/bin/python tests/benchmarks/evouna.py [EVERY]
     ... evouna.py --pairs FILE writes the labelled answers as audit pairs, for `medix-lite audit-judge` and notebook 06.
Prints kappa, MCC and the table of each system and of all, and each deciding tier; the last line is the rules' kappa and MCC less
those of `contains`, whichever is smaller: above 0 the rules beat it by both.
"""

import os
import sys
from collections import Counter
from pathlib import Path

from sklearn.metrics import cohen_kappa_score, matthews_corrcoef

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmark_files import evouna_pairs, judge_by_containing

from medix_lite.files import write_jsonl
from medix_lite.judging.audit import judge_pairs
from medix_lite.judging.judges import make_judge


def main(every="1", out=""):
    pairs = evouna_pairs(Path(os.environ["MEDIX_LITE_REAL_DATA"]))
    if every == "--pairs":
        write_jsonl(out, (pair.model_dump() for pair in pairs))
        return
    print(f"{len(pairs)} labelled answers, {sum(pair.label for pair in pairs)} of them right")
    pairs = pairs[:: int(every)]
    judged = {"contains": judge_by_containing(pairs), "rules": judge_pairs(pairs, make_judge("rules"))}
    found = {}
    for system in (*dict.fromkeys(pair.kind for pair in pairs), "all"):
        mine = [i for i, pair in enumerate(pairs) if system in (pair.kind, "all")]
        for name, verdicts in judged.items():
            labels, said = [pairs[i].label for i in mine], [verdicts[i].verdict == "YES" for i in mine]
            # Not rounded, as those of `audit` are: the two are close.
            found[name] = float(cohen_kappa_score(labels, said)), float(matthews_corrcoef(labels, said))
            table = dict(Counter(zip(labels, said, strict=True)))
            print(f"{system:8} {name:8} kappa {found[name][0]:.4f}  MCC {found[name][1]:.4f}  (label, said): {table}")
    for tier in ("exact", "number", "lexicon", "none"):
        decided = [(v.verdict, p.label) for v, p in zip(judged["rules"], pairs, strict=True) if v.decided_by == tier]
        print(f"decided by {tier:8} {len(decided):6}  (verdict, label): {dict(Counter(decided))}")
    ours, theirs = found["rules"], found["contains"]
    print(f"rules kappa {ours[0]:.4f} MCC {ours[1]:.4f}, contains kappa {theirs[0]:.4f} MCC {theirs[1]:.4f}")
    print(f"{min(ours[0] - theirs[0], ours[1] - theirs[1]):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
