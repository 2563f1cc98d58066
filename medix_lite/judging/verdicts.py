"""`Verdict`, and the tiers that decide one without a model. In: a Sample and an answer. Out: a Verdict, or None.

The tiers decide only what they can decide soundly, in the order exact, option, number, lexicon; a model does the rest.
"""

import re
import string
import unicodedata
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel

from ..samples import Sample
from ..text import LENGTH, MASS, TAIL, Quantity, each_quantity, find_unit, is_negated, normalise, read_quantity, sides, strip_lead
from .claims import find_claim, main_sentences, same_words, tier_index, trim
from .statements import decide_nothing, rule_words, states_reference

Decider = Literal["exact", "option", "number", "lexicon", "model", "none"]
Answer = Literal["YES", "NO"]
Tier = tuple[Decider, Callable[[Sample, str], Answer | None], str]  # who decides, how, and what it reads
LONGEST = 2_000  # characters: a longer answer is an essay, and only the exact tier looks at it

# Latin letters beside Cyrillic ones, or Greek ones of their shape, in one word; text that runs backwards.
_LOOK_ALIKE = re.compile(r"[a-z][\u0400-\u04ffονρυκ]|[\u0400-\u04ffονρυκ][a-z]|[\u202a-\u202e\u2066-\u2069]", re.IGNORECASE)
_SHAPES = str.maketrans("аеопрстухіѕονρ", "aeonpctyxisovp")  # what these letters look like
_ARTICLE = re.compile(r"^(?:an?|the) ")
_CODE = re.compile(r"((?:[a-z]+ )?[a-z]+|\d+:) ?-?(\d+)")
_RANGE = re.compile(r"^(?:between |from )?(\d[\d.]*) ?(?:-|to|and) ?(\d[\d.]*)(?= |$)")
_LIST = re.compile(r",\s+|;|\bor\b|\band\b")
_MARKS = "".join(map(chr, range(0xE000, 0xE000 + len(string.ascii_lowercase))))  # one private character for each option
_AFTER_A = re.compile(r"|[^\w\s\ue000-\ue019]|or|and|but|because|since|as|is|not|rather|instead|[b-z]")
_PICK = rf"[{_MARKS}](?: [{_MARKS}])?"
_CONTRAST = re.compile(rf"({_PICK}) (?:not|rather than|instead of) ({_PICK})|not (?={_PICK} but ({_PICK}))({_PICK}) but {_PICK}")


class Verdict(BaseModel):
    """Whether an answer agrees with its reference (the `verdicts` file format).

    Attributes:
        verdict: YES, NO or UNSCORED (nothing could decide); None for a rubric.
        decided_by: the tier, "model", or "none" for UNSCORED.
        score: 1, 0 or rubric/5; None if UNSCORED.
        raw_score: the rubric's mark 0-5, where there is one.
        votes: the replies that were counted.
        confidence: the model's probability of its reply, 0-1.
        error: what failed; None for UNSCORED where nothing did: no rule decides and no model is asked, or `votes` disagree.

    >>> sample = Sample(id="a", question="How wide is the nodule?", reference="5 mm")
    >>> verdict = decide_by_rules(sample, "0.5 cm")
    >>> verdict.verdict, verdict.decided_by, verdict.score
    ('YES', 'number', 1.0)
    >>> decide_by_rules(sample, "quite small")  # None: no verdict, and never a NO, where no rule decides
    """

    id: str
    sample_index: int = 0
    verdict: Literal["YES", "NO", "UNSCORED"] | None
    decided_by: Decider
    score: float | None
    raw_score: float | None = None
    votes: list[str] = []
    confidence: float | None = None
    judge_id: str = "rules"
    template_id: str = "base"
    raw_reply: str | None = None
    error: str | None = None


def decide_by_rules(sample: Sample, answer: str | None, template_id: str = "base") -> Verdict | None:
    """The verdict of the first tier that can decide, or None where none can. Never raises on any string."""
    answer = answer or ""
    if decision := decide_exact(sample, answer):
        return rule_verdict(sample, decision, "exact", template_id)
    if _LOOK_ALIKE.search(answer):
        hidden = is_negated(normalise(answer.translate(_SHAPES))) and not is_negated(normalise(answer))
        return rule_verdict(sample, "NO", "exact", template_id) if hidden else None
    if rule_words().numbered.match(answer.strip()):
        return rule_verdict(sample, "NO", "exact", template_id)
    claim, disowned = find_claim(main_sentences(sample, answer))
    whole = answer if len(answer) <= LONGEST else claim
    # What an answer disowns is no longer a part of it, so a mention there states nothing; nor does one among an essay's sentences.
    said = "" if len(answer) > LONGEST else claim if disowned else whole
    first: tuple[Tier, ...] = ("exact", decide_nothing, whole), ("option", decide_option, whole), ("number", decide_number, whole)
    for tier, decide, text in (*first, ("lexicon", decide_claim, claim), ("lexicon", decide_words, said)):
        if len(text) <= LONGEST and (decision := decide(sample, text)):
            return rule_verdict(sample, decision, tier, template_id)
    return rule_verdict(sample, "NO", "exact", template_id) if disowned and not claim else None


