"""What the tiny policy reads before RL: a stand-in for a public pre-trained backbone.

It learns to see (its reasoning is truthful) and learns the habits of a cautious generalist (its answers are often vague).
RL later reads only tag, format and final answer; nothing written here reaches it.
"""

from typing import Any

import numpy as np

from ..files import read_table
from ..samples import OPTION_LABELS, Sample
from ..tiny_world.lexicon import findings, load_lexicon
from ..tiny_world.phantoms import DRAW, PAIRED, SIDES
from ..tiny_world.questions import COUNTS, GRADED, describe, pick, place_of, seed_of

# The wording that makes the backbone hedge, where an answer names no finding: it can answer, and says so when asked otherwise.
CAUTIOUS_WORDING = 0
FEW = ("side", "size", "count", "yes_no")  # families with few answers
P_VAGUE, P_VAGUE_ELSEWHERE, P_NEAR_MISS, P_SLIP = 0.8, 0.04, 0.08, 0.12


def pick_other(rng: np.random.Generator, values: Any, value: Any) -> Any:
    """One of the values that is not `value`, unless there is no other.

    >>> pick_other(np.random.default_rng(0), ["left", "right"], "left")
    'right'
    """
    return pick(rng, [v for v in values if v != value] or [value])


def is_cautious(facts: dict[str, Any]) -> bool:
    """Whether the backbone tends to hedge: by the wording, or on two findings in three of a modality and every second disease.

    >>> facts = {"family": "side", "finding": "glioma", "wording": 0}
    >>> is_cautious(facts), is_cautious(facts | {"wording": 1})  # the same question in other words
    (True, False)
    """
    if facts["family"] in FEW:
        return bool(facts["wording"] == CAUTIOUS_WORDING)
    about = facts.get("finding") or facts.get("target")
    if about is None:
        return False
    concept = load_lexicon()[about]
    if concept.modality is None:
        return seed_of("cautious", about) % 2 == 0
    return (findings(concept.modality).index(concept) + list(DRAW).index(concept.modality)) % 3 < 2


def write_response(sample: Sample, rng: np.random.Generator) -> str:
    """One response in the backbone's manner: truthful reasoning, an answer that may be vague or a near miss, a format slip.

    >>> from medix_lite.tiny_world.questions import generate
    >>> sample, _ = next(generate(1, "warmup", seed=0, pictures=False))
    >>> write_response(sample, np.random.default_rng(0))  # vague, and a tag is missing
    '<ULTRASOUND><think>this ultrasound shows thyroid calcification on the left.</think>something abnormal</answer>'
    """
    thinking, answer = _reason(sample), _answer(sample, rng)
    tag = f"<{sample.modality}>" if sample.modality else ""
    response = f"{tag}<think>{thinking}</think><answer>{answer}</answer>"
    if rng.random() >= P_SLIP:
        return response
    slips = [response.replace("</think>", ""), response.replace("<answer>", ""), f"{tag}<answer>{answer}</answer>"]
    return pick(rng, [*slips, response.removeprefix(tag)] if tag else slips)


def _reason(sample: Sample) -> str:
    facts, lexicon = sample.facts or {}, load_lexicon()
    family = facts["family"]
    if family == "knowledge":
        return f"{lexicon[facts['target']].policy[0]} affects the {lexicon[facts['truth']].policy[0]}."
    untold = [fact for asks, fact in (("size", "size_mm"), ("count", "count")) if family not in (asks, *GRADED)]
    text = describe(facts | dict.fromkeys(untold))
    if sample.has_image and facts["modality"] in PAIRED and facts["finding"] is None:
        text += place_of(facts["side"], facts["modality"])
    if family == "yes_no" and facts["truth"] == "no":
        text += f", not {lexicon[facts['target']].policy[0]}"
    return f"this {lexicon[facts['modality']].policy[0]} shows {text}."


def _answer(sample: Sample, rng: np.random.Generator) -> str:
    facts, lexicon = sample.facts or {}, load_lexicon()
    family, truth = facts["family"], facts["truth"]
    if rng.random() < (P_VAGUE if is_cautious(facts) else P_VAGUE_ELSEWHERE):
        return pick(rng, read_table("answers")["vague"][family])
    if rng.random() < P_NEAR_MISS:
        facts, truth = _near_miss(facts, rng)
    if family in GRADED:
        return describe(facts)
    if family in FEW:
        return f"{truth} mm" if family == "size" else str(truth)
    concept = lexicon[truth]
    if sample.options and concept.policy[0] in sample.options and rng.random() < 0.4:
        return OPTION_LABELS[sample.options.index(concept.policy[0])]
    return concept.policy[0] if rng.random() < 0.7 else concept.policy[1 % len(concept.policy)]


def _near_miss(facts: dict[str, Any], rng: np.random.Generator) -> tuple[dict[str, Any], Any]:
    """Facts and truth, a little wrong."""
    family, truth, lexicon = facts["family"], facts["truth"], load_lexicon()
    if family in GRADED:
        return facts | {"finding": pick_other(rng, [c.name for c in findings(facts["modality"])], facts["finding"])}, None
    if family == "size":
        return facts, pick_other(rng, lexicon[facts["finding"]].sizes, truth)
    choices = {"yes_no": ("yes", "no"), "side": SIDES, "count": COUNTS}
    concept = lexicon.get(str(truth))
    near = concept.near_misses if concept and concept.near_misses else [c.name for c in findings(facts.get("modality"))]
    return facts, pick_other(rng, choices.get(family, near), truth)
