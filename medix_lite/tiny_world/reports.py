"""One-sentence reports. In: Samples with facts. Out: Samples whose reference is a report, for a rubric to grade against."""

from collections.abc import Sequence

from ..samples import Sample
from .lexicon import load_lexicon

SPOKEN = {
    "X_RAY": "x-ray",
    "CT_SCAN": "ct scan",
    "MRI_SCAN": "mri scan",
    "ULTRASOUND": "ultrasound",
    "MICROSCOPY": "blood film",
    "FUNDUS_PHOTOGRAPHY": "retina",
}
REPORT_QUESTION = "Describe this picture."


def report_samples(samples: Sequence[Sample], texts: Sequence[str | None]) -> tuple[list[Sample], list[str | None]]:
    """Report questions for the samples that show a finding with a side, each with the text to be graded."""
    lexicon = load_lexicon()
    questions, kept = [], []
    for sample, text in zip(samples, texts, strict=True):
        facts = sample.facts or {}
        if facts.get("finding") and facts.get("side"):
            reference = f"{SPOKEN[facts['modality']]}: {lexicon[facts['finding']].policy[0]} on the {facts['side']}"
            questions.append(Sample(id=sample.id, question=REPORT_QUESTION, reference=reference, group=sample.group))
            kept.append(text)
    return questions, kept
