"""Questions about phantoms. In: a seed. Out: Samples whose facts only the oracle reads.

Families: finding, side, yes_no, multiple_choice (all with a picture) and knowledge (text only). Every picture belongs to
one sample. Knowledge questions are split by combination: no train question stands in test.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..files import InputError, clear_write_errors
from ..samples import Sample, content_id
from .lexicon import Concept, findings, load_lexicon
from .phantoms import DRAW, SIDED, SIDES, draw

SPLITS = ("train", "probe", "test", "warmup")
FAMILY_SHARES = {"finding": 0.3, "side": 0.15, "yes_no": 0.2, "multiple_choice": 0.2, "knowledge": 0.15}

TEMPLATES = {
    "finding": ("What does this picture show?", "What is the main finding?", "Which abnormality is seen here, if any?"),
    "side": ("On which side is the finding?", "Which side is affected?", "Left or right: where is it?"),
    "eye": ("Which eye is this?", "Is this a left or a right eye?", "Left or right: which eye is shown?"),
    "yes_no": ("Is there {target}?", "Does this picture show {target}?", "Can {target} be seen here?"),
    "multiple_choice": ("Which finding is shown?", "Choose the finding in this picture.", "Which of these is present?"),
}
KNOWLEDGE = (
    "Which part of the body does {form} affect?",
    "Where in the body is {form} found?",
    "{form}: which organ is it in?",
)
WRAPPERS = ("", "Exam question: ", "A student asks: ", "From the textbook: ", "Quick check: ", "In clinic today: ")
NORMAL_SHARE = 0.25

Item = tuple[Sample, NDArray[np.uint8] | None]


def seed_of(*parts: object) -> int:
    """A 63-bit seed from anything printable: equal parts, equal seed."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def knowledge_combinations(split: str) -> list[tuple[Concept, str, str, str]]:
    """Finding, form, template and wrapper of every knowledge question of a split; warm-up may use those of train."""
    wanted = "train" if split == "warmup" else split
    chosen = []
    for concept in findings():
        for form in concept.forms("policy"):
            for template in KNOWLEDGE:
                for wrapper in WRAPPERS:
                    draw_ = seed_of("knowledge", concept.name, form, template, wrapper) % 100
                    owner = "train" if draw_ < 60 else "test" if draw_ < 92 else "probe"
                    if owner == wanted:
                        chosen.append((concept, form, template, wrapper))
    return chosen


def generate(n: int, split: str, seed: int, pictures: bool = True) -> Iterator[Item]:
    """`n` samples of a split with their pictures (None for text only, or for all without `pictures`), the same for the same seed.

    Raises:
        InputError: the split is unknown.
    """
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}; use one of {', '.join(SPLITS)}")
    rng = np.random.default_rng(seed_of("questions", split, seed))
    knowledge = knowledge_combinations(split)
    order = rng.permutation(len(knowledge))
    asked = 0
    families, shares = list(FAMILY_SHARES), np.array(list(FAMILY_SHARES.values()))
    for index in range(n):
        family = families[rng.choice(len(families), p=shares)]
        if family == "knowledge" and (asked < len(knowledge) or split != "test"):
            yield _knowledge_item(knowledge[order[asked % len(knowledge)]], f"{split}-{seed}-{index:05d}", rng), None
            asked += 1
        else:
            yield _picture_item("finding" if family == "knowledge" else family, f"{split}-{seed}-{index:05d}", split, rng, pictures)


def _knowledge_item(combination: tuple[Concept, str, str, str], sample_id: str, rng: np.random.Generator) -> Sample:
    concept, form, template, wrapper = combination
    organ = load_lexicon()[str(concept.organ)]
    question = wrapper + template.format(form=form)
    facts = {"family": "knowledge", "target": concept.name, "truth": organ.name}
    return Sample(
        id=sample_id,
        question=question,
        reference=organ.policy[0],
        source="phantoms",
        group=content_id(question),
        facts=facts,
    )


def _picture_item(family: str, sample_id: str, split: str, rng: np.random.Generator, pictures: bool) -> Item:
    modalities = SIDED if family == "side" else tuple(DRAW)
    modality = modalities[rng.integers(len(modalities))]
    choices = findings(modality)
    says_yes = family == "yes_no" and rng.random() < 0.5
    must_have = says_yes or (family == "side" and modality != "FUNDUS_PHOTOGRAPHY")
    finding = None if not must_have and rng.random() < NORMAL_SHARE else choices[rng.integers(len(choices))]
    has_side = modality in SIDED and (finding is not None or modality == "FUNDUS_PHOTOGRAPHY")
    side = SIDES[rng.integers(2)] if has_side else None
    lexicon = load_lexicon()
    truth = finding or lexicon["normal"]
    facts: dict[str, Any] = {
        "family": family,
        "modality": modality,
        "finding": finding.name if finding else None,
        "side": side,
    }
    template_family = "eye" if family == "side" and modality == "FUNDUS_PHOTOGRAPHY" else family
    templates = TEMPLATES[template_family]
    question = templates[rng.integers(len(templates))]
    options = None
    if family == "finding":
        facts["truth"], reference = truth.name, truth.policy[0]
    elif family == "side":
        facts["truth"], reference = side, str(side)
    elif family == "yes_no":
        others = [c for c in choices if c is not finding]
        target = finding if finding and says_yes else others[rng.integers(len(others))]
        question = question.format(target=target.policy[0])
        reference = "yes" if says_yes else "no"
        facts |= {"target": target.name, "truth": reference}
    else:
        concepts = [*choices, lexicon["normal"]]
        options = [concepts[i].policy[0] for i in rng.permutation(len(concepts))]
        facts["truth"], reference = truth.name, truth.policy[0]
    picture = draw(modality, facts["finding"], side, seed_of("picture", split, sample_id)) if pictures else None
    sample = Sample(
        id=sample_id,
        question=question,
        reference=reference,
        modality=modality,
        source="phantoms",
        group=f"picture-{sample_id}",
        images=[f"{sample_id}.png"],
        options=options,
        facts=facts,
    )
    return sample, picture


def make_samples(n: int, split: str, seed: int, image_folder: Path) -> list[Sample]:
    """Samples of a split with their pictures written as PNG into `image_folder`; image paths are absolute."""
    image_folder = Path(image_folder).resolve()
    samples = []
    with clear_write_errors(image_folder):
        image_folder.mkdir(parents=True, exist_ok=True)
        for sample, picture in generate(n, split, seed):
            if picture is not None:
                path = image_folder / sample.images[0]
                Image.fromarray(picture).save(path)
                sample.images = [str(path)]
            samples.append(sample)
    return samples
