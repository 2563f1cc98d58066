"""Questions about phantoms. In: a seed. Out: Samples with facts, which RL and the judge never read.

Every picture belongs to one sample. Most of a test split asks what training asked, of new pictures; some of it shows facts in
a combination that training never saw, and some asks in a wording that it never used: `facts["unseen"]` says which.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..files import InputError, clear_errors, read_table
from ..samples import Sample, content_id
from .lexicon import Age, Sex, findings, load_lexicon
from .phantoms import DRAW, FIELD_OF_VIEW, PAIRED, SIDES, draw

SPLITS = ("train", "probe", "test", "warmup")
MEASURED = ("test", "probe")  # the splits that nothing learns from
GRADED = ("report", "summary")  # by a rubric, not right or wrong
TEXT_ONLY = ("knowledge", "summary")
COUNTS = (1, 2, 3, 4)
AGES: tuple[Age, ...] = get_args(Age)

Facts = dict[str, Any]


def seed_of(*parts: object) -> int:
    """A 63-bit seed from anything printable: equal parts, equal seed.

    >>> train, again, test = (seed_of("picture", split, 7) for split in ("train", "train", "test"))
    >>> train == again, train == test
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def wording() -> dict[str, Any]:
    """`data/questions.yaml`: what share of questions is of which kind, and their words.

    >>> sorted(wording()["patients"])
    ['adult', 'child', 'older']
    """
    return read_table("questions")


FAMILY_SHARES: dict[str, float] = wording()["families"]


def owner(facts: Facts) -> str:
    """The split to which this combination of latent facts belongs: one in eight is for test only, one for probe only.

    Whatever is asked of it, a picture of a finding on a side, of a size, in a patient, keeps its split.
    """
    picture = ("modality", "finding", "side", "size_mm", "count", "age", "sex")
    names = ("target", "form", "wrapper") if facts["family"] == "knowledge" else picture
    return MEASURED[lot] if (lot := seed_of("combination", *map(facts.get, names)) % 8) < 2 else "train"


def place_of(side: str, modality: str) -> str:
    """` on the left`, or ` in the left eye` where a picture shows one of two organs.

    >>> place_of("left", "X_RAY"), place_of("left", "FUNDUS_PHOTOGRAPHY")
    (' on the left', ' in the left eye')
    """
    return f" in the {side} {PAIRED[modality]}" if modality in PAIRED else f" on the {side}"


def count_of(count: int, counted: str) -> str:
    """`3 blasts`, `1 blast`.

    >>> count_of(3, "blasts"), count_of(1, "blasts")
    ('3 blasts', '1 blast')
    """
    return f"{count} {counted.removesuffix('s') if count == 1 else counted}"


def describe(facts: Facts) -> str:
    """A report in one line: the finding with its side, size and count, in the words of the policy's forms.

    >>> describe({"modality": "X_RAY", "finding": "pneumothorax", "side": "left", "size_mm": None, "count": None})
    'pneumothorax on the left'
    """
    lexicon = load_lexicon()
    if facts["finding"] is None:
        return lexicon["normal"].policy[0]
    concept, side = lexicon[facts["finding"]], facts["side"]
    text = concept.policy[0] + (place_of(side, facts["modality"]) if side else "")
    if facts["size_mm"]:
        text += f", {facts['size_mm']} mm"
    if facts["count"] and concept.counted:
        text += f", {count_of(facts['count'], concept.counted)}"
    return text


def generate(n: int, split: str, seed: int, pictures: bool = True) -> Iterator[tuple[Sample, NDArray[np.uint8] | None]]:
    """`n` samples of a split with their pictures (None for text only, or for all without `pictures`), the same for the same seed.

    No text-only question stands twice.

    Raises:
        InputError: the split is unknown.

    >>> one, again = (next(generate(1, "test", seed, pictures=False)) for seed in (0, 0))
    >>> one == again, one[0].source
    (True, 'phantoms')
    """
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}; use one of {', '.join(SPLITS)}")
    rng = np.random.default_rng(seed_of("questions", split, seed))
    families, shares = list(FAMILY_SHARES), np.array(list(FAMILY_SHARES.values()))
    told = set()  # without a picture, the same words twice are the same question twice
    for index in range(n):
        while True:
            family = families[rng.choice(len(families), p=shares)]
            unseen = _what_is_unseen(family, split, rng)
            while owner(facts := _draw_facts(family, split, rng)) != (split if unseen == "combination" else "train"):
                continue
            facts |= {"unseen": unseen, "wording": 3 if unseen == "wording" else int(rng.integers(3))}
            sample = _ask(facts, f"{split}-{seed}-{index:05d}", rng)
            words = (sample.question, *sorted(sample.options or ()))
            if sample.images or words not in told:
                break
        told.add(words)
        picture = None
        if sample.images and pictures:
            drawn = {name: facts[name] for name in ("modality", "finding", "side", "size_mm", "count")}
            picture = draw(**drawn, seed=seed_of("picture", split, sample.id), child=facts["age"] == "child")
        yield sample, picture


def _what_is_unseen(family: str, split: str, rng: np.random.Generator) -> str | None:
    if split not in MEASURED:
        return None
    shares = wording()["unseen"]
    unseen = list(shares)[rng.choice(len(shares), p=list(shares.values()))]
    # Without a picture, an old combination in old words would be an old question.
    return "combination" if family in TEXT_ONLY and (unseen == "picture" or split == "probe") else unseen


