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
from benchmark_files import evouna_pairs

from medix_lite.files import write_jsonl
from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import BASE

SYSTEMS = ("fid", "gpt35", "chatgpt", "gpt4", "newbing")


def labelled_answers(folder):
    """System, sample, answer and the people's label of every usable answer."""
    return [(pair.kind, pair.sample(), pair.candidate, pair.label) for pair in evouna_pairs(folder)]


def scores(labels, said):
    """Kappa, MCC and counts of (label, said)."""
    return (
        float(cohen_kappa_score(labels, said)),
        float(matthews_corrcoef(labels, said)),
        dict(Counter(zip(labels, said, strict=True))),
    )


def main(every="1", out=""):
    if every == "--pairs":
        write_jsonl(out, (pair.model_dump() for pair in evouna_pairs(Path(os.environ["MEDIX_LITE_REAL_DATA"]))))
        return
    rows = list(labelled_answers(Path(os.environ["MEDIX_LITE_REAL_DATA"])))
    print(f"{len(rows)} labelled answers, {sum(label for *_, label in rows)} of them right")
    rows = rows[:: int(every)]
    verdicts = judge_answers(make_judge("rules"), [s for _, s, _, _ in rows], [answer for _, _, answer, _ in rows], BASE)
    said = [verdict.verdict == "YES" for verdict in verdicts]
    held = [any(text.casefold() in answer.casefold() for text in sample.accepted()) for _, sample, answer, _ in rows]
    for system in (*SYSTEMS, "all"):
        mine = [i for i, row in enumerate(rows) if system in (row[0], "all")]
        for name, guess in (("contains", held), ("rules", said)):
            kappa, mcc, table = scores([rows[i][3] for i in mine], [guess[i] for i in mine])
            print(f"{system:8} {name:8} kappa {kappa:.4f}  MCC {mcc:.4f}  (label, said): {table}")
    for tier in ("exact", "number", "lexicon", "none"):
        decided = [(v.verdict, label) for v, (_, _, _, label) in zip(verdicts, rows, strict=True) if v.decided_by == tier]
        print(f"decided by {tier:8} {len(decided):6}  (verdict, label): {dict(Counter(decided))}")
    labels = [label for *_, label in rows]
    ours, theirs = scores(labels, said), scores(labels, held)
    print(f"rules kappa {ours[0]:.4f} MCC {ours[1]:.4f}, contains kappa {theirs[0]:.4f} MCC {theirs[1]:.4f}")
    print(f"{min(ours[0] - theirs[0], ours[1] - theirs[1]):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