def rule_verdict(sample: Sample, decision: Answer, tier: Decider, template_id: str) -> Verdict:
    """A YES or NO that needed no model.

    >>> asked = Sample(id="a", question="What is seen?", reference="effusion")
    >>> rule_verdict(asked, "YES", "exact", "reward").model_dump(include={"id", "score", "judge_id", "template_id"})
    {'id': 'a', 'score': 1.0, 'judge_id': 'rules', 'template_id': 'reward'}
    """
    return Verdict(id=sample.id, verdict=decision, decided_by=tier, score=float(decision == "YES"), template_id=template_id)


def decide_exact(sample: Sample, answer: str) -> Answer | None:
    """YES if the normalised answer is an accepted one; NO if there is no answer or nothing but punctuation.

    >>> asked = Sample(id="a", question="How wide?", reference="5-10 mm")
    >>> [decide_exact(asked, answer) for answer in ("Between 5 and 10 mm", "...", "7 mm")]
    ['YES', 'NO', None]
    """
    text, *references = (_RANGE.sub(r"\1 to \2", normalise(text)) for text in (answer, *sample.accepted()))
    if text and text in references:
        return "YES"
    # "-" stays open: it is a way to write "negative".
    return "NO" if text != "-" and all(unicodedata.category(c).startswith(("P", "Z", "C")) for c in text) else None


def decide_option(sample: Sample, answer: str) -> Answer | None:
    """Compare the option that the answer picks with the right one; picking two different options is NO.

    >>> asked = Sample(id="a", question="What is seen?", reference="effusion", options=["effusion", "nodule"])
    >>> [decide_option(asked, answer) for answer in ("A", "(b) nodule", "A or B", "the lung")]
    ['YES', 'NO', 'NO', None]
    """
    options = tuple(normalise(option) for option in sample.options or [])
    if not 1 < len(options) <= len(string.ascii_lowercase):
        return None
    accepted = {normalise(reference) for reference in sample.accepted()}
    right = {i for i, option in enumerate(options) if option in accepted}
    # A data set may give the label as the reference.
    right = right or {i for i in range(len(options)) if string.ascii_lowercase[i] == normalise(sample.reference)}
    claimed = claimed_options(normalise(answer), options)
    if not right or claimed is None:
        return None
    return "YES" if claimed <= right and len({options[i] for i in claimed}) == 1 else "NO"


def claimed_options(text: str, options: tuple[str, ...]) -> set[int] | None:
    """Indices of the options that a normalised answer picks, or None where that is not plain.

    >>> claimed_options("b. effusion", ("pneumonia", "effusion")), claimed_options("a or b", ("pneumonia", "effusion"))
    ({1}, {0, 1})
    """
    labels = list(string.ascii_lowercase[: len(options)])
    if text in options and (text not in labels or labels.index(text) == options.index(text)):
        return {options.index(text)}
    if any(option in labels and options[labels.index(option)] != option for option in options):
        # Blood groups: is "B" the text or the label? Only both together tell.
        both = re.fullmatch(r"[(\[]?([a-z])[)\].:]+ ?(.+)", text)
        return {labels.index(both[1]), options.index(both[2])} if both and both[1] in labels and both[2] in options else None
    words = _mark_options(text, options)
    picked = {_MARKS.index(word) for word in words if word in _MARKS}
    lead = next((i for i, word in enumerate(words) if word not in _MARKS), len(words))
    if words and lead == len(words):
        return picked
    if re.fullmatch(r"(?:both|all|any|either)(?: of)?(?: the)?(?: above| options| them)?", text):
        return set(range(len(options)))
    if contrast := _CONTRAST.fullmatch(" ".join(words)):
        own, other = ({_MARKS.index(mark) for mark in (contrast[i] or contrast[i + 2]).split()} for i in (1, 2))
        return None if own & other else own
    # A pick with its reason, as long as the reason names no other option.
    return picked if len(picked) == 1 and (lead > 1 or (lead and words[lead] in ("because", "since", "as"))) else None


