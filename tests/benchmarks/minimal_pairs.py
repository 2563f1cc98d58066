"""Does the robust semantic signal tell apart what differs in one word that matters, and keep what says the same?

Pairs are made from the lexicon. Unsafe: negation, side flip, number x10, unit swap; the signal must be 0. Safe: synonyms in pairs
that the embedder never trained on (`synonym_pairs(unseen=True)`), put in sentences, and sizes in another unit; it must be 1.

The threshold of `robust` is calibrated here as well (`--calibrate`): held-out synonym pairs and near-miss pairs are split in two by
a hash of their words. On one half, the threshold is the one (in steps of 0.01) at which the share of synonyms kept less that of
near misses passed is largest (Youden's J); the bars are measured on the other half. Near misses have no bar.

Run: .venv/bin/python tests/benchmarks/minimal_pairs.py [--calibrate]
The last line is the share of unsafe pairs with signal 0 and that of synonym pairs with signal 1.
With MEDIX_LITE_REAL_DATA, Spearman's correlation of cosine and the doctors' mean rating on EHR-RelB is printed too.
"""

import csv
import os
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from medix_lite.models.judge_data import near_miss_pairs, synonym_pairs
from medix_lite.models.load import load_embedder
from medix_lite.rewards.presets import PRESETS
from medix_lite.rewards.signals import semantic_signal
from medix_lite.text import core
from medix_lite.tiny_world.lexicon import load_lexicon
from medix_lite.tiny_world.questions import seed_of

# Around both forms of a pair, alike or not: what a sentence adds, and wrappings that mean the same.
FRAMES = [("{}", "{}"), ("{} on the left", "{} on the left"), ("{}, 12 mm", "{}, 12 mm"), ("right-sided {}", "{} on the right"),
          ("this shows {}", "{}"), ("the answer is {}", "{}"), ("{}, 2 cm", "{}, 20 mm"),
          ("{} is seen", "there is {}")]  # fmt: skip
NEGATED = [("no {}", "{}"), ("{}", "no {}"), ("there is no {}", "there is {}"), ("without {}", "{}"), ("{} is absent", "{}"),
           ("no evidence of {}", "{}"), ("{} is not seen", "{} is seen")]  # fmt: skip
SIDES = [("{} on the left", "{} on the right"), ("right-sided {}", "left-sided {}"), ("bilateral {}", "{} on the left"),
         ("{} in the right eye", "{} in the left eye")]  # fmt: skip
TENFOLD = [("{}, 120 mm", "{}, 12 mm"), ("{}, 2 mm", "{}, 20 mm"), ("{} of 0.5 cm", "{} of 5 cm"), ("30 {}", "3 {}")]
UNITS = [("{}, 12 cm", "{}, 12 mm"), ("{}, 12 mg", "{}, 12 mm"), ("{}, 2 mm", "{}, 2 cm"), ("{} of 5 g", "{} of 5 mg")]
CONVERTED = [
    ("{}, 1.2 cm", "{}, 12 mm"),
    ("{}, 20 millimetres", "{}, 2 cm"),
    ("{} of 0.5 g", "{} of 500 mg"),
    ("{}, 12mm", "{}, 12 mm"),
]


def half(pair):
    """0 for the calibration half, 1 for the half that is measured; both orders of a pair fall in the same."""
    return seed_of("minimal pairs", *sorted(pair)) % 2


def framed(pairs):
    """Every pair in two frames, chosen by its words."""
    return [
        (FRAMES[(seed_of(pair) + i) % len(FRAMES)][0].format(pair[0]), FRAMES[(seed_of(pair) + i) % len(FRAMES)][1].format(pair[1]))
        for pair in pairs
        for i in (0, 3)
    ]


def minimal_pairs():
    """Answer and reference by kind."""
    findings = [c for c in load_lexicon().values() if c.kind in ("finding", "disease") and c.name != "normal"]
    forms = [form for concept in findings for form in concept.forms("model")[:3]]
    kinds = {"negation": NEGATED, "side": SIDES, "x10": TENFOLD, "unit": UNITS, "conversion": CONVERTED}
    made = {kind: [(a.format(form), b.format(form)) for form in forms for a, b in frames] for kind, frames in kinds.items()}
    synonyms = [pair for pair in synonym_pairs(unseen=True) if half(pair)]
    return made | {"synonym": framed(synonyms), "near miss": framed([pair for pair in near_miss_pairs() if half(pair)])}


def cosines(embedder, pairs):
    """Cosine of both texts of each pair, read as the robust signal reads them."""
    one, other = (embedder.encode(list(map(core, column)), normalize_embeddings=True) for column in zip(*pairs, strict=True))
    return (one * other).sum(1)


def calibrate(embedder):
    """The threshold from the calibration half."""
    synonyms = cosines(embedder, framed([pair for pair in synonym_pairs(unseen=True) if not half(pair)]))
    misses = cosines(embedder, framed([pair for pair in near_miss_pairs() if not half(pair)]))
    steps = np.arange(0.3, 1, 0.01).round(2)
    kept, passed = ((found[:, None] >= steps).mean(0) for found in (synonyms, misses))
    for i in range(0, len(steps), 5):
        print(f"threshold {steps[i]:.2f}  synonyms kept {kept[i]:.4f}  near misses passed {passed[i]:.4f}")
    best = int((kept - passed).argmax())
    print(f"{len(synonyms)} synonyms, {len(misses)} near misses: {kept[best]:.4f} and {passed[best]:.4f} reach {steps[best]:.2f}")
    return float(steps[best])


def spearman(embedder, folder):
    """Spearman's rho on EHR-RelB, and how many pairs."""
    with (folder / "ehr_rel" / "EHR-RelB.tsv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    rated = [(row["snomed_label_1"], row["snomed_label_2"], float(row["mean_rating"])) for row in rows]
    return spearmanr(cosines(embedder, [row[:2] for row in rated]), [row[2] for row in rated]).statistic, len(rated)


def main(*options):
    embedder = load_embedder()
    if "--calibrate" in options:
        print(f"robust has {PRESETS['robust'].threshold}; {calibrate(embedder):.2f} would be calibrated now")
    results, passed = {}, defaultdict(list)
    for kind, pairs in minimal_pairs().items():
        for preset in ("robust", "faithful"):
            signal = np.array(semantic_signal([a for a, _ in pairs], [[b] for _, b in pairs], preset, embedder))
            results[kind, preset] = signal.mean(), len(pairs)
            if preset == "robust":
                passed[kind] = [
                    pair for pair, value in zip(pairs, signal, strict=True) if value == (kind not in ("synonym", "conversion"))
                ]
    for (kind, preset), (share, n) in results.items():
        print(f"{kind:10} {preset:8} signal 1 on {share:7.2%} of {n:5}  {passed[kind][:4] if preset == 'robust' else ''}")
    if "MEDIX_LITE_REAL_DATA" in os.environ:
        rho, n = spearman(embedder, Path(os.environ["MEDIX_LITE_REAL_DATA"]))
        print(f"EHR-RelB: Spearman {rho:.3f} of cosine and mean rating, n {n}")
    unsafe = [results[kind, "robust"] for kind in ("negation", "side", "x10", "unit")]
    separated = 1 - sum(share * n for share, n in unsafe) / sum(n for _, n in unsafe)
    print(f"{sum(n for _, n in unsafe)} unsafe pairs, {results['synonym', 'robust'][1]} synonym pairs")
    print(f"{separated:.4f} {results['synonym', 'robust'][0]:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
