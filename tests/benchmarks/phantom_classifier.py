"""Do the questions need the picture, and does the picture show what it should?

Trains a small convolutional network on pictures alone (no question, no text) to name modality and finding of new phantoms, then
the same network on blank pictures. Beside it, what the text alone gives away: per family, always the commonest training answer to
the same words.

Run: .venv/bin/python tests/benchmarks/phantom_classifier.py [PICTURES] [EPOCHS] [OUT.json]
The last line is the accuracy on findings.
"""

import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medix_lite.files import write_json
from medix_lite.tiny_world.phantoms import DRAW
from medix_lite.tiny_world.questions import generate

MODALITIES = list(DRAW)


def load(n, split, seed):
    """Pictures (n, 3, 64, 64) as uint8, and the labels (modality, finding) of each."""
    pictures, labels = [], []
    for sample, picture in generate(n, split, seed):
        if picture is not None:
            pictures.append(picture.transpose(2, 0, 1))
            labels.append((sample.facts["modality"], sample.facts["finding"] or "normal"))
    return torch.tensor(np.array(pictures)), labels


def network(classes):
    layers = []
    for inside, outside in ((3, 24), (24, 48), (48, 96)):
        layers += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(96 * 64, 128), nn.ReLU(), nn.Linear(128, classes))


def fit_and_predict(pictures, targets, test, classes, epochs):
    """Predicted class of each test picture."""
    torch.manual_seed(0)
    model = network(classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    batches = len(pictures) // 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * batches)
    for _ in range(epochs):
        order = torch.randperm(len(pictures))
        for i in range(batches):
            chosen = order[i * 128 : (i + 1) * 128]
            loss = nn.functional.cross_entropy(model(pictures[chosen].float() / 255 - 0.5), targets[chosen])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(part.float() / 255 - 0.5).argmax(1) for part in test.split(500)])


def words_of(sample):
    """A question without its patient, and its options in alphabetical order."""
    return sample.question.split(". ", 1)[-1] + "|".join(sorted(sample.options or []))


def text_prior(n):
    """Per family, the share of test references that the commonest training reference to the same words gets right."""
    by_text, by_family = defaultdict(Counter), defaultdict(Counter)
    for sample, _ in generate(n, "train", 0, pictures=False):
        by_text[words_of(sample)][sample.reference] += 1
        by_family[sample.facts["family"]][sample.reference] += 1
    hits = defaultdict(list)
    for sample, _ in generate(4000, "test", 0, pictures=False):
        family = sample.facts["family"]
        known = by_text.get(words_of(sample)) or by_family[family]
        hits[family].append(known.most_common(1)[0][0] == sample.reference)
    return {family: {"value": round(float(np.mean(rows)), 3), "n": len(rows)} for family, rows in sorted(hits.items())}


def main(n=24000, epochs=8, out=None):
    started = time.perf_counter()
    pictures, labels = load(n, "train", 1)
    test, truth = load(6000, "test", 1)
    names = sorted(set(labels) | set(truth))
    targets = torch.tensor([names.index(label) for label in labels])
    said = [names[i] for i in fit_and_predict(pictures, targets, test, len(names), epochs)]
    modality = np.mean([a[0] == b[0] for a, b in zip(said, truth, strict=True)])
    finding = np.mean([a == b for a, b in zip(said, truth, strict=True)])
    blank = [
        names[i] for i in fit_and_predict(torch.zeros_like(pictures[:2560]), targets[:2560], torch.zeros_like(test), len(names), 2)
    ]
    chance = np.mean([a == b for a, b in zip(blank, truth, strict=True)])
    majority = Counter(truth).most_common(1)[0][1] / len(truth)
    per_finding = {" ".join(name): [] for name in names}
    for a, b in zip(said, truth, strict=True):
        per_finding[" ".join(b)].append(a == b)
    worst = sorted(((round(float(np.mean(v)), 3), len(v), k) for k, v in per_finding.items() if v))[:12]
    print("worst findings:", *worst, sep="\n  ")
    print("confusions:", Counter((b[0], b[1], a[1]) for a, b in zip(said, truth, strict=True) if a != b).most_common(12))
    result = {
        "pictures": {"train": len(pictures), "test": len(test)},
        "modality": round(float(modality), 4),
        "finding": round(float(finding), 4),
        "blank": {"finding": round(float(chance), 4), "commonest class": round(majority, 4), "classes": len(names)},
        "text alone": text_prior(20000),
        "seconds": round(time.perf_counter() - started, 1),
    }
    for key, value in result.items():
        print(f"{key}: {value}")
    if out:
        write_json(Path(out), result)
    print(f"{finding:.3f}")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:3]), *sys.argv[3:4])
