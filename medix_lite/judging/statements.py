"""What a sentence says of a reference. In: a Sample and an answer. Out: whether it surely states it, or answers nothing at all.

A mention is no claim: the sentence around it must not deny it, hedge, offer alternatives, speak of what is merely like it or caused
by it, or be taken back. Of a picture nothing else may be said at all, since each further word may be a further finding.
"""

import re
import unicodedata
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Literal

from ..files import read_table
from ..samples import NUMBER_WORDS, Sample
from ..text import find_unit, is_negated, normalise, quantities, sides

# "post-viral", "5-10", "<5", "5%", "1:1000", "pneumonia/effusion" and "rh-" are one word each.
_WORD = re.compile(r"[<>≤≥±~+-]?\d+(?:[.:/-]\d+)*%?|[^\W_]+(?:[-/+][^\W_]+)*[-+]?(?!\w)|[^\W_]+|[,.?(]")
# "Jane Doe1.", "May 18, 20181", "in 1901⁶": a citation's number stuck to the word before it, as search engines' answers have it.
_CITATION = re.compile(r"(?:(?<=[a-z]{3})|(?<=[\dh], (?:19|20)\d\d)|(?<=in (?:19|20)\d\d))(?:\d{1,3}(?=[\s.,;]|$)|[⁰¹²³⁴-⁹]+)")


@cache
def rule_words() -> SimpleNamespace:
    """The sets and patterns of `data/statements.yaml` by their names there.

    >>> words = rule_words()
    >>> "dr" in words.titles, bool(words.hedge.search("possibly pneumonia"))
    (True, True)
    """
    raw = read_table("statements")
    sets = {name: frozenset(words.split()) for name, words in raw.items() if isinstance(words, str)}
    patterns = {name: re.compile(rf"(?<!\w)(?:{'|'.join(raw[name])})(?!\w)") for name in raw.keys() - sets.keys()}
    return SimpleNamespace(**sets, **patterns)


def decide_nothing(sample: Sample, answer: str) -> Literal["NO"] | None:
    """NO if the answer is none ("I do not know"), or speaks to the judge in words that question and references do not have.

    >>> asked = Sample(id="a", question="What is seen?", reference="pneumonia")
    >>> [decide_nothing(asked, text) for text in ("I do not know", "Reply YES", "pneumonia")]
    ['NO', 'NO', None]
    """
    text, known = normalise(answer), normalise(" ".join([sample.question, *sample.accepted(), *(sample.options or [])]))
    said = rule_words().to_the_judge.search(text)
    keys = re.findall(r"[a-z]{5,}", said[0]) if said else []  # where a score was asked for, "score: 5/5" is an answer
    talks = said and not (keys and all(key in known for key in keys))
    asked = normalise(sample.question)
    before = text.removesuffix(asked)
    headed = re.fullmatch(r"[^:]{3,16}: ?", before) and not any(normalise(r) in before for r in sample.accepted())
    repeats = text.endswith("?") and text.count(" ") > 2 and (text in asked or headed)
    return "NO" if talks or repeats or rule_words().no_answer.fullmatch(text) else None


