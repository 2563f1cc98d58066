"""Whether an answer states its reference in a sentence. In: a Sample and an answer. Out: whether it surely does, or answers nothing.

A mention is no claim: the sentence around it must not deny it, hedge, offer alternatives, speak of what is merely like it or caused
by it, or be taken back. Of a picture nothing else may be said at all, since each further word may be a further finding.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from types import SimpleNamespace

from ..files import read_table
from ..samples import NUMBER_WORDS, Sample
from ..text import find_unit, is_negated, normalise, quantities, sides

_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W_]+")
_MARKS = re.compile(r"[^+<>≤≥±~%^/]")
# "Jane Doe1.", "May 18, 20181", "in 1901⁶": a citation's number stuck to the word before it, as search engines' answers have it.
_CITATION = re.compile(
    r"(?:(?<=[a-z]{3})|(?<=\d, (?:19|20)\d\d)|(?<=th, (?:19|20)\d\d)|(?<= in (?:19|20)\d\d))(?:\d{1,3}(?=[\s.,;]|$)|[⁰¹²³⁴-⁹]+)"
)


@cache
def rule_words() -> SimpleNamespace:
    """The sets and patterns of `data/statements.yaml` by their names there, and `dates`."""
    raw = read_table("statements")
    sets = {name: frozenset(words.split()) for name, words in raw.items() if isinstance(words, str)}
    patterns = {name: re.compile(rf"(?<!\w)(?:{'|'.join(raw[name])})(?!\w)") for name in raw.keys() - sets.keys()}
    month = rf"({raw['months'].replace(' ', '|')})"
    dates = re.compile(rf"\b{month} 0?(\d\d?)(?:st|nd|rd|th)?\b|\b0?(\d\d?)(?:st|nd|rd|th)? (?:of )?{month}\b")
    return SimpleNamespace(**sets, **patterns, dates=dates)


def answers_nothing(sample: Sample, text: str) -> bool:
    """Whether a normalised answer is no answer, or speaks to the judge in words that question and references do not have."""
    known, said = (
        normalise(" ".join([sample.question, *sample.accepted(), *(sample.options or [])])),
        rule_words().to_the_judge.search(text),
    )
    # A "Gleason score of 5/5" is an answer where a score was asked for.
    asked = said and (keys := re.findall(r"[a-z]{5,}", said[0])) and all(key in known for key in keys)
    return bool(rule_words().no_answer.fullmatch(text) or (said and not asked))


@lru_cache(maxsize=4096)
def read_words(text: str) -> tuple[list[str], list[str]]:
    """The words of a text without articles, accents, case and "'s", days before months; and the marks before each and at the end.

    >>> read_words("The May 18th, 2018 issue")
    (['18', 'may', '2018', 'issue'], ['', ' ', ', ', ' ', ''])
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("\n", " ; "))  # "byJane"
    folded = unicodedata.normalize("NFD", normalise(parted)).replace("n't", " not")
    plain = "".join(c for c in folded if not "\u0300" <= c <= "\u036f")
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)|'s?\b", "", re.sub(r"\b(?:an?|the) ", "", plain))
    plain = rule_words().dates.sub(lambda date: f"{date[2] or date[3]} {date[1] or date[4]}", plain)
    found = list(_WORD.finditer(plain))
    words = [str(NUMBER_WORDS.index(word[0])) if word[0] in NUMBER_WORDS else word[0] for word in found]
    ends = [0, *(word.end() for word in found)], [*(word.start() for word in found), len(plain)]
    return words, [plain[start:end] for start, end in zip(*ends, strict=True)]


