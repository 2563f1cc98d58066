"""The medical lexicon: concepts, their nested surface forms and their near misses, read from `data/lexicon.yaml`."""

from functools import cache
from typing import Literal

from pydantic import BaseModel

from ..files import read_table

FormSet = Literal["policy", "tier", "model", "all"]
Age = Literal["child", "adult", "older"]
Sex = Literal["woman", "man"]
FORM_SETS: tuple[FormSet, ...] = ("policy", "tier", "model", "all")


class Concept(BaseModel, extra="forbid"):
    """One concept; `policy`, `tier`, `model`, `all` each hold only what they add to the sets before them.

    Attributes:
        kind: a `finding` can be drawn, a `disease` is only asked about in words.
        sided: whether the finding has a side. `sizes`: in mm, where it is measured. `counted`: what is counted, in the plural.
        ages, sexes: in whom it is drawn, so that no child has presbycusis.
        ambiguous: forms that mean something else elsewhere.

    >>> concept = load_lexicon()["pneumothorax"]
    >>> concept.modality, concept.sided, concept.near_misses[0]
    ('X_RAY', True, 'pneumonia')
    """

    name: str
    kind: Literal["finding", "disease", "organ", "modality", "side"]
    modality: str | None = None
    organ: str | None = None
    sided: bool = False
    sizes: list[int] = []
    counted: str | None = None
    ages: list[Age] = ["child", "adult", "older"]
    sexes: list[Sex] = ["woman", "man"]
    policy: list[str]
    tier: list[str]
    model: list[str]
    all: list[str]
    ambiguous: list[str] = []
    near_misses: list[str] = []

    def forms(self, form_set: FormSet) -> tuple[str, ...]:
        """Surface forms in `form_set`; each set contains the ones before it.

        >>> load_lexicon()["lung"].forms("tier")
        ('lung', 'the lungs', 'lungs')
        """
        return tuple(form for name in FORM_SETS[: FORM_SETS.index(form_set) + 1] for form in getattr(self, name))


@cache
def load_lexicon() -> dict[str, Concept]:
    """All concepts by name."""
    return {name: Concept(name=name, **fields) for name, fields in read_table("lexicon").items()}


@cache
def findings(modality: str | None = None) -> tuple[Concept, ...]:
    """Findings that can be drawn, of one modality or of all; `normal` is not among them.

    >>> [concept.name for concept in findings("MICROSCOPY")]
    ['malaria', 'sickle cell disease', 'leukaemia']
    """
    return tuple(c for c in load_lexicon().values() if c.kind == "finding" and c.modality and modality in (None, c.modality))