def _mark_options(text: str, options: tuple[str, ...]) -> list[str]:
    """The words of an answer without fillers and punctuation; an option's text or label becomes one of `_MARKS`."""
    texts = "|".join(map(re.escape, sorted(filter(None, options), key=len, reverse=True)))  # the longest first
    bare = re.sub(rf"[{_MARKS}]", " ", text)
    marked = re.sub(rf"(?<!\w)(?:{texts or '(?!)'})(?!\w)", lambda found: f" {_MARKS[options.index(found[0])]} ", bare)
    words = re.findall(rf"[{_MARKS}]|[^\W{_MARKS}]+(?:'\w+)?|[^\w\s]", marked)
    read, labels, known = [], list(string.ascii_lowercase[: len(options)]), rule_words()
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        # A lone letter after an ordinary word ("vitamin c") is no label, and "a" before one is an article.
        alone = not before[:1].isalnum() or before in known.before_label
        if word in labels and alone and (word != "a" or _AFTER_A.fullmatch(after)):
            read.append(_MARKS[labels.index(word)])
        elif word in _MARKS or word == "?" or (word[0].isalnum() and word not in known.option_fillers):
            read.append(word)
    return read


def decide_number(sample: Sample, answer: str) -> Answer | None:
    """Compare quantities: mm/cm/m and mcg/mg/g convert, and the reference's last printed digit gives the tolerance.

    >>> asked = Sample(id="a", question="How wide is the nodule?", reference="5 mm")
    >>> [decide_number(asked, answer) for answer in ("0.5 cm", "7 mm", "5 mm or 7 mm", "quite wide")]
    ['YES', 'NO', 'NO', None]
    """
    if read_quantity(normalise(sample.reference)) is None:
        return None
    wanted = [q for reference in sample.accepted() if (q := read_quantity(normalise(reference)))]
    given = [read_quantity(strip_lead(part.strip())) for part in _LIST.split(normalise(answer)) if part.strip()]
    known = [q for q in given if q is not None]
    if not known or len(known) < len(given):
        return None
    if len({(q.value, q.dimension) for q in known}) > 1:
        return "NO"
    outcomes = [_same_quantity(known[0], reference, normalise(sample.question)) for reference in wanted]
    return "YES" if True in outcomes else "NO" if False in outcomes else None  # the alternatives say it in other units


def decide_measure(sample: Sample, text: str) -> Answer | None:
    """Compare the only quantity of a normalised sentence with the reference, or a code with one of the same letters ("T10").

    >>> asked = Sample(id="a", question="How wide is the nodule?", reference="5 mm")
    >>> [decide_measure(asked, text) for text in ("the nodule measures 0.5 cm", "it has 7 mm", "possibly 7 mm")]
    ['YES', 'NO', None]
    """
    references = list(map(normalise, sample.accepted()))
    if code := _CODE.fullmatch(text):
        alike = [same for reference in references if (same := _CODE.fullmatch(reference)) and same[1] == code[1]]
        return "NO" if alike and all(same[2] != code[2] for same in alike) else None
    known = rule_words()
    if read_quantity(references[0]) is None or any(p.search(text) for p in (known.inexact, known.hedge, known.denial)):
        return None
    named = {found for reference in references for found in each_quantity(reference)}
    # A year beside a count is no count, and the question's own numbers are no answer.
    aside = [*each_quantity(normalise(sample.question)), *(() if any(map(known.year.match, named)) else known.year.findall(text))]
    given = {found for found in each_quantity(text) if found not in aside}
    decision = decide_number(sample, *given) if len(given) == 1 else None
    return None if decision == "NO" and given & named else decision  # "2010", where "May 2010" is accepted, too


def _same_quantity(given: Quantity, wanted: Quantity, question: str) -> bool | None:
    """Whether both are the same within the wanted one's printed precision; None where the units leave it open."""
    if given.dimension != wanted.dimension:
        words = re.findall(r"[^\W\d_]+", question)
        asked = {unit for word in words if (unit := find_unit(word)) and unit.dimension == wanted.dimension}
        if not given.dimension and len(asked) == 1:  # "5" for "5 mm", asked "how many mm"
            given = given._replace(value=given.value * asked.pop().size)
        elif {given.dimension, wanted.dimension} == {LENGTH, MASS}:
            return False
        elif wanted.dimension or given.dimension not in {word.removesuffix("s") for word in (*words, *rule_words().plain)}:
            return None  # but "3 nodules" for "3", asked "how many nodules", is comparable
    if not wanted.dimension and wanted.step >= 1:  # a count
        return given.value == wanted.value
    return abs(given.value - wanted.value) < wanted.step / 2


def decide_claim(sample: Sample, claim: str) -> Answer | None:
    """YES or NO of what a normalised claim says in plain words; NO also where it denies an accepted answer.

    >>> asked = Sample(id="a", question="What is seen?", reference="pneumonia")
    >>> [decide_claim(asked, claim) for claim in ("pneumonia, because the base is white", "not pneumonia", "not a fracture")]
    ['YES', 'NO', None]
    """
    known, reference, bare = rule_words(), normalise(sample.reference), trim(sample, claim)
    before, after = known.denied.match(claim), known.refuted.search(claim)
    if (before or after) and reference not in ("yes", "no", "maybe") and not decide_exact(sample, bare):
        rest = claim[before.end() if before else 0 : after.start() if after else None].strip(" ,:")
        return "NO" if not is_negated(reference) and _decide_plainly(sample, rest) == "YES" else None
    return _decide_plainly(sample, bare)


