"""The four signals, each in [0, 1], or None where it does not apply or failed. In: Sample, Response. Out: numbers.

The accuracy signal is the score of the Verdict (`medix_lite.judging`), None if it is UNSCORED; the other three are here.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..responses import Response
from ..samples import Sample
from ..text import core, is_negated, normalise, quantities, sides
from .presets import Preset, find_preset

ReferenceCache = dict[str, NDArray[np.float32]]


def format_signal(response: Response) -> float:
    """1 if the response follows the grammar in everything, else 0.

    >>> format_signal(Response("CT_SCAN", "Dark.", "stroke")), format_signal(Response(None, None, None, ["no answer"]))
    (1.0, 0.0)
    """
    return float(not response.problems)


def modality_signal(sample: Sample, response: Response) -> float | None:
    """1 if the tag is the sample's, case-insensitive, else 0; None for a sample without a modality.

    >>> seen, read = (Sample(id="a", question="What is it?", reference="flu", modality=tag) for tag in ("CT_SCAN", None))
    >>> wrong = Response("X_RAY", "Dark.", "flu")
    >>> modality_signal(seen, wrong), modality_signal(read, wrong)  # None does not apply: it takes no part in the reward
    (0.0, None)
    """
    return None if sample.modality is None else float((response.modality or "").casefold() == sample.modality.casefold())


def semantic_signal(
    answers: Sequence[str | None],
    references_list: Sequence[Sequence[str]],
    preset: str | Preset,
    embedder: Any,
    cache: ReferenceCache | None = None,
) -> list[float | None]:
    """1 where the cosine of answer and a reference reaches the preset's threshold and nothing vetoes it, else 0.

    Args:
        answers: n final answers; a missing or blank one gets 0.
        references_list: for each, the accepted references; the best one counts.
        preset: gives the threshold and says whether mismatches veto.
        embedder: a `SentenceTransformer`.
        cache: reference, as it is embedded, -> unit vector; filled here, so that a caller who keeps it embeds each reference once.

    Returns:
        n values, 0 or 1; None where the embedder gave no finite vector.

    >>> from medix_lite.models.load import load_embedder
    >>> answers, references = ["nodule, 6 mm", "nodule, 0.5 cm"], [["nodule, 5 mm"]] * 2
    >>> {preset: semantic_signal(answers, references, preset, load_embedder()) for preset in ("faithful", "robust")}
    {'faithful': [1.0, 0.0], 'robust': [0.0, 1.0]}
    """
    preset = find_preset(preset)
    cache = {} if cache is None else cache
    texts = [(answer or "").strip() for answer in answers]
    # What a veto compares is not left to the embedder, which would see a difference.
    read: Callable[[str], str] = core if preset.vetoes else str
    forms = {text: read(text) for text in {*texts, *chain.from_iterable(references_list)}}
    wanted = {forms[reference] for references in references_list for reference in references} - cache.keys()
    fresh = list(dict.fromkeys([*(forms[text] for text in texts if text), *sorted(wanted)]))
    vectors = dict(zip(fresh, embed(embedder, fresh), strict=True)) if fresh else {}
    cache.update({form: vectors[form] for form in wanted})

    def best(text: str, references: Sequence[str]) -> float | None:
        cosines = [float(vectors[forms[text]] @ cache[forms[reference]]) for reference in references]
        if not np.all(np.isfinite(cosines)):
            return None
        # The tolerance is for the rounding of float32: 0.8 itself passes.
        near = (r for r, cosine in zip(references, cosines, strict=True) if cosine >= preset.threshold - 1e-6)
        return float(any(not (preset.vetoes and contradicts(text, reference)) for reference in near))

    return [best(text, refs) if text else 0.0 for text, refs in zip(texts, references_list, strict=True)]


def embed(embedder: Any, texts: list[str]) -> NDArray[np.float32]:
    """Unit vectors of n texts, shape (n, width), from a `SentenceTransformer`.

    >>> from medix_lite.models.load import load_embedder
    >>> vectors = embed(load_embedder(), ["pleural effusion", "fluid around the lung"])
    >>> vectors.shape, bool(vectors[0] @ vectors[1] > 0.67)
    ((2, 64), True)
    """
    readable = [text.encode("utf-8", "replace").decode() for text in texts]  # tokenizers refuse lone surrogates
    vectors = embedder.encode(readable, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
    return np.asarray(vectors, np.float32)


def contradicts(answer: str, reference: str) -> bool:
    """Whether polarity differs, the sides named by both differ, or the reference's numbers are not the answer's.

    >>> contradicts("no effusion", "effusion"), contradicts("left lung", "right lung"), contradicts("5 cm", "50 mm")
    (True, True, False)
    """
    given, wanted = normalise(answer), normalise(reference)
    other_side = sides(given) and sides(wanted) and sides(given) != sides(wanted)
    other_number = quantities(wanted) and quantities(given) != quantities(wanted)
    return bool(is_negated(given) != is_negated(wanted) or other_side or other_number)
