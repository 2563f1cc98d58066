"""`Response`: what a policy wrote, read by MediX-R1's grammar. In: a Sample (for the prompt). Out: a Response.

Grammar (paper): `<MODALITY_TAG> <think>reasoning</think> <answer>final answer</answer>` and nothing else. The released
checkpoints write `<thinking>`; both are read. For a text-only sample the grammar has no tag.
"""

import re
from dataclasses import dataclass, field

from .files import read_table
from .modalities import MODALITIES
from .samples import OPTION_LABELS, Sample

_TAG = re.compile(rf"<([A-Z][A-Z_]*|(?i:{'|'.join(MODALITIES)}))>", re.ASCII)
_THINK_OPEN = re.compile(r"<think(?:ing)?>")
_THINK_CLOSE = re.compile(r"</think(?:ing)?>")
_REOPENED = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


@dataclass
class Response:
    """A parsed response.

    Attributes:
        modality: the tag it begins with, or None.
        thinking: the reasoning, or None.
        answer: the final answer, or None if there is none after the reasoning has closed.
        problems: every deviation from the grammar, by name; empty means well formed.

    >>> parse_response("<think>White base.</think> effusion", has_image=False)
    Response(modality=None, thinking='White base.', answer=None, problems=['no answer'])
    """

    modality: str | None
    thinking: str | None
    answer: str | None
    problems: list[str] = field(default_factory=list)


def parse_response(text: str, *, has_image: bool = True, aliases: bool = False) -> Response:
    """Read a response: strict about naming what is wrong, lenient about finding the answer. Never raises.

    An `<answer>` counts only after the reasoning has closed, so an answer rehearsed inside the reasoning does not.
    A tag in small letters is read (the paper compares tags without regard to case), and named as a problem. With `aliases` so is
    another name of a modality, as `data/modality_aliases.yaml` lists them (`<CT>` for `<CT_SCAN>`); it stays an unknown tag.

    >>> parse_response("<X_RAY> <think>White base.</think> <answer>pleural effusion</answer>").answer
    'pleural effusion'
    >>> parse_response("<answer>flu</answer>").problems
    ['no modality tag', 'no reasoning']
    """
    body = text.strip()
    tag = _TAG.match(body)
    name = tag[1].upper() if tag else ""
    modality = name if name in MODALITIES else None
    body = body[tag.end() :].lstrip() if tag else body
    opened, closed = _THINK_OPEN.search(body), _THINK_CLOSE.search(body)
    thinking, before = None, ""
    if opened and closed and opened.end() <= closed.start():
        thinking, before = body[opened.end() : closed.start()].strip(), body[: opened.start()]
    # An answer rehearsed in reasoning that is opened again does not count.
    rest = _REOPENED.sub(" ", body[closed.end() :] if closed else "" if opened else body)
    answers = list(_ANSWER.finditer(rest, 0, rest.rfind("</answer>") + len("</answer>")))
    answer = answers[0][1].strip() if answers else None
    beside = [before, rest[: answers[0].start()], rest[answers[-1].end() :]] if answers else []
    deviations = {
        "no modality tag": has_image and not tag,
        "unknown modality tag": has_image and tag and not modality,
        "modality tag without an image": tag and not has_image,
        "modality tag not in capitals": has_image and tag and modality and not tag[1].isupper(),
        "empty reasoning": thinking == "",
        "reasoning not closed": opened and not closed,
        "reasoning not opened": closed and thinking is None,
        "no reasoning": not opened and not closed,
        "reasoning stands twice": len(_THINK_OPEN.findall(body)) > 1 or len(_THINK_CLOSE.findall(body)) > 1,
        "no answer": answer is None,
        "empty answer": answer == "",
        "answer stands twice": answers and (len(answers) > 1 or rest.count("<answer>") > 1),
        "text outside the grammar": any(map(str.strip, beside)),
    }
    problems = [problem for problem, found in deviations.items() if found]
    return Response(modality or (read_table("modality_aliases").get(name) if aliases else None), thinking, answer, problems)


def format_question(sample: Sample) -> str:
    """The question, and below it the options of a multiple-choice question with their labels.

    >>> print(format_question(Sample(id="a", question="What is seen?", reference="flu", options=["cold", "flu"])))
    What is seen?
    A. cold
    B. flu
    """
    options = [f"{label}. {text}" for label, text in zip(OPTION_LABELS, sample.options or [], strict=False)]
    return "\n".join([sample.question, *options])


def build_prompt(sample: Sample, style: str = "full", max_chars: int | None = None) -> str:
    """The user's text before a response: role, tags, order of the parts, question.

    Args:
        sample: the question; a text-only sample gets a prompt that names no tags.
        style: `full` for a pre-trained model, `compact` for the tiny policy, which pays for every token.
        max_chars: a longer question loses text from its start, where the context stands; None keeps all.

    >>> sample = Sample(id="a", question="A man of 60 coughs. What is it?", reference="pneumonia")
    >>> print(build_prompt(sample, "compact", max_chars=11))  # the end asks, so it stays; no picture, no tags
    Medical assistant: <think><answer>
    What is it?
    """
    words, question = read_table("prompts")[style], format_question(sample)
    tags = words["tags"].format(tags=words["between"].join(f"<{tag}>" for tag in MODALITIES)) if sample.has_image else ""
    return words["prompt"].format(tags=tags, question=question if max_chars is None else question[-max_chars:])
