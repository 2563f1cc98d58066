"""What the tiny policy reads before RL: a stand-in for a public pre-trained backbone.

It learns to see (its reasoning is truthful) and learns the habits of a cautious generalist (its answers are often vague).
RL later reads only tag, format and final answer; nothing written here reaches it.
"""

import numpy as np

from ..samples import Sample
from ..tiny_world.lexicon import load_lexicon
from ..tiny_world.reports import SPOKEN

VAGUE = {
    "finding": ("an abnormal finding", "something abnormal", "hard to say"),
    "side": ("on one side", "hard to say"),
    "yes_no": ("possibly", "hard to say"),
    "multiple_choice": ("one of these", "hard to say"),
    "knowledge": ("an organ", "hard to say"),
}
# Findings on which the backbone is vague, two of three in each modality in turn; on the others it mostly commits.
VAGUE_ABOUT = frozenset(
    (
        "pneumonia",
        "pleural effusion",
        "subdural haematoma",
        "glioma",
        "arachnoid cyst",
        "thyroid nodule",
        "sickle cell disease",
        "leukaemia",
        "macular degeneration",
    )
)
P_VAGUE, P_VAGUE_ELSEWHERE, P_NEAR_MISS, P_SLIP = 0.82, 0.04, 0.08, 0.12


def write_response(sample: Sample, rng: np.random.Generator) -> str:
    """One response in the backbone's manner: truthful reasoning, an answer that may be vague or a near miss, a format slip."""
    assert sample.facts is not None
    thinking, answer = _reason(sample, rng), _answer(sample, rng)
    tag = f"<{sample.modality}>" if sample.modality else ""
    response = f"{tag}<think>{thinking}</think><answer>{answer}</answer>"
    if rng.random() >= P_SLIP:
        return response
    slips = (
        response.replace("</think>", ""),
        response.replace("<answer>", ""),
        f"{tag}<answer>{answer}</answer>",
        response.removeprefix(tag),
    )
    return slips[rng.integers(len(slips) if tag else 3)]


def _reason(sample: Sample, rng: np.random.Generator) -> str:
    facts, lexicon = sample.facts or {}, load_lexicon()
    if facts["family"] == "knowledge":
        concept = lexicon[facts["target"]]
        return f"{concept.policy[0]} is a disease of the {lexicon[str(concept.organ)].policy[0]}."
    found = lexicon[facts["finding"] or "normal"].policy[0]
    if facts["modality"] == "FUNDUS_PHOTOGRAPHY":
        return f"this retina of the {facts['side']} eye shows {found}."
    place = f" on the {facts['side']}" if facts["side"] else ""
    return f"this {SPOKEN[facts['modality']]} shows {found}{place}."


def _answer(sample: Sample, rng: np.random.Generator) -> str:
    facts, lexicon = sample.facts or {}, load_lexicon()
    family, truth = facts["family"], facts["truth"]
    about = facts["target"] if family in ("knowledge", "yes_no") else facts["finding"]
    if rng.random() < (P_VAGUE if about in VAGUE_ABOUT else P_VAGUE_ELSEWHERE):
        return VAGUE[family][rng.integers(len(VAGUE[family]))]
    wrong = rng.random() < P_NEAR_MISS
    if family == "yes_no":
        return {"yes": "no", "no": "yes"}[truth] if wrong else truth
    concept = lexicon[truth]
    if wrong and concept.near_misses:
        concept = lexicon[concept.near_misses[rng.integers(len(concept.near_misses))]]
    text = concept.policy[0] if rng.random() < 0.7 else concept.policy[1 % len(concept.policy)]
    if sample.options and concept.policy[0] in sample.options and rng.random() < 0.4:
        return "ABCDEFGH"[sample.options.index(concept.policy[0])]
    return text