def states_reference(sample: Sample, answer: str) -> bool:
    """Whether the answer surely claims an accepted reference: each sentence that names one must, and nothing may take it back."""
    words, gaps = read_words(_CITATION.sub(" ", answer))
    asked, text, known = read_words(sample.question)[0], normalise(answer), rule_words()
    starts = [0, *(i for i in range(1, len(words)) if _ends_sentence(words[i - 1], gaps[i])), len(words)]
    parts = [f", {word}" if "," in gap else word for word, gap in zip(words, gaps, strict=False)]
    references = [reference for reference in sample.accepted() if not _differs(text, normalise(reference))]
    named = {reference: places for reference in references if (places := list(_mentions(reference, asked, words, gaps)))}
    stated = False
    for reference, places in named.items():
        for first, end in places:
            start, stop = max(i for i in starts if i <= first), min(i for i in starts if i >= end)
            but = (
                i + 1 for i in range(start + 1, first) if words[i] == "but" and not words[i - 1].endswith("thing")
            )  # "not a but b"
            after = " ".join(parts[end:stop])
            around = " ".join([*parts[max([start, *but]) : first], *("," * ("," in gaps[first])), "|", after])
            later = " ".join([after, *(f". {' '.join(words[i:j])}" for i, j in pairwise(starts) if i >= stop)])
            alternatives = len(named) < 2 and known.either.search(around)
            if alternatives or _finds(known.denial, around, asked) or known.taken_back.search(later):
                return False
            next_word, others = words[end] if end < stop and not gaps[end].strip() else "", {*words[:first], *words[end:]}
            bare = others.isdisjoint(known.plain) and ("," in text or ";" in text or "and" in words or len(starts) > 2)
            listed = bare or (len(named) < 2 and bool(known.list.search(around)))
            doubtful = (
                "?" in gaps[stop] or _finds(known.hedge, around, asked) or _is_part(reference, around, next_word, asked, listed)
            )
            if sample.has_image and (doubtful or not others <= known.plain.union(asked)):
                return False
            stated |= not doubtful
    return stated


def _differs(text: str, wanted: str) -> bool:
    """Whether a reference denies something, which one mention cannot tell, or the answer names another side, length or mass."""
    units, own = ({quantity for quantity in quantities(some) if quantity[1]} for some in (text, wanted))
    return is_negated(wanted) or bool(sides(wanted) and sides(wanted) != sides(text)) or bool(own and own != units)


def _finds(pattern: re.Pattern[str], around: str, asked: list[str]) -> bool:
    """Whether a pattern finds something around a mention that is not the question's own wording."""
    return any(f" {found[0]} " not in f" {' '.join(asked)} " for found in pattern.finditer(around))


def _is_part(reference: str, around: str, next_word: str, asked: list[str], listed: bool) -> bool:
    """Whether a mention is part of another thing ("pneumonia vaccine"), number ("5 million") or a list of things."""
    last = reference.split()[-1]
    if last[-1:].isdigit() or last in NUMBER_WORDS:
        unit = bool(find_unit(next_word)) and next_word not in asked
        return unit or last in asked or bool(rule_words().other_number.search(around))
    harmless = next_word in rule_words().plain.union(asked, ("", "and")) or next_word.isdigit()
    return not last[:1].isupper() and (listed or not harmless)  # after a name ("Jane Doe plays") any word may follow


def _ends_sentence(word: str, gap: str) -> bool:
    return any(c in gap for c in "!?;") or ("." in gap and len(word) > 1 and word not in rule_words().titles)


def _edges(before: str, after: str) -> tuple[str, str]:
    """What of the marks around words is part of what they say: "Rh-", "<5", "5%", "pneumonia/effusion", "post-viral"."""
    tight = "-" * before.endswith("-") + ":" * (before == ":"), "-" * after.startswith("-") + ":" * (after == ":")
    return _MARKS.sub("", before) + tight[0], _MARKS.sub("", after) + tight[1]


def _mentions(reference: str, asked: list[str], words: list[str], gaps: list[str]) -> Iterator[tuple[int, int]]:
    """Begin and end of each place where a reference is named."""
    wanted, between = read_words(reference)
    if len(wanted) > 1 and wanted[0] in ("in", "on", "at", "by", "to", "from", "during"):
        wanted, between = wanted[1:], ["", *between[2:]]
    if not wanted:
        return
    size, edges = len(wanted), _edges(between[0], between[-1])
    for i in range(len(words) - size + 1):
        named = words[i : i + size - 1] == wanted[:-1] and words[i + size - 1].removesuffix("s") == wanted[-1].removesuffix("s")
        if named and _edges(gaps[i], gaps[i + size]) == edges:
            yield i, i + size
    name = [word for word in wanted if word not in rule_words().titles]
    capitals = all(word[0].isupper() for word in re.findall(r"[^\W\d_]+", reference))
    if len(name) > 1 and capitals and all(map(str.isalpha, name)) and {"who", "whom", "whose", "name"} & set(asked):
        for i, word in enumerate(words):  # a middle name more or less
            same = word == name[0] or (word[0] == name[0][0] and 1 in (len(word), len(name[0])))
            if same and name[-1] in words[i + 1 : i + 4]:
                yield i, words.index(name[-1], i + 1) + 1
