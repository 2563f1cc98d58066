"""`Response`: what a policy wrote, read by MediX-R1's grammar. In: a Sample (for the prompt). Out: a Response.

Grammar (paper): `<MODALITY_TAG> <think>reasoning</think> <answer>final answer</answer>` and nothing else. The released
checkpoints write `<thinking>`; both are read. For a text-only sample the grammar has no tag.
"""

import re
from dataclasses import dataclass, field

from .files import read_table
from .modalities import MODALITIES
from .samples import OPTION_LABELS, Sample

_TAG = re.compile(r"<([A-Za-z][A-Za-z_]*)>")
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
    problems = []
    body = text.strip()
    tag = _TAG.match(body)
    if tag and not tag.group(1).isupper() and tag.group(1).upper() not in MODALITIES:
        tag = None
    name = tag.group(1).upper() if tag else ""
    modality = name if name in MODALITIES else None
    if tag:
        body = body[tag.end() :].lstrip()
    if has_image and tag is None:
        problems.append("no modality tag")
    elif has_image and modality is None:
        problems.append("unknown modality tag")
    elif not has_image and tag:
        problems.append("modality tag without an image")
    elif tag and not tag.group(1).isupper():
        problems.append("modality tag not in capitals")

    opened, closed = _THINK_OPEN.search(body), _THINK_CLOSE.search(body)
    thinking, rest, before = None, body, ""
    if opened and closed and opened.end() <= closed.start():
        thinking = body[opened.end() : closed.start()].strip()
        rest, before = body[closed.end() :], body[: opened.start()]
        if not thinking:
            problems.append("empty reasoning")
    elif opened and not closed:
        problems.append("reasoning not closed")
        rest = ""
    elif closed:
        problems.append("reasoning not opened")
        rest = body[closed.end() :]
    else:
        problems.append("no reasoning")
    if len(_THINK_OPEN.findall(body)) > 1 or len(_THINK_CLOSE.findall(body)) > 1:
        problems.append("reasoning stands twice")

    rest = _REOPENED.sub(" ", rest)  # an answer rehearsed in reasoning that is opened again does not count
    answers = list(_ANSWER.finditer(rest, 0, rest.rfind("</answer>") + len("</answer>")))
    answer = answers[0].group(1).strip() if answers else None
    if not answer:
        problems.append("no answer" if answer is None else "empty answer")
    if answers and (len(answers) > 1 or rest.count("<answer>") > 1):
        problems.append("answer stands twice")
    if answers and (before.strip() or rest[: answers[0].start()].strip() or rest[answers[-1].end() :].strip()):
        problems.append("text outside the grammar")
    return Response(modality or (read_table("modality_aliases").get(name) if aliases else None), thinking, answer, problems)


def format_question(sample: Sample) -> str:
    """The question, and below it the options of a multiple-choice question with their labels."""
    options = [f"{label}. {text}" for label, text in zip(OPTION_LABELS, sample.options or [], strict=False)]
    return "\n".join([sample.question, *options])


def build_prompt(sample: Sample, style: str = "full", max_chars: int | None = None) -> str:
    """The user's text before a response: role, tags, order of the parts, question.

    Args:
        sample: the question; a text-only sample gets a prompt that names no tags.
        style: `full` for a pre-trained model, `compact` for the tiny policy, which pays for every token.
        max_chars: a longer question loses text from its start, where the context stands; None keeps all.
    """
    words, question = read_table("prompts")[style], format_question(sample)
    tags = words["tags"].format(tags=words["between"].join(f"<{tag}>" for tag in MODALITIES)) if sample.has_image else ""
    return words["prompt"].format(tags=tags, question=question if max_chars is None else question[-max_chars:])