@lru_cache(maxsize=4096)
def flatten(text: str) -> str:
    """The words of a text, commas and sentence ends, without articles, accents, case and "'s"; days stand before months.

    >>> flatten("The May 18th, 2018 issue. It's four by Dr. Röntgen")
    '18 may 2018 issue . it 4 by dr rontgen'
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[\n;!]", ".", text.replace("e.g.", "for example")))  # "byJane"
    plain = unicodedata.normalize("NFD", normalise(parted)).replace("n't", " not")
    plain = re.sub(r"[\u0300-\u036f]|(?<=\d),(?=\d{3}\b)|'s?\b|\b(?:an?|the) ", "", plain)
    plain = rule_words().dates.sub(lambda d: f"{d[2] or d[3]} {d[1] or d[4]} ", rule_words().short.sub(r"\1 ", plain))
    return " ".join(str(NUMBER_WORDS.index(word)) if word in NUMBER_WORDS else word for word in _WORD.findall(plain))


def states_reference(sample: Sample, answer: str) -> bool:
    """Whether the answer surely claims an accepted reference: no mention may be denied or taken back, and one must be plain.

    >>> asked = Sample(id="a", question="What causes scurvy?", reference="vitamin C deficiency")
    >>> said = "Scurvy is caused by vitamin C deficiency.", "It is not vitamin C deficiency.", "Possibly vitamin C deficiency."
    >>> [states_reference(asked, answer) for answer in said]
    [True, False, False]
    """
    text, asked, known = f" {flatten(_CITATION.sub(' ', answer))} . ", f" {flatten(sample.question)} ", rule_words()
    references = [r for r in sample.accepted() if re.search(r"\w", flatten(r)) and not _differs(answer, r)]
    named = {reference: found for reference in references if (found := list(_mention(reference, asked).finditer(text)))}
    alone, stated = len(named) == 1, False
    for reference, mention in [(reference, mention) for reference, found in named.items() for mention in found[:20]]:
        before = re.split(r" [.?] ", text[: mention.start()])[-1]
        after, end, later = re.split(r" ([.?]) ", f"{text[mention.end() :]} . ", maxsplit=1)
        # "not a but b"; "anything but b" is a denial.
        around = f"{re.sub(r'.*(?<!thing) but ', ' ', before)}|{after} "
        denied = _finds(known.denial, around, asked) or known.taken_back.search(f"{after} . {later}")
        if denied or (alone and known.either.search(around)):
            return False
        others = set(re.findall(r"\w\S*", text[: mention.start()] + text[mention.end() :]))
        doubtful = end == "?" or _finds(known.hedge, around, asked) or _is_part(reference, around, asked, others, alone)
        if sample.has_image and (doubtful or not others <= known.plain.union(asked.split())):
            return False
        stated |= not doubtful
    return stated


def _differs(answer: str, reference: str) -> bool:
    """Whether a reference denies something, which one mention cannot tell, or the answer names another side, length or mass."""
    text, wanted = normalise(answer), normalise(reference)
    units, own = ({quantity for quantity in quantities(some) if quantity[1]} for some in (text, wanted))
    return is_negated(wanted) or bool(sides(wanted) and sides(wanted) != sides(text)) or bool(own and own != units)


def _mention(reference: str, asked: str) -> re.Pattern[str]:
    """What names a reference in a flat text; a person's name may lack a middle name, or have one more."""
    wanted = re.sub(r"^(?:in|on|at|by|to|from|during) (?=\w)|(?: [,.?(])+", "", flatten(reference))
    forms = [f"{re.escape(wanted[:-1] if wanted[3:].endswith('s') else wanted)}s?".replace(r"\ ", "(?: [,.(])? ")]
    name = [word for word in wanted.split() if word not in rule_words().titles]
    capitals = all(word[0].isupper() for word in re.findall(r"[^\W\d_]+", reference))
    if len(name) > 1 and capitals and all(map(str.isalpha, name)) and re.search(r" (?:who|whom|whose|name) ", asked):
        first = f"{name[0]}\\w*" if len(name[0]) == 1 else f"(?:{name[0]}|{name[0][0]})"
        forms.append(rf"{first}(?: \w+){{0,2}} {name[-1]}")
    return re.compile(rf"(?<= )(?:{'|'.join(forms)})(?= )")


def _finds(pattern: re.Pattern[str], around: str, asked: str) -> bool:
    """Whether a pattern finds something around a mention (the bar) that is not the question's own wording."""
    return any(f" {found[0]} " not in asked for found in pattern.finditer(around))


def _is_part(reference: str, around: str, asked: str, others: set[str], alone: bool) -> bool:
    """Whether a mention is part of another thing ("pneumonia vaccine"), number ("5 million") or a list of things."""
    last, known, following = reference.split()[-1], rule_words(), around.partition("|")[2].split()[:1]
    word = following[0] if following and following[0][0].isalpha() else ""
    if re.match(r"\d", reference) and known.other_number.search(around):
        return True  # "more than 5 mm"
    if last[-1:].isdigit() or last in NUMBER_WORDS:
        return bool(known.other_number.search(around)) or f" {last} " in asked or bool(find_unit(word) and f" {word} " not in asked)
    bare = others and others.isdisjoint(known.plain)
    listed = (alone and known.list.search(around)) or (bare and ("and" in others or not around.strip(" |") or "," in around))
    harmless = not word or word in known.plain or word == "and" or f" {word} " in asked
    return not last[:1].isupper() and (bool(listed) or not harmless)  # after a name ("Jane Doe plays") any word may follow
