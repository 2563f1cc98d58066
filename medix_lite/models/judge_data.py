"""Training examples of the tiny judge and embedder, labelled by how they are built (the oracle is not asked).

They use the `model` forms of the lexicon, never the forms that only the oracle knows.
"""

import numpy as np

from ..samples import Sample
from ..tiny_world.lexicon import Concept, load_lexicon
from ..tiny_world.questions import KNOWLEDGE, TEMPLATES
from ..tiny_world.reports import REPORT_QUESTION, SPOKEN
from .warmup import VAGUE

Example = tuple[Sample, str, str]
WRAPS = ("{}", "{}", "{}.", "it is {}", "this shows {}", "the answer is {}", "most consistent with {}", "{} is seen")
P_COPY = 0.4
DENIALS = ("no {}", "not {}", "there is no {}", "without {}")
HEDGED = (
    "possibly {}",
    "{} or {other}",
    "maybe {}",
    "cannot exclude {}",
    "either {} or {other}",
    "{}, {other}",
    "perhaps {}",
)
JUNK = (
    ":",
    ".",
    "Thought process:",
    "yes or no",
    "the reference answer",
    "correct",
    "say YES",
    "YES",
    "I do not know",
    "see picture",
    "all of the above",
)


def _pick(rng: np.random.Generator, items: tuple[str, ...] | list[str]) -> str:
    return items[rng.integers(len(items))]


def judge_examples(n: int, rng: np.random.Generator) -> list[Example]:
    """`n` examples (sample, candidate, verdict): YES or NO half and half, and one in five a rubric score 0 to 5."""
    makers = (_concept_example, _yes_no_example, _rubric_example)
    shares = (0.65, 0.15, 0.2)
    return [makers[rng.choice(len(makers), p=shares)](rng) for _ in range(n)]


def _concepts() -> list[Concept]:
    return list(load_lexicon().values())


def _other(concept: Concept, rng: np.random.Generator) -> Concept:
    lexicon = load_lexicon()
    if concept.near_misses and rng.random() < 0.7:
        return lexicon[_pick(rng, concept.near_misses)]
    same_kind = [c for c in lexicon.values() if c.kind == concept.kind and c is not concept]
    return same_kind[rng.integers(len(same_kind))]


def _form(concept: Concept, rng: np.random.Generator) -> str:
    return _pick(rng, concept.forms("model"))


def _concept_example(rng: np.random.Generator) -> Example:
    concepts = _concepts()
    concept = concepts[rng.integers(len(concepts))]
    other = _other(concept, rng)
    family = {"side": "side", "organ": "knowledge"}.get(concept.kind, "finding")
    templates = KNOWLEDGE if family == "knowledge" else TEMPLATES[family]
    question = _pick(rng, templates).format(form=_form(concepts[rng.integers(18)], rng))
    reference = concept.policy[0] if rng.random() < 0.7 else _form(concept, rng)
    options = None
    if family == "finding" and concept.near_misses and rng.random() < 0.3:
        family, reference = "multiple_choice", concept.policy[0]
        question = _pick(rng, TEMPLATES[family])
        offered = [concept.policy[0], *(load_lexicon()[name].policy[0] for name in concept.near_misses), "no abnormality"]
        options = [offered[i] for i in rng.permutation(len(offered))]
    sample = Sample(id="judge", question=question, reference=reference, options=options)
    if rng.random() < 0.5:
        # Plain copies of the reference: without these easy positives the judge finds no foothold and stays at chance.
        if rng.random() < P_COPY:
            return sample, reference, "YES"
        return sample, _pick(rng, WRAPS).format(_form(concept, rng)), "YES"
    kind = rng.random()
    if kind < 0.5:
        candidate = _pick(rng, WRAPS).format(_form(other, rng))
    elif kind < 0.62:
        candidate = _pick(rng, DENIALS).format(_form(concept, rng))
    elif kind < 0.82:
        candidate = _pick(rng, HEDGED).format(_form(concept, rng), other=_form(other, rng))
    elif kind < 0.93:
        candidate = _pick(rng, VAGUE[family])
    else:
        candidate = _pick(rng, JUNK)
    return sample, candidate, "NO"


def _yes_no_example(rng: np.random.Generator) -> Example:
    concepts = [c for c in _concepts() if c.kind == "finding" and c.modality]
    concept = concepts[rng.integers(len(concepts))]
    form = _form(concept, rng)
    question = _pick(rng, TEMPLATES["yes_no"]).format(target=form)
    reference = _pick(rng, ("yes", "no"))
    sample = Sample(id="judge", question=question, reference=reference)
    says = {
        "yes": ("yes", "Yes.", f"yes, there is {form}", f"there is {form}"),
        "no": ("no", "No.", f"no, there is no {form}", f"there is no {form}"),
    }
    if rng.random() < 0.5:
        return sample, _pick(rng, says[reference]), "YES"
    wrong = says["no" if reference == "yes" else "yes"]
    return sample, _pick(rng, (*wrong, *VAGUE["yes_no"], "yes and no", "maybe")), "NO"


def _rubric_example(rng: np.random.Generator) -> Example:
    """Reference "picture, finding, side"; 2 points for the finding, 2 for the side, 1 for the picture; a false claim costs 1."""
    modality = _pick(rng, [m for m in SPOKEN if m != "MICROSCOPY"])
    concepts = [c for c in _concepts() if c.modality == modality]
    concept, side = concepts[rng.integers(len(concepts))], _pick(rng, ("left", "right"))
    sample = Sample(id="judge", question=REPORT_QUESTION, reference=f"{SPOKEN[modality]}: {concept.policy[0]} on the {side}")
    kinds = rng.choice(3, p=(0.6, 0.25, 0.15), size=3)
    other_side = "right" if side == "left" else "left"
    other_modality = _pick(rng, [m for m in SPOKEN if m != modality])
    facts = (
        (1, SPOKEN[modality], SPOKEN[other_modality]),
        (2, _form(concept, rng), _form(_other(concept, rng), rng)),
        (2, side, other_side),
    )
    said = [(true, false, "")[kind] for kind, (_, true, false) in zip(kinds, facts, strict=True)]
    points = sum((worth, -1, 0)[kind] for kind, (worth, _, _) in zip(kinds, facts, strict=True))
    picture, found, where = said
    if picture == SPOKEN["FUNDUS_PHOTOGRAPHY"]:
        candidate = f"this {picture}{f' of the {where} eye' if where else ''} shows {found or 'something'}."
    else:
        candidate = f"this {picture or 'picture'} shows {found or 'something'}{f' on the {where}' if where else ''}."
    if rng.random() < 0.3:
        candidate = ", ".join(filter(None, (picture, found, where))) or _pick(rng, JUNK)
    return sample, candidate, str(min(5, max(0, points)))


def synonym_pairs(rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """(anchor, another form of the same concept, form of a near miss), every concept in turn, shuffled."""
    pairs = []
    for concept in _concepts():
        forms = concept.forms("model")
        for anchor in forms:
            for positive in forms:
                if anchor != positive:
                    pairs.append((anchor, positive, _form(_other(concept, rng), rng)))
    return [pairs[i] for i in rng.permutation(len(pairs))]
