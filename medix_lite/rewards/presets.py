"""The two ways to turn signals into a reward; the weights are MediX-R1's in both."""

from dataclasses import dataclass, field

from ..files import InputError

PUBLISHED_WEIGHTS = {"accuracy": 0.9 * 0.575, "semantic": 0.9 * 0.375, "modality": 0.9 * 0.05, "format": 0.1}


@dataclass(frozen=True)
class Preset:
    """A composite reward.

    Attributes:
        name: as written into the rewards file.
        weights: signal -> weight; a signal of weight 0 cannot spoil the total.
        threshold: cosine from which the semantic signal is 1. The default is where held-out synonyms and near misses part best
            for the tiny embedder (tests/benchmarks/minimal_pairs.py --calibrate).
        vetoes: whether a mismatch of polarity, side or number sets the semantic signal to 0 (and the cosine is of the rest).
        tiers: whether all deterministic tiers may decide, or only the exact match before the model.
        zero_rule: whether answers that are empty, one character long or hold "__", ":" or "?" get 0 for both accuracy
            signals, as in the authors' code.

    >>> strict = Preset("strict", threshold=0.9)
    >>> strict.weights == PRESETS["robust"].weights, strict.zero_rule
    (True, False)
    """

    name: str
    weights: dict[str, float] = field(default_factory=lambda: dict(PUBLISHED_WEIGHTS))
    threshold: float = 0.67
    vetoes: bool = True
    tiers: bool = True
    zero_rule: bool = False


PRESETS = {"robust": Preset("robust"), "faithful": Preset("faithful", threshold=0.8, vetoes=False, tiers=False, zero_rule=True)}


def find_preset(preset: str | Preset) -> Preset:
    """The preset of that name; a `Preset` is returned as it is.

    Raises:
        InputError: there is none.

    >>> find_preset("faithful").zero_rule, find_preset("robust").zero_rule
    (True, False)
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise InputError(f"unknown reward preset {preset!r}; use one of {', '.join(PRESETS)}")
    return PRESETS[preset]