def pick(rng: np.random.Generator, items: Any) -> Any:
    """One of the items, each as likely.

    >>> pick(np.random.default_rng(0), ["left", "right"])
    'right'
    """
    return items[rng.integers(len(items))]


def _draw_facts(family: str, split: str, rng: np.random.Generator) -> Facts:
    if family == "knowledge":
        target = pick(rng, [c for c in load_lexicon().values() if c.organ])
        form, wrapper = pick(rng, target.forms("policy")), pick(rng, wording()["wrappers"])
        return {"family": family, "target": target.name, "form": form, "wrapper": wrapper, "truth": target.organ}
    needed = {"side": "sided", "size": "sizes", "count": "counted"}.get(family, "modality")
    modality = pick(rng, [m for m in DRAW if any(getattr(c, needed) for c in findings(m))])
    choices = findings(modality)
    says_yes = family == "yes_no" and rng.random() < 0.5
    must_have = says_yes or family in ("size", "count") or (family == "side" and modality not in PAIRED)
    finding = pick(rng, [c for c in choices if getattr(c, needed)]) if must_have or rng.random() >= wording()["normal"] else None
    shown = [finding] if finding else choices
    ages = [any(age in c.ages for c in shown) for age in AGES]
    chances = np.array(wording()["ages"]["test" if split in MEASURED else "train"]) * ages
    has_side = modality in PAIRED or (finding is not None and finding.sided)
    facts: Facts = {"family": family, "modality": modality, "finding": finding.name if finding else None}
    facts["side"] = pick(rng, SIDES) if has_side else None
    facts["size_mm"] = pick(rng, finding.sizes) if finding and finding.sizes else None
    facts["count"] = pick(rng, COUNTS) if finding and finding.counted else None
    facts["age"] = AGES[rng.choice(len(AGES), p=chances / chances.sum())]
    facts["sex"] = pick(rng, [sex for sex in get_args(Sex) if any(sex in c.sexes for c in shown)])
    if family == "yes_no":
        target = finding if finding and says_yes else pick(rng, [c for c in choices if c is not finding])
        return facts | {"target": target.name, "truth": "yes" if says_yes else "no"}
    truths = {"side": facts["side"], "size": facts["size_mm"], "count": facts["count"], "report": None, "summary": None}
    return facts | {"truth": truths.get(family, facts["finding"] or "normal")}


def _ask(facts: Facts, sample_id: str, rng: np.random.Generator) -> Sample:
    family, modality = facts["family"], facts.get("modality", "")
    lexicon = load_lexicon()
    concept = lexicon[facts.get("finding") or facts.get("target") or "normal"]
    if family in GRADED:
        reference = describe(facts)
    elif family in ("finding", "multiple_choice", "knowledge"):
        reference = lexicon[facts["truth"]].policy[0]
    else:
        reference = f"{facts['truth']} mm" if family == "size" else str(facts["truth"])
    options = None
    if family == "multiple_choice":
        offered = [*findings(modality), lexicon["normal"]]
        options = [offered[i].policy[0] for i in rng.permutation(len(offered))]
    words = facts | {"organ": PAIRED.get(modality), "view": FIELD_OF_VIEW.get(modality), "counted": concept.counted}
    words["target"] = lexicon[facts.get("target") or "normal"].policy[0]
    if family == "summary":
        words["text"] = _dictate(facts, rng)
    asked = "paired" if family == "side" and modality in PAIRED else family
    before = facts["wrapper"] if family == "knowledge" else f"{wording()['patients'][facts['age']][facts['sex']]}. "
    question = before + wording()["templates"][asked][facts["wording"]].format(**words)
    shown: Facts = {"modality": modality, "images": [f"{sample_id}.png"], "group": f"picture-{sample_id}"}
    rest: Facts = {"group": content_id(question)} if family in TEXT_ONLY else shown
    rest |= {"source": "phantoms", "options": options, "facts": facts, "graded": family in GRADED}
    return Sample(id=sample_id, question=question, reference=reference, **rest)


def _dictate(facts: Facts, rng: np.random.Generator) -> str:
    """A dictated report that buries the facts among sentences of no consequence."""
    absent = pick(rng, [c for c in findings(facts["modality"]) if c.name != facts["finding"]])
    sentences = [pick(rng, wording()["technique"]), f"Finding: {describe(facts)}.", f"No {absent.policy[0]}."]
    order = pick(rng, ((0, 1, 2), (0, 2, 1), (2, 1, 0)))
    return " ".join([f"{load_lexicon()[facts['modality']].policy[0]}.", *(sentences[i] for i in order)])


def make_samples(n: int, split: str, seed: int, image_folder: Path) -> list[Sample]:
    """Samples of a split with their pictures written as PNG into `image_folder`; image paths are absolute.

    >>> import tempfile
    >>> samples = make_samples(4, "test", 0, Path(tempfile.mkdtemp()))
    >>> [(sample.facts["family"], sample.facts["unseen"]) for sample in samples]  # what training never saw of it
    [('yes_no', 'wording'), ('multiple_choice', 'picture'), ('yes_no', 'combination'), ('count', 'combination')]
    >>> [owner(sample.facts) for sample in samples]  # only combinations are kept from training
    ['train', 'train', 'test', 'test']
    """
    image_folder = Path(image_folder).resolve()
    samples = []
    with clear_errors(image_folder):
        image_folder.mkdir(parents=True, exist_ok=True)
        for sample, picture in generate(n, split, seed):
            sample.images = [str(image_folder / name) for name in sample.images]
            if picture is not None:
                Image.fromarray(picture).save(sample.images[0])
            samples.append(sample)
    return samples
