"""Training examples of the tiny judge and embedder, labelled by how they are built (the oracle is not asked).

They use the `model` forms of the lexicon, never the forms that only the oracle knows. One pairing in eight is held out
(`is_held_out`), so that the judge can be measured on pairings that it has not seen.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..files import read_table
from ..samples import NUMBER_WORDS, OPTION_LABELS, Sample
from ..tiny_world.lexicon import Concept, findings, load_lexicon
from ..tiny_world.phantoms import SIDES
from ..tiny_world.questions import COUNTS, count_of, generate, pick, place_of, seed_of
from .warmup import pick_other

Example = tuple[Sample, str, str]
Random = np.random.Generator
P_COPY, P_GRADED, P_RUBRIC, P_OTHER_REFERENCE, P_DETAIL = 0.4, 0.3, 0.5, 0.2, 0.2


def judge_questions(n: int, seed: int) -> list[Sample]:
    """`n` questions of the tiny world without pictures, for `judge_example` to answer.

    >>> [sample.reference for sample in judge_questions(2, seed=0)]
    ['thyroid calcification', 'aorta']
    """
    return [sample for sample, _ in generate(n, "warmup", seed, pictures=False)]


def judge_example(questions: Sequence[Sample], rng: Random, unseen: bool = False) -> Example:
    """A sample, a candidate and its verdict: YES or NO half and half; for every second report a rubric score 0 to 5.

    Args:
        questions: from `judge_questions`.
        unseen: whether the pairing is one of those held out from training.

    >>> questions, rng = judge_questions(20, seed=0), np.random.default_rng(0)
    >>> verdicts = [verdict for _, _, verdict in (judge_example(questions, rng) for _ in range(100))]
    >>> 0 < verdicts.count("YES") < 100, set(verdicts) - {"YES", "NO"} <= set("012345")
    (True, True)
    """
    while True:
        graded = rng.random() < P_GRADED
        sample: Sample = pick(rng, questions)
        while sample.graded != graded:
            sample = pick(rng, questions)
        if graded:
            example = _graded_example(sample, rng)
        else:
            truth = load_lexicon().get(str((sample.facts or {})["truth"]))
            if truth and not sample.options and rng.random() < P_OTHER_REFERENCE:
                sample = sample.model_copy(update={"reference": _form(truth, rng)})
            right = rng.random() < 0.5
            example = sample, (_right if right else _wrong)(sample, rng), "YES" if right else "NO"
        copied = example[1] == sample.reference
        if (copied and not unseen) or (not copied and is_held_out(sample, example[1]) == unseen):
            return example


def is_held_out(sample: Sample, candidate: str) -> bool:
    """Whether the judge's training leaves this pairing of reference and candidate out, whatever the question.

    Where there are few answers (side, size, count, yes or no, options) the question is part of the pairing.

    >>> questions, rng = judge_questions(20, seed=0), np.random.default_rng(0)
    >>> sample, candidate, _ = judge_example(questions, rng, unseen=True)
    >>> candidate != sample.reference and is_held_out(sample, candidate)
    True
    """
    few = sample.options or (sample.facts or {})["family"] in ("side", "size", "count", "yes_no")
    return seed_of("judge", sample.question if few else "", sample.reference, candidate) % 8 == 0


def _form(concept: Concept, rng: Random) -> str:
    return str(pick(rng, concept.forms("model")))


def _near(concept: Concept, rng: Random) -> Concept:
    """A near miss, or any other concept of its kind."""
    lexicon = load_lexicon()
    if concept.near_misses and rng.random() < 0.7:
        return lexicon[pick(rng, concept.near_misses)]
    return pick(rng, [c for c in lexicon.values() if c.kind == concept.kind and c is not concept])


def _say_size(millimetres: float, rng: Random) -> str:
    return pick(rng, read_table("answers")["sizes"]).format(mm=millimetres, cm=millimetres / 10)


def _say_count(count: int, counted: str | None, rng: Random) -> str:
    number = pick(rng, (str(count), NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)))
    return f"{number} {count_of(count, counted).split(' ', 1)[1]}" if counted and rng.random() < 0.3 else number


def _right(sample: Sample, rng: Random) -> str:
    facts, lexicon, say = sample.facts or {}, load_lexicon(), read_table("answers")
    family, truth = facts["family"], facts["truth"]
    # Plain copies of the reference: without these easy positives the judge finds no foothold and stays at chance.
    if rng.random() < P_COPY:
        return sample.reference
    if family == "yes_no":
        form = _form(lexicon[facts["target"]], rng)
        return pick(rng, say["says"][truth]).format(form)
    if family == "size":
        return pick(rng, say["wraps"][:5]).format(_say_size(truth, rng))
    if family == "count":
        return _say_count(truth, lexicon[facts["finding"]].counted, rng)
    concept = lexicon[truth]
    text = _form(concept, rng)
    if sample.options and rng.random() < 0.5:
        return pick(rng, say["labels"]).format(label=sample.option_label(), text=sample.reference)
    if family in ("finding", "multiple_choice") and rng.random() < P_DETAIL and concept.name != "normal":
        text += place_of(facts["side"], facts["modality"]) if facts["side"] else ""
        text += f", {_say_size(facts['size_mm'], rng)}" if facts["size_mm"] else ""
        return text
    return pick(rng, say["wraps"]).format(text)


def _wrong(sample: Sample, rng: Random) -> str:
    facts, lexicon, say = sample.facts or {}, load_lexicon(), read_table("answers")
    family, truth = facts["family"], facts["truth"]
    kind = rng.random()
    if kind < 0.1:
        return pick(rng, say["vague"][family])
    if kind < 0.15:
        return pick(rng, say["junk"][: 4 if family == "yes_no" else None])  # there, "YES" may be right
    if family == "yes_no":
        form = _form(lexicon[facts["target"]], rng)
        return pick(rng, say["says"]["no" if truth == "yes" else "yes"] + say["neither"]).format(form)
    if family == "size":
        sizes = lexicon[facts["finding"]].sizes
        wrong = pick(rng, (truth * 10, truth / 10, pick_other(rng, sizes, truth), pick_other(rng, sizes, truth)))
        hedge = f"{_say_size(truth, rng)} or {_say_size(pick_other(rng, sizes, truth), rng)}"
        return hedge if rng.random() < 0.15 else pick(rng, say["wraps"][:5]).format(_say_size(wrong, rng))
    if family == "count":
        wrong = pick_other(rng, (*COUNTS, 10 * truth), truth)
        hedge = f"{truth} or {wrong}" if wrong < 10 else "a few"
        return hedge if rng.random() < 0.15 else _say_count(wrong, lexicon[facts["finding"]].counted, rng)
    concept = lexicon[truth]
    other = _near(concept, rng)
    if sample.options and rng.random() < 0.5:
        text = pick_other(rng, sample.options, sample.reference)
        label = OPTION_LABELS[sample.options.index(text)]
        return pick(rng, [*say["labels"], "{text}"]).format(label=label, text=text)
    if kind < 0.55:
        return pick(rng, say["wraps"]).format(_form(other, rng))
    if kind < 0.7:
        return pick(rng, say["denials"][: None if concept.kind == "finding" else 1]).format(_form(concept, rng))
    return pick(rng, say["hedged"]).format(_form(concept, rng), other=_form(other, rng))


def _graded_example(sample: Sample, rng: Random) -> Example:
    """A report with some facts told, some left out, some false; half get a mark from 0 to 5, half YES (all is told) or NO.

    The finding is worth 3 points, the other facts share 2 (without any the finding is worth 5), a false claim costs 1.
    """
    facts, lexicon = sample.facts or {}, load_lexicon()
    concept = lexicon[facts["finding"] or "normal"]
    marked, told = rng.random() < P_RUBRIC, rng.random() < 0.5
    names = [name for name in ("side", "size_mm", "count") if facts[name] is not None and concept.name != "normal"]
    # 0 told, 1 told falsely, 2 left out; a verdict of YES needs all of them told.
    fate = dict.fromkeys(("finding", *names), 0)
    while marked or not told:
        fate = {name: int(rng.choice(3, p=(0.6, 0.25, 0.15))) for name in fate}
        if marked or any(fate.values()):
            break
    worth = (2 / len(names) if names else 0, -1, 0)
    points = sum(worth[fate[name]] for name in names) + (3 if names else 5, -1, 0)[fate["finding"]]
    if fate["finding"] < 2:
        text = _form(concept if fate["finding"] == 0 else _near_finding(concept, rng), rng)
    else:
        text = pick(rng, read_table("answers")["left_open"])
    if fate.get("side", 2) < 2:
        side = facts["side"] if fate["side"] == 0 else pick_other(rng, SIDES, facts["side"])
        before = fate["finding"] < 2 and rng.random() < 0.3
        text = f"{side}-sided {text}" if before else text + place_of(side, facts["modality"])
    if fate.get("size_mm", 2) < 2:
        wrong = pick(rng, (facts["size_mm"] * 10, pick_other(rng, concept.sizes, facts["size_mm"])))
        text += f", {_say_size(facts['size_mm'] if fate['size_mm'] == 0 else wrong, rng)}"
    if fate.get("count", 2) < 2:
        number = facts["count"] if fate["count"] == 0 else pick_other(rng, COUNTS, facts["count"])
        text += f", {count_of(number, str(concept.counted))}"
    mark = int(min(5, max(0, points)))  # points are whole: no finding has three further facts
    if marked:
        return sample, text, str(mark)
    if told and rng.random() < P_COPY:
        return sample, sample.reference, "YES"
    return sample, text, "YES" if not any(fate.values()) else "NO"


def _near_finding(concept: Concept, rng: Random) -> Concept:
    others = [c for c in findings(concept.modality) if c is not concept]
    return pick(rng, [*others, load_lexicon()["normal"]] if concept.modality and rng.random() < 0.2 else others)


def synonym_pairs(unseen: bool = False) -> list[tuple[str, str]]:
    """Ordered pairs of `model` forms of one concept.

    One in three of those without the first form is held out from the embedder's training, so that every form is drawn to the
    first, and two others may never have met.

    >>> ("leukaemia", "leukemia") in synonym_pairs(), set(synonym_pairs()) & set(synonym_pairs(unseen=True))
    (True, set())
    """
    pairs = [(c.policy[0], a, b) for c in load_lexicon().values() for a in c.forms("model") for b in c.forms("model") if a != b]
    left_out = [first not in (a, b) and seed_of("synonyms", *sorted((a, b))) % 3 == 0 for first, a, b in pairs]
    return [(a, b) for (_, a, b), held in zip(pairs, left_out, strict=True) if held == unseen]


def near_miss_pairs() -> list[tuple[str, str]]:
    """Pairs of `model` forms of two concepts that are near misses of each other.

    >>> ("pneumothorax", "pneumonia") in near_miss_pairs()
    True
    """
    lexicon = load_lexicon()
    near = [(concept, lexicon[name]) for concept in lexicon.values() for name in concept.near_misses]
    return [pair for one, other in near for pair in product(one.forms("model"), other.forms("model"))]
