"""The medical lexicon: concepts, their nested surface forms and their near misses, read from `data/lexicon.yaml`."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ValidationError

from ..files import DATA, InputError

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
def load_lexicon(path: Path = DATA / "lexicon.yaml") -> dict[str, Concept]:
    """All concepts by name.

    Raises:
        InputError: the file is missing, a concept is malformed, a near miss is unknown or a form stands for two concepts.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        concepts = {name: Concept(name=name, **fields) for name, fields in raw.items()}
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise InputError(f"cannot read the lexicon {path}: {str(error).splitlines()[0]}") from error
    owner: dict[str, str] = {}
    for concept in concepts.values():
        for form in concept.forms("all"):
            if owner.setdefault(form, concept.name) != concept.name:
                raise InputError(f"{path}: {form!r} stands for both {owner[form]!r} and {concept.name!r}")
        for name in sorted(set(concept.near_misses) - concepts.keys()):
            raise InputError(f"{path}: {concept.name!r} names an unknown near miss {name!r}")
    return concepts


@cache
def findings(modality: str | None = None) -> tuple[Concept, ...]:
    """Findings that can be drawn, of one modality or of all; `normal` is not among them."""
    return tuple(c for c in load_lexicon().values() if c.kind == "finding" and c.modality and modality in (None, c.modality))
