"""What an answer commits to. In: a Sample and an answer. Out: its claim without leads, fillers, explanations, what is set aside."""

import re
from collections import Counter
from functools import cache

from ..samples import Sample
from ..text import is_negated, normalise, quantities, sides
from ..tiny_world.lexicon import load_lexicon
from .statements import flatten, rule_words

_SENTENCE = re.compile(r"(?<=[\w)%/][\w)%][.!?;])\s+|(?<=\s\d[.!?;])\s+|(?<=^\d[.!?;])\s+|\n+")
_ASKED = re.compile(r"(?:\w+ of )?\b(?:which|what) \w+")  # "lack of which vitamin"
_ENDING = re.compile(r"(?<=\w{4})(?:ar|al|a|s)$")


def find_claim(answer: str) -> tuple[str, str]:
    """The normalised claim of an answer and what it disowns before it ("" where it commits to all it says).

    >>> find_claim("Macular hole? No, it is macular oedema."), find_claim("Reasoning: 20 mm is too much. Answer: 12 mm")
    (('macular oedema', 'macular hole? no,'), ('12 mm', 'reasoning: 20 mm is too much.'))
    """
    known, text, disowned = rule_words(), normalise(answer.replace("<", " <")), ""
    if leads := list(known.commits.finditer(text)):
        disowned, text = text[: leads[-1].start()].strip(), text[leads[-1].end() :].strip(" :,")
    for _ in range(4):  # each pass copies the text
        if not (found := known.set_aside.match(text) or known.opening.match(text)):
            break
        disowned += found[0] if found.re is known.set_aside else ""
        text = text[found.end() :].strip(" :,")
    return known.closing.sub("", text).rstrip(" ,:"), disowned


def trim(sample: Sample, claim: str) -> str:
    """A claim without an explanation at its end, as long as that neither takes it back, hedges, nor names something else.

    >>> asked = Sample(id="a", question="What is seen?", reference="pneumonia")
    >>> trim(asked, "pneumonia, because the base is white"), trim(asked, "pneumonia, because of a pleural effusion")
    ('pneumonia', 'pneumonia, because of a pleural effusion')
    """
    known = rule_words()
    searched = (pattern.search(claim) for pattern in (known.excludes, known.explains))
    found = min(filter(None, searched), key=re.Match.start, default=None)
    if not found:
        return claim
    head, tail, other = claim[: found.start()], claim[found.end() :], found.re is known.excludes
    named = other and any(normalise(reference) in tail for reference in sample.accepted())
    doubtful = known.unsettled.search(found[0] + tail) or known.hedge.search(tail) or re.search(r"[.;?]|:(?!\d)", tail)
    told = normalise(" ".join(sample.accepted()))
    numbers = re.search(r"\d", told) and re.search(r"\d", tail) and not quantities(tail) <= {q for q in quantities(told) if q[1]}
    more = not other and (not sides(tail) <= sides(told) or numbers or names_concept(tail))
    return claim if not head or named or doubtful or more else head.rstrip(" ,;(")


@cache
def tier_index() -> dict[str, frozenset[str]]:
    """Normalised tier form -> names of the lexicon concepts that it stands for.

    >>> sorted(tier_index()["lungs"])
    ['lung']
    """
    index: dict[str, frozenset[str]] = {}
    for name, concept in load_lexicon().items():
        for form in map(normalise, concept.forms("tier")):
            index[form] = index.get(form, frozenset()) | {name}
    return index


def names_concept(text: str) -> bool:
    """Whether a normalised text names a finding or a disease of the lexicon, by any of its tier forms.

    >>> names_concept("signs of pneumonia"), names_concept("signs of nothing")
    (True, False)
    """
    words, lexicon = re.findall(r"[\w'-]+", text), load_lexicon()
    named = (tier_index().get(" ".join(words[i : i + size]), ()) for size in range(1, 6) for i in range(len(words)))
    return any(lexicon[concept].kind in ("finding", "disease") for concepts in named for concept in concepts)


def main_sentences(sample: Sample, answer: str) -> str:
    """An answer without the sentences that claim nothing: no word of question or references, no medicine, name or number.

    >>> asked = Sample(id="a", question="What is seen?", reference="pneumonia")
    >>> main_sentences(asked, "I went through all of it with great care. It is pneumonia.")
    'It is pneumonia.'
    """
    sentences, known = _SENTENCE.split(answer), rule_words()
    if len(sentences) < 2:
        return answer
    about = set(map(_stem, flatten(" ".join([sample.question, *sample.accepted(), *(sample.options or [])])).split()))
    about = {word for word in about if word not in known.plain | known.bare and (len(word) > 3 or word.isdigit())}

    def says_something(sentence: str) -> bool:
        text = normalise(sentence)
        claims = known.commits.search(text) or known.medicine.search(text) or known.taken_back.search(f". {text}") or "?" in text
        marked = re.search(r"\d|(?<=\w)[ ,;][A-Z](?!\b)", sentence) or len(text.split()) < 5
        return bool(claims or marked or names_concept(text)) or not about.isdisjoint(map(_stem, text.split()))

    return " ".join(sentence for sentence in sentences if says_something(sentence))


def _stem(word: str) -> str:
    return _ENDING.sub("", word.strip(",.;:"))


def same_words(sample: Sample, text: str) -> bool:
    """Whether a normalised text has the content words of an accepted reference in any order ("oedema of the macula").

    Neither may deny anything, and the noun that the question asks for ("which nerve") may be left out.

    >>> asked = Sample(id="a", question="What is seen?", reference="macular oedema")
    >>> [same_words(asked, text) for text in ("oedema of the macula", "no oedema of the macula", "oedema of the lung")]
    [True, False, False]
    """
    known, asked = rule_words(), set(map(_stem, " ".join(_ASKED.findall(normalise(sample.question))).split()))

    def content(some: str) -> tuple[Counter[str], list[str]]:
        words = [_stem(word) for word in re.findall(r"\w\S*", flatten(some).replace("-", " ")) if word not in known.bare]
        return Counter(word for word in words if word not in asked), [word for word in words if len(word) == 1 or word.isdigit()]

    own = content(text)
    # A minus, a sign of comparison or a slash is content.
    plain = not is_negated(text) and len(sides(text)) < 2 and not known.hedge.search(text) and not re.search(r"[^\w\s,.'()-]", text)
    others = (content(reference) for reference in sample.accepted() if not is_negated(normalise(reference)))
    return plain and bool(own[0]) and own in others
