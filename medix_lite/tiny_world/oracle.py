"""The oracle: is a free-text answer true of the picture? In: latent facts and an answer. Out: a truth with its reason.

It only measures. Training never sees it, and it shares no matching code with the judge, so that judge and truth can
disagree and the disagreement can be counted.

Its rule: an answer is true if it commits to the fact asked for and claims nothing that is false. True extras and true
denials are welcome. A hedge commits to nothing, and so does "not right" for "left". A size needs a unit and may be a tenth
off; a count is exact. What the facts do not record (a side, a size, a count) nobody may claim; "one glioma" only names it.

It works in three steps: a text becomes words and claims (`read`), some of these are denied or hedged (`_understand`), and
the others are held against the facts (`_faults`).
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..files import read_table
from .lexicon import findings, load_lexicon

LONGEST = 20_000  # characters that are read of an answer
REACH = 16  # how many words and claims a denial or hedge reaches, so that no text takes long
TOLERANCE = 0.1  # of a size: the error of a calliper
ABNORMAL = "something abnormal"
CONTRADICTS = "answer contradicts the reasoning"
ASKED = {"side": "side", "size": "size", "count": "count", "knowledge": "organ"}  # what a family asks for, if not the finding
RECORDED = {"side": "side", "size": "size_mm", "count": "count"}  # the facts that a picture need not have

_TOKEN = r"\d+(?:[.,]\d+)?|(?<!\w)\.\d+|x(?=\d)|(?<=[\d ])-(?=[\d ])|[^\W\d_]+(?:'[^\W\d_]+)*\d*|[.,;:!?()%~–—/]|(?<!\w)[<>≤≥]"
_CANNOT = r"\b(?:not|cannot|\w+n't)(?: \w+){0,2}? (?:exclude|rule|tell|say|determine|assess|know|sure|certain|clear)e?[dn]?\b"
_LABEL = re.compile(r"\W*(?:it is )?(?:(?:the )?(?:answer|option|choice)\W+(?:is\W+)?)?([a-z])(?!\w)(\W*)(.*)", re.DOTALL)


class Truth(NamedTuple):
    """What the oracle says: whether the answer is true, whether it hedges, why, and a score (for reports in fifths).

    >>> check_answer({"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left"}, "possibly glioma")
    Truth(correct=False, hedged=True, why='it hedges: possibly', score=0.0)
    """

    correct: bool
    hedged: bool
    why: str
    score: float


class Grade(NamedTuple):
    """A report's points of five, and the facts that it covers, misses, invents and contradicts.

    >>> facts = {"family": "report", "finding": "glioma", "side": "left", "size_mm": 20, "count": None, "truth": None}
    >>> grade = grade_report(facts, "glioma on the right")
    >>> grade.score, grade.covered, grade.missing, grade.contradicted
    (2, ['glioma'], ['left side', '20 mm'], ['right side'])
    """

    score: int
    covered: list[str]
    missing: list[str]
    invented: list[str]
    contradicted: list[str]
    why: str


@dataclass(slots=True, eq=False)
class Claim:
    """A concept, size (mm) or count that a text names; if `bound`, it is only said of a denied finding.

    >>> [(claim.value, claim.denied, claim.hedged) for claim in read("possibly glioma, no pneumonia").claims]
    [('glioma', False, True), ('pneumonia', True, False)]
    """

    kind: str
    value: Any
    denied: bool = False
    hedged: bool = False
    bound: bool = False

    @property
    def firm(self) -> bool:
        """Whether it is claimed without denial or hedge."""
        return not (self.denied or self.hedged or self.bound)


Parts = list[str | Claim]


class Reading(NamedTuple):
    """A text as the oracle reads it; `answers` holds "yes" and "no", `presents` tells that it says that a thing is there.

    >>> reading = read("Yes, perhaps there is a glioma")
    >>> reading.answers, reading.hedges
    ({'yes'}, ['perhaps'])
    """

    claims: list[Claim]
    hedges: list[str]
    answers: set[str]
    presents: bool


@cache
def _vocabulary() -> SimpleNamespace:
    """The sets and tables of `data/oracle.yaml` by their names there, and `token`, the pattern of a phrase or token."""
    raw = read_table("oracle")
    sets = {name: frozenset(words) for name, words in raw.items() if isinstance(words, list)}
    tables = {name: {word: value for value in raw[name] for word in raw[name][value]} for name in raw.keys() - sets.keys()}
    phrases = sorted((word for words in sets.values() for word in words if " " in word), key=len, reverse=True)
    return SimpleNamespace(**sets, **tables, token=re.compile(rf"\b(?:{'|'.join(phrases)})\b|{_TOKEN}"))


def _tokens(text: str) -> list[str]:
    text = re.sub(_CANNOT, "undecided", text.lower().replace("’", "'")).replace("\n", " ; ")
    return [word.removesuffix("'s") for word in _vocabulary().token.findall(text)]


@cache
def _forms() -> dict[str, list[tuple[list[str], str, str]]]:
    """Words, kind and name of every form by its first word, longest first."""
    words, forms = _vocabulary(), dict[str, list[tuple[list[str], str, str]]]()
    named = [([word], "side", "both") for word in words.both_sides] + [([word], "finding", ABNORMAL) for word in words.abnormal]
    for concept in load_lexicon().values():
        kind, singular = concept.kind.replace("disease", "finding"), [form.removeprefix("the ") for form in concept.forms("all")]
        named += [(_tokens(form + ending), kind, concept.name) for ending in ("", "s") for form in singular]
    for form in sorted(named, key=lambda form: -len(form[0])):
        forms.setdefault(form[0][0], []).append(form)
    return forms


@lru_cache(maxsize=2048)
def read(text: str | None) -> Reading:
    """What a text claims, denies and hedges. The result is shared between calls: do not change it.

    >>> [(c.value, c.denied) for c in read("No pneumonia; 1.2 cm on the left").claims]
    [('pneumonia', True), (12.0, False), ('left', False)]
    """
    tokens, forms, words, parts, i = _tokens((text or "")[:LONGEST]), _forms(), _vocabulary(), Parts(), 0
    while i < len(tokens):
        form = next((form for form in forms.get(tokens[i], ()) if tokens[i : i + len(form[0])] == form[0]), None)
        part, used = (Claim(*form[1:]), len(form[0])) if form else _number(tokens, i)
        if part in words.joints and parts[-1:] == [","]:
            parts.pop()  # "a, b, or c"
        if part not in ("a", "an", "any") or parts[-1:] not in (["or"], ["nor"]):
            parts.append(part)
        i += used
    return _understand([*parts, "."])


def _number(tokens: list[str], i: int) -> tuple[str | Claim, int]:
    """The size or count that begins at token i (hedged if only a bound or rough), or the token; and how many tokens it takes."""
    words, word, before, after = _vocabulary(), tokens[i], tokens[i - 1] if i else "", [*tokens[i + 1 : i + 4], "", "", ""]
    value = float(word.replace(",", ".")) if word.strip(".")[:1].isdecimal() else words.numbers.get(word)
    unit = after[2] if after[0] in words.through else after[0]
    if value is not None and unit in words.units:
        return Claim("size", round(value * words.units[unit], 6), hedged=before in words.bounds), 1 + (unit is after[0])
    if value is None or before in words.numbered or after[0] in words.not_counted:
        return word, 1
    return Claim("count", value, hedged=before in words.bounds | words.rough), 1


def _understand(parts: Parts) -> Reading:
    """Find what is denied, what is hedged, and whether the text says yes or no. The last part is a full stop."""
    words, answers = _vocabulary(), set[str]()
    for i in range(len(parts) - 4, -1, -1):  # "a, b or c" is "a or b or c"
        if parts[i + 1] == "," and parts[i + 3] in words.joints and _alike(parts[i], parts[i + 2]):
            parts[i + 1] = parts[i + 3]
    for i, word in enumerate(parts):
        if isinstance(word, Claim):
            continue
        answer = word == "yes" or (word == "no" and parts[i + 1] in words.after_no)
        if answer or (word == "no" and i == 0):
            answers.add(word)
        if word in words.denied_after or (not answer and (word in words.negations or word.endswith("n't"))):
            ends = parts[i + 1] in words.stops or not words.present.isdisjoint(parts[i + 1 : i + 3])
            backwards = word in words.denied_after or (ends and word not in ("no", "without"))
            _ = (backwards and _deny(parts, i, -1)) or _deny(parts, i, 1)
    claims = [part for part in parts if isinstance(part, Claim)]
    hedges = ["a rough number"] * any(claim.hedged for claim in claims)
    for i, part in enumerate(parts):
        if part in words.hedges:
            before, after = _reached(parts, i, -1), _reached(parts, i, 1)
            near = before[:1] + after[:1] if part == "or" else before + after
            if part != "or" or not near or any(claim.firm for claim in near):  # "no a or b" hedges nothing
                hedges.append(str(part))
                for claim in [claim for claim in near if claim.kind == "finding" and not claim.denied] or near:
                    claim.hedged = True
    for claim in claims:
        if claim.value == ABNORMAL and claim.denied:  # "no abnormality" in other words
            claim.value, claim.denied = "normal", False
    return Reading(claims, list(dict.fromkeys(hedges)), answers, not words.present.isdisjoint(parts))


def _alike(one: str | Claim, other: str | Claim) -> bool:
    return isinstance(one, Claim) and isinstance(other, Claim) and one.kind == other.kind


def _reached(parts: Parts, i: int, step: int) -> list[Claim]:
    """The claims that a denial or hedge at i reaches in direction `step`, nearest first: one finding and what is joined to it."""
    words, found, joined = _vocabulary(), list[Claim](), False
    for part in parts[i + 1 : i + 1 + REACH] if step > 0 else parts[max(0, i - REACH) : i][::-1]:
        if isinstance(part, Claim):
            alike = any(_alike(part, claim) for claim in found)
            if joined != alike and (joined or part.kind == "finding") and (found or step > 0):
                break
            found.append(part)
        elif part in words.stops or part in words.negations or (found and part in words.restarts):
            break
        joined = part in words.joints
    return found


def _deny(parts: Parts, i: int, step: int) -> bool:
    """Deny the findings that the word at i reaches (what is said of them is then no claim), or else claims like the nearest."""
    found = _reached(parts, i, step)
    kind = "finding" if any(claim.kind == "finding" for claim in found) else found[0].kind if found else None
    for claim in found:
        claim.denied |= claim.kind == kind
    if kind == "finding" or parts[i] in ("no", "without"):
        for claim in (*found, *_reached(parts, i, 1)):
            claim.bound |= claim.kind not in ("finding", "modality")
    return bool(found)


def _words(kind: str, value: Any) -> str:
    return {"side": "{} side", "size": "{:g} mm", "count": "count {:g}"}.get(kind, "{}").format(value)


def _fits(kind: str, value: Any, truth: Any) -> bool:
    if kind == "size" and truth is not None:
        return abs(value - truth) <= TOLERANCE * truth + 1e-9
    return bool(truth != "normal" if value == ABNORMAL else value in truth if kind == "organ" else value == truth)


def _true(facts: dict[str, Any]) -> dict[str, Any]:
    """What is true, by kind of claim. Organs are several: that of the finding, or what a normal picture shows."""
    knowledge, modality = facts["family"] == "knowledge", facts.get("modality")
    name = facts["target"] if knowledge else facts.get("finding") or "normal"
    shown = findings(modality) if name == "normal" else [load_lexicon()[name]]
    true = {"finding": name, "modality": modality, "organ": {concept.organ for concept in shown}}
    return true | {kind: facts.get(key) for kind, key in RECORDED.items()} | ({"side": "both"} if knowledge else {})


def _faults(true: dict[str, Any], claims: list[Claim]) -> dict[str, dict[str, str]]:
    """Claims that are invented (of a finding, or of what the facts lack) and those that contradict a fact, each with its kind."""
    faults: dict[str, dict[str, str]] = {"invented": {}, "contradicted": {}}
    for claim in claims:
        kind, truth, words = claim.kind, true[claim.kind], _words(claim.kind, claim.value)
        # "one glioma" only names it, and in a question without a picture any modality will do.
        idle = truth is None and (kind == "modality" or (kind == "count" and claim.value == 1))
        if claim.bound or claim.hedged or idle or claim.denied != _fits(kind, claim.value, truth):
            continue
        invented = not claim.denied and (truth is None or kind == "finding")
        faults["invented" if invented else "contradicted"][f"denial of {words}" if claim.denied else words] = kind
    return faults


def _of(kind: str, claims: list[Claim]) -> list[Claim]:
    """The claims that tell a fact of this kind; "abnormal" tells no finding."""
    return [claim for claim in claims if claim.kind == kind and not claim.bound and claim.value != ABNORMAL]


def _lists(lists: dict[str, Any]) -> str:
    return "; ".join(f"{name} {', '.join(items)}" for name, items in lists.items() if items)


def _wrong(why: str, hedged: bool = False) -> Truth:
    return Truth(False, hedged, why, 0.0)


def check_answer(facts: dict[str, Any], answer: str | None, options: list[str] | None = None) -> Truth:
    """Whether `answer` is true. A hedge, a contradiction or an extra false claim makes it wrong; extra truth does not.

    Args:
        facts: latent facts of the sample; `family` decides what is asked.
        answer: the final answer as free text; None or empty is wrong.
        options: texts of a multiple-choice question.

    >>> facts = {"family": "finding", "truth": "glioma", "finding": "glioma", "side": "left"}
    >>> check_answer(facts, "a glial tumour on the left").correct
    True
    >>> check_answer(facts, "glioma or meningioma").why
    'it hedges: or'
    """
    if not answer or not answer.strip():
        return _wrong("there is no answer")
    family, truth, answer = facts["family"], facts["truth"], answer[:LONGEST]
    if family in ("report", "summary"):
        grade = grade_report(facts, answer)
        vague = not any(claim.firm or claim.denied for claim in _of("finding", read(answer).claims))
        return Truth(grade.score == 5, vague, grade.why, grade.score / 5)
    reading = read(_with_option(answer, options) if options else answer)
    if reading.hedges:
        return _wrong(f"it hedges: {', '.join(reading.hedges)}", hedged=True)
    if family == "yes_no" and (said := _yes_or_no(facts["target"], reading)) != {truth}:
        return _wrong(f"it says {' and '.join(sorted(said)) or 'neither yes nor no'}, the truth is {truth}", hedged=not said)
    faults, asked = _faults(_true(facts), reading.claims), ASKED.get(family, "finding")
    if any(faults.values()):
        return _wrong(f"it is false: {_lists(faults)}")
    if family != "yes_no" and not any(claim.firm for claim in _of(asked, reading.claims)):
        return _wrong(f"it names no {asked}", hedged=True)
    return Truth(True, False, f"it says {truth}, which is true", 1.0)


def _with_option(answer: str, options: list[str]) -> str:
    """The answer with the text of the option whose label opens it, and of any other label in it."""
    texts = dict(zip("abcdefghijklmnopqrstuvwxyz", options, strict=False))
    label = _LABEL.match(answer.lower())
    # "a glioma" begins with an article, "a. glioma" and "a" with a label.
    if not label or label[1] not in texts or (label[1] == "a" and label[3] and label[2].isspace()):
        return answer
    words = _tokens(label[3])
    others = [word for i, word in enumerate(words) if word in texts and (word != "a" or i + 1 == len(words))]
    return ". ".join([*(texts[name] for name in dict.fromkeys([label[1], *others])), label[3]])


def _yes_or_no(target: str, reading: Reading) -> set[str]:
    """What a text says; without either word, denying the target or calling all normal is no, saying that it is there is yes."""
    if reading.answers:
        return reading.answers
    if any(claim.denied if claim.value == target else claim.firm and claim.value == "normal" for claim in reading.claims):
        return {"no"}
    return {"yes"} if reading.presents and any(claim.value == target for claim in reading.claims) else set()


def grade_report(facts: dict[str, Any], text: str | None) -> Grade:
    """Points of five for a report: 3 for the finding, 2 shared by the side, size and count on record; 5 for saying normal.

    Each claim that is invented (a finding that is not there, a side, size or count that the facts lack) or that contradicts a
    fact costs one. A hedged finding covers nothing.

    >>> facts = {"family": "report", "finding": "glioma", "side": "left", "size_mm": 20, "count": None, "truth": None}
    >>> grade_report(facts, "glioma on the right, 2 cm").why
    '3 of 5: covered glioma, 20 mm; missing left side; contradicted right side'
    """
    true, claims = _true(facts), read(text).claims
    faults = _faults(true, claims)
    extras = [kind for kind in RECORDED if true[kind] is not None and true["finding"] != "normal"]
    lists: dict[str, list[str]] = {"covered": [], "missing": []} | {name: list(words) for name, words in faults.items()}
    points = -float(len(lists["invented"]) + len(lists["contradicted"]))
    for kind in ("finding", *extras):
        told = any(claim.firm and _fits(kind, claim.value, true[kind]) for claim in _of(kind, claims))
        covered = told and kind not in faults["contradicted"].values()
        lists["covered" if covered else "missing"].append(_words(kind, true[kind]))
        points += covered * (2 / len(extras) if kind != "finding" else 3 if extras else 5)
    score = int(max(0.0, points) + 0.5 + 1e-9)
    return Grade(score, **lists, why=f"{score} of 5: {_lists(lists)}")


def check_reasoning(facts: dict[str, Any], thinking: str | None, answer: str | None) -> list[str]:
    """What is wrong with a reasoning: claims the picture does not show, or an answer that contradicts it.

    Returns:
        Names of the faults, empty if the reasoning is supported and agrees with the answer.

    >>> facts = {"family": "finding", "modality": "MRI_SCAN", "finding": "glioma", "side": "left", "truth": "glioma"}
    >>> check_reasoning(facts, "this MRI shows glioma on the left.", "meningioma")
    ['answer contradicts the reasoning']
    >>> check_reasoning(facts, "this MRI shows glioma on the right.", "glioma")  # a right answer for a wrong reason
    ['claims the wrong side']
    """
    true, claims, answered = _true(facts), read(thinking).claims, read(answer)
    kinds = {kind for wrong in _faults(true, claims).values() for kind in wrong.values()}
    firm = {claim.value for claim in _of("finding", claims) if claim.firm}
    # The target may be named where it is the subject (knowledge), or beside what is really there ("I look for glioma; I see ...").
    subject = {facts.get("target")} if facts["family"] == "knowledge" or true["finding"] in firm else set()
    faults = ["claims a finding that is not there"] if firm - {true["finding"]} - subject else []
    faults += [f"claims the wrong {kind}" for kind in ("side", "size", "count", "modality") if kind in kinds]
    asked = ASKED.get(facts["family"], "finding")
    thought, said = ({claim.value for claim in _of(asked, some) if claim.firm} for some in (claims, answered.claims))
    against = bool(thought and said and not said <= thought)
    if facts["family"] == "yes_no":
        denied = any(claim.denied and claim.value == facts["target"] for claim in claims)
        against = answered.answers == ({"yes"} if denied else {"no"}) and (denied or firm == {facts["target"]})
    return [*faults, CONTRADICTS] if against else faults