def _decide_plainly(sample: Sample, text: str) -> Answer | None:
    text = strip_lead(text)
    if decide_exact(sample, text) == "YES" or same_words(sample, text):
        return "YES"
    adds = rule_words().adds
    if (more := adds.search(text)) and not adds.search(normalise(sample.reference)):
        return "NO" if _decide_plainly(sample, text[: more.start()].rstrip(" ,")) == "YES" else None
    deciders = (decide_nothing, decide_option, decide_number, decide_measure, _decide_yes_no, _decide_side, _decide_synonym)
    return next((decision for decide in deciders if (decision := decide(sample, text))), None)


def decide_words(sample: Sample, answer: str) -> Answer | None:
    """Yes/no references, sides, synonyms of the lexicon's tier forms, and sentences that state the reference.

    >>> asked = Sample(id="a", question="Is there an effusion?", reference="yes")
    >>> [decide_words(asked, answer) for answer in ("Yes, on the left.", "No.", "Yes, there is no effusion.")]
    ['YES', 'NO', None]
    """
    text = strip_lead(normalise(answer))
    decision = _decide_yes_no(sample, text) or _decide_side(sample, text) or _decide_synonym(sample, text)
    # A bare quantity that the number tier left open stays open.
    open_question = not (sample.options or read_quantity(text)) and normalise(sample.reference) not in ("yes", "no", "maybe")
    return decision or ("YES" if open_question and states_reference(sample, answer) else None)


def _decide_yes_no(sample: Sample, text: str) -> Answer | None:
    reference = normalise(sample.reference)
    first = re.match(r"(yes|no)\b(?P<rest>.*)", text)
    if reference not in ("yes", "no") or first is None:
        return None
    standing = set(re.findall(r"\b(yes|no)\b(?=\s*(?:[.,;:!?/)]|$|and\b|or\b|but\b))", text))
    if len(standing | {first[1]}) == 2:
        return "NO"
    # "yes, there is no effusion" and "no, an effusion is present" may contradict themselves.
    affirmed: object = re.search(r"\b(?:present|seen|visible|except|but|however|although)\b", first["rest"])
    asked = re.findall(r"[a-z]{7,}", normalise(sample.question))  # "no, it shortens it", where that was asked
    affirmed = affirmed or (not is_negated(first["rest"]) and any(word[:6] in first["rest"] for word in asked))
    against = is_negated(first["rest"]) if first[1] == "yes" else affirmed
    return None if against else "YES" if first[1] == reference else "NO"


def _decide_side(sample: Sample, text: str) -> Answer | None:
    wanted, given = sides(normalise(sample.reference)), sides(text)
    if len(wanted) != 1 or not given or is_negated(text):
        return None
    side = r"(?:(?:on|in|at) )?(?:the |its )?(?:left|right)(?:[ -](?:hand|sided?))?(?: (?P<noun>\w+))?"
    only_side = re.fullmatch(side, normalise(sample.reference))
    if given != wanted and (only_side or not given & wanted):
        return "NO" if sides(text.partition(";")[0]) != wanted else None  # what the other side does may follow
    if not only_side or not (same := re.fullmatch(side, text)):
        return None
    nouns = {None, "side", only_side["noun"], *re.findall(r"\w+", normalise(sample.question))}
    return "YES" if same["noun"] in nouns else None


def _meaning(text: str) -> tuple[frozenset[str], bool]:
    """Concepts that the whole normalised text may stand for (empty: unknown), and whether it denies them."""
    index, text = tier_index(), "not normal" if text == "abnormal" else text
    bare = TAIL.sub("", text)
    for candidate in (text, bare, _ARTICLE.sub("", bare)):
        if candidate in index:
            return index[candidate], False
    denial = rule_words().denies.fullmatch(bare)
    return (index.get(_ARTICLE.sub("", denial["rest"]), frozenset()), True) if denial else (frozenset(), False)


def _decide_synonym(sample: Sample, text: str) -> Answer | None:
    listed = [_meaning(part.strip()) for part in _LIST.split(text)]
    if len(listed) > 1 and all(found and not denied for found, denied in listed):
        return None if frozenset.intersection(*(found for found, _ in listed)) else "NO"
    given, denied = _meaning(text)
    wanted = [_meaning(normalise(reference)) for reference in sample.accepted()]
    if not given or not wanted[0][0]:
        return None
    # "no pneumonia" contradicts "pneumonia", but says nothing about "effusion".
    outcomes = [denied == other if given & concepts else None if denied or other else False for concepts, other in wanted]
    return "YES" if True in outcomes else None if None in outcomes else "NO"
