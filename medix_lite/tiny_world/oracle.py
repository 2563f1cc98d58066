"""The oracle: is a free-text answer true of the picture? In: latent facts and an answer. Out: a truth with its reason.

It only measures. Training never sees it, and it shares no matching code with the judge, so that judge and truth can
disagree and the disagreement can be counted.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from .lexicon import load_lexicon

HEDGES = frozenset(
    [
        "or",
        "either",
        "possibly",
        "possible",
        "maybe",
        "perhaps",
        "probably",
        "likely",
        "might",
        "could",
        "may",
        "unclear",
        "uncertain",
        "suspected",
        "something",
        "one",
        "some",
        "abnormal",
        "hard",
        "cannot",
        "unsure",
        "unknown",
        "differential",
        "question",
    ]
)
NEGATIONS = frozenset(["no", "not", "without", "absent", "never", "nothing", "neither", "nor", "isn't"])
DENIED_AFTER = frozenset(["absent", "excluded", "not", "ruled", "unlikely", "negative"])


@dataclass(frozen=True)
class Truth:
    """What the oracle says: whether the answer is true, whether it hedges, and why."""

    correct: bool
    hedged: bool
    why: str


@dataclass(frozen=True)
class Mention:
    """A concept named in a text, and whether a negation stands right before it or a denial soon after."""

    concept: str
    kind: str
    negated: bool


@cache
def _forms() -> list[tuple[tuple[str, ...], str, str]]:
    forms = [(tuple(_words(f)), c.name, c.kind) for c in load_lexicon().values() for f in c.forms("all")]
    return sorted(forms, key=lambda form: -len(form[0]))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower().replace("-", " "))


def read_mentions(text: str) -> tuple[list[Mention], list[str]]:
    """Concepts named in a text, longest form first, and the words that are part of none.

    >>> read_mentions("No pneumonia on the left")[0]
    [Mention(concept='pneumonia', kind='finding', negated=True), Mention(concept='left', kind='side', negated=False)]
    """
    words = _words(text)
    found: list[tuple[str, str, int]] = []  # concept, kind, place in `rest`
    rest: list[str] = []
    position = 0
    while position < len(words):
        for form, concept, kind in _forms():
            if tuple(words[position : position + len(form)]) == form:
                found.append((concept, kind, len(rest)))
                rest.append("#")
                position += len(form)
                break
        else:
            rest.append(words[position])
            position += 1
    mentions = []
    for concept, kind, place in found:
        before = " ".join(rest[:place]).rpartition("#")[2].split()
        after = rest[place + 1 : place + 5]
        after = after[: after.index("#")] if "#" in after else after
        # "X, not Y" denies Y: a "not" that ends at the next mention belongs to that one.
        denied = bool(set(after) & DENIED_AFTER) and not (rest[place + 1 + len(after) :] and after[-1:] == ["not"])
        negated = bool(set(before[-2:]) & NEGATIONS) or (kind != "side" and denied)
        mentions.append(Mention(concept, kind, negated))
    return mentions, [word for word in rest if word != "#"]


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
        return Truth(False, False, "there is no answer")
    family, truth = facts["family"], facts["truth"]
    if options:
        label = re.fullmatch(r"\W*([a-z])\W*(?:\s+(.*))?", answer.strip().lower(), re.DOTALL)
        if (
            label
            and ord(label[1]) - ord("a") < len(options)
            and (label[2] is None or re.match(r"\W*[a-z]\W*[.):\s]", answer.strip().lower()))
        ):
            text = options[ord(label[1]) - ord("a")]
            if label[2]:
                named = {m.concept for m in read_mentions(label[2])[0]}
                if named != {m.concept for m in read_mentions(text)[0]}:
                    return Truth(False, False, f"label {label[1].upper()} and text {label[2]!r} disagree")
            answer = text
    mentions, rest = read_mentions(answer)
    hedges = sorted(set(rest) & HEDGES)
    if hedges:
        return Truth(False, True, f"it hedges: {', '.join(hedges)}")
    if family == "yes_no":
        return _check_yes_no(facts, mentions, rest)
    if family == "side":
        return _compare({m.concept for m in mentions if m.kind == "side" and not m.negated}, truth, "side")
    if family == "knowledge":
        return _compare({m.concept for m in mentions if m.kind == "organ" and not m.negated}, truth, "organ")
    named = {m.concept for m in mentions if m.kind == "finding" and not m.negated}
    denied = {m.concept for m in mentions if m.kind == "finding" and m.negated}
    if truth in denied:
        return Truth(False, False, f"it denies {truth}")
    wrong_side = {m.concept for m in mentions if m.kind == "side" and not m.negated} - {facts.get("side")}
    if wrong_side:
        return Truth(False, False, f"it claims the {' and '.join(sorted(wrong_side))} side, the facts say {facts.get('side')}")
    return _compare(named, truth, "finding")


def _compare(named: set[str], truth: str, kind: str) -> Truth:
    if named == {truth}:
        return Truth(True, False, f"it names the {kind} {truth}")
    if not named:
        return Truth(False, True, f"it names no {kind}")
    return Truth(False, False, f"it names {' and '.join(sorted(named))}, the {kind} is {truth}")


def _check_yes_no(facts: dict[str, Any], mentions: list[Mention], rest: list[str]) -> Truth:
    said = {"yes", "no"} & set(rest)
    if len(said) != 1:
        return Truth(False, not said, "it says both yes and no" if said else "it says neither yes nor no")
    if said != {facts["truth"]}:
        return Truth(False, False, f"it says {said.pop()}, the truth is {facts['truth']}")
    false = {m.concept for m in mentions if m.kind == "finding" and not m.negated} - {facts["finding"] or "normal"}
    denied = {m.concept for m in mentions if m.kind == "finding" and m.negated}
    if facts["truth"] == "yes" and facts["target"] in denied:
        return Truth(False, False, f"it says yes and denies {facts['target']}")
    if false:
        return Truth(False, False, f"it also claims {' and '.join(sorted(false))}")
    return Truth(True, False, f"it says {facts['truth']}, which is true")


def check_reasoning(facts: dict[str, Any], thinking: str | None, answer: str | None) -> list[str]:
    """What is wrong with a reasoning: claims the picture does not show, or an answer that contradicts it.

    Returns:
        Names of the faults, empty if the reasoning is supported and agrees with the answer.
    """
    faults = []
    mentions, _ = read_mentions(thinking or "")
    claimed = {m.concept for m in mentions if m.kind == "finding" and not m.negated}
    true_finding = facts.get("finding") or ("normal" if "finding" in facts else facts.get("target"))
    if claimed - {true_finding, facts.get("target")}:
        faults.append("claims a finding that is not there")
    if {m.concept for m in mentions if m.kind == "side"} - {facts.get("side")}:
        faults.append("claims the wrong side")
    answered = {m.concept for m in read_mentions(answer or "")[0] if m.kind == "finding" and not m.negated}
    if facts["family"] in ("finding", "multiple_choice") and claimed and answered and not answered <= claimed:
        faults.append("answer contradicts the reasoning")
    return faults
