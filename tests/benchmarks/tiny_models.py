"""How good are the tiny models on what their training left out? Writes the scores into their cards.

The judge (model only, no rules) decides at least 5,000 pairings of reference and candidate that it never saw, half of them right by
the oracle, and agreement with the oracle is Cohen's kappa, per kind of question. Where answers are few (side, size, count, yes or
no, options) what is new is the pairing of question, reference and candidate. Rubric marks are compared with the oracle's. The
embedder ranks held-out synonym pairs against pairs of near misses (AUROC). All forms are `model` forms: known words, new pairings.
The policy's scores are read from what tests/benchmarks/reference_runs.py measured.

Run: .venv/bin/python tests/benchmarks/tiny_models.py [OUT.json]
With OUT.json, the scores also go into the cards of the models in data/models.
The last line is the judge's smallest kappa over the kinds of question.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from medix_lite.files import REPOSITORY, read_json, sha256_of, write_json, write_text
from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import BASE, MIMIC
from medix_lite.models.judge_data import judge_example, judge_questions, near_miss_pairs, synonym_pairs
from medix_lite.models.load import TINY, load_embedder
from medix_lite.tiny_world.oracle import check_answer, grade_report

PER_HALF = 350  # per kind of question


def unseen_examples(seed=77):
    """Held-out pairings with their truth by the oracle: `PER_HALF` right and as many wrong of each family, and 800 graded ones."""
    rng = np.random.default_rng(seed)
    questions = judge_questions(20_000, seed)
    binary, graded, disagree, seen = defaultdict(list), [], [], set()
    for _ in range(200_000):
        sample, candidate, label = judge_example(questions, rng, unseen=True)
        family, key = sample.facts["family"], (sample.question, sample.reference, candidate, label.isdigit())
        if key in seen:
            continue
        seen.add(key)
        if label.isdigit():
            mark = grade_report(sample.facts, candidate).score
            graded.append((sample, candidate, mark))
            truth = str(mark)
        else:
            truth = "YES" if check_answer(sample.facts, candidate, sample.options).correct else "NO"
            if len(binary[family, truth]) < PER_HALF:
                binary[family, truth].append((sample, candidate, truth))
        if truth != label:
            disagree.append((family, sample.reference, candidate, label, truth))
        if len(graded) >= 800 and all(len(rows) == PER_HALF for rows in binary.values()):
            break
    print(f"built label and oracle part in {len(disagree)} of {len(seen)} pairings:", disagree[:10])
    balanced = []
    for family in {family for family, _ in binary}:
        halves = binary[family, "YES"], binary[family, "NO"]
        balanced += [row for half in halves for row in half[: min(map(len, halves))]]
    return balanced, graded[:800]


def main(out=None):
    judge = make_judge("model-only:tiny")
    binary, graded = unseen_examples()
    verdicts = judge_answers(judge, [s for s, _, _ in binary], [c for _, c, _ in binary], BASE)
    rows = defaultdict(list)
    for (sample, candidate, truth), verdict in zip(binary, verdicts, strict=True):
        rows[sample.facts["family"]].append((truth, verdict.verdict, sample.reference, candidate))
    everything = [row for part in rows.values() for row in part]
    result = {"judge": {}, "rubric": {}, "embedder": {}}
    for family, part in [*sorted(rows.items()), ("all", everything)]:
        truth, said = [row[0] for row in part], [row[1] for row in part]
        kappa = cohen_kappa_score(truth, said)
        wrong = Counter(f"{reference} / {candidate}" for a, b, reference, candidate in part if a != b)
        result["judge"][family] = {"kappa": round(float(kappa), 3), "n": len(part), "right": truth.count("YES")}
        print(f"{family:16} kappa {kappa:.3f}  n {len(part)}  right {truth.count('YES')}  {[k for k, _ in wrong.most_common(3)]}")
    marks = judge_answers(judge, [s for s, _, _ in graded], [c for _, c, _ in graded], MIMIC)
    error = np.array([abs(v.raw_score - mark) for v, (_, _, mark) in zip(marks, graded, strict=True)])
    quadratic = cohen_kappa_score([int(v.raw_score) for v in marks], [mark for _, _, mark in graded], weights="quadratic")
    result["rubric"] = {"exact": round(float((error == 0).mean()), 3), "mean error": round(float(error.mean()), 3)}
    result["rubric"] |= {"quadratic kappa": round(float(quadratic), 3), "n": len(graded)}
    print("rubric:", result["rubric"])
    pairs = {"synonyms": synonym_pairs(unseen=True), "near misses": near_miss_pairs()}
    embedder = load_embedder()
    cosines = {}
    for name, items in pairs.items():
        a, b = (embedder.encode(list(column), normalize_embeddings=True) for column in zip(*items, strict=True))
        cosines[name] = (a * b).sum(1)
    labels = np.repeat([1, 0], [len(cosines["synonyms"]), len(cosines["near misses"])])
    auroc = roc_auc_score(labels, np.concatenate(list(cosines.values())))
    result["embedder"] = {
        "auroc": round(float(auroc), 4),
        "synonym pairs": len(pairs["synonyms"]),
        "near misses": len(pairs["near misses"]),
    }
    print("embedder:", result["embedder"])
    if out:
        write_json(Path(out), {"manifest": sha256_of(TINY / "manifest.json")} | result)
        write_cards(result)
    print(f"{min(part['kappa'] for part in result['judge'].values()):.3f}")


def write_cards(result):
    """Put the scores into the model cards."""
    rows = {name: "".join(f"| {key} | {value} |\n" for key, value in table.items()) for name, table in tables(result).items()}
    for name, text in rows.items():
        path = TINY / name / "README.md"
        head, _, rest = path.read_text().partition("## Scores\n")
        write_text(
            path, f"{head}## Scores\n| measured | value |\n|---|---|\n{text}\n## Limits\n{rest.partition('## Limits' + chr(10))[2]}"
        )


def tables(result):
    """What each card shows, name to value."""
    judge = {
        f"agreement with the oracle on unseen pairings, {family}": f"kappa {part['kappa']}, n {part['n']}, half of them right"
        for family, part in result["judge"].items()
    }
    judge |= {f"rubric on unseen pairings, {key}": value for key, value in result["rubric"].items()}
    embedder = {f"unseen synonym pairs against near misses, {key}": value for key, value in result["embedder"].items()}
    policy = {}
    for row in read_json(REPOSITORY / "data" / "reference" / "tiny-cpu.json")["runs"]:
        base, vague = row["base"], row["headroom"]["vague"]["value"]
        policy[f"test questions of seed {row['seed']}"] = (
            f"true accuracy {base['true_accuracy']['value']} greedy, {base['pass_at_8']['value']} pass@8; "
            f"{vague:.1%} of samples vague; n {base['n']}"
        )
    return {"policy": policy, "judge": judge, "embedder": embedder}


if __name__ == "__main__":
    main(*sys.argv[1:2])
