"""Judges: rules, the tiny model, or any OpenAI-compatible server, alone or as a panel. In: Samples and answers. Out: Verdicts.

What a judge cannot decide is UNSCORED with the error beside it; a failure never becomes a NO.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from ..files import InputError, complete_jsonl
from ..responses import format_question
from ..samples import Sample, content_id
from .servers import Ask, Reply, check_server, is_loopback, openai_judge, parse_server, refuse_to_send
from .templates import Template, parse_reply, render, strip_reasoning, template_of
from .verdicts import Verdict, decide_by_rules

JUDGE_NAMES = "rules, tiny, openai:MODEL@URL, J*3 (three seeds), J+J+J (a panel), or model-only:J for any of them but rules"
RULES_ID = "rules-4"
BATCH = 64  # prompts in one forward pass of a local judge
MOST_VOTES = 25


Texts = Sequence[str | None]  # answers, None where there is none


class Voter(NamedTuple):
    """A model that is asked, each time in a conversation of its own.

    Attributes:
        ask: prompts and their template -> one reply for each, in order.
        judge_id: model with revision or hash, and how it is sampled.
        compact: whether it reads the compact templates.
        served: whether a server answers, which leaves this process free meanwhile.
        remote: whether asking it sends text off this machine.

    >>> polite = Voter(lambda prompts, template: [Reply("YES") for _ in prompts], "polite")
    >>> asked = Sample(id="a", question="What is seen?", reference="effusion")
    >>> judge = Judge("mine", (polite,), rules=None, judge_id="polite")
    >>> [(verdict.verdict, verdict.judge_id) for verdict in judge_answers(judge, [asked], ["a fracture"])]
    [('YES', 'polite')]
    """

    ask: Ask
    judge_id: str = "model"
    compact: bool = False
    served: bool = False
    remote: bool = False


@dataclass(frozen=True)
class Judge:
    """A way to decide.

    Attributes:
        name: as in `make_judge`.
        voters: who is asked where no rule decides; the majority counts, and of marks the median.
        rules: what decides first; None lets the voters decide everything.
        judge_id: what stands in every verdict: the rules' version and the voters.
        cache: replies by voter, template and prompt; the same answer in a group, or in a later step, is asked about once.
    """

    name: str
    voters: tuple[Voter, ...] = ()
    rules: Callable[[Sample, str, str], Verdict | None] | None = decide_by_rules
    judge_id: str = ""
    cache: dict[str, Reply] = field(default_factory=dict, repr=False, compare=False)


def make_judge(name: str) -> Judge:
    """The judge of that name, checked to be usable.

    Raises:
        InputError: the name is unknown, the weights are missing or changed, or the server does not serve the model.

    >>> {name: len(make_judge(name).voters) for name in ("rules", "tiny", "tiny*3", "tiny+tiny*3")}
    {'rules': 0, 'tiny': 1, 'tiny*3': 3, 'tiny+tiny*3': 4}
    >>> make_judge("opneai:gpt@http://me:secret@host")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: unknown judge 'opneai:gpt'; use one of rules, tiny, ...
    """
    base = name.removeprefix("model-only:")
    models = [] if name == "rules" else re.split(r"\+(?=tiny|openai:)", base)
    voters = tuple(voter for model in models for voter in _make_voters(model))
    rules, ids = (decide_by_rules, [RULES_ID]) if base == name else (None, [])
    return Judge(name, voters, rules, "+".join([*ids, *(voter.judge_id for voter in voters)]))


def _make_voters(name: str) -> list[Voter]:
    base, votes = re.fullmatch(r"(.*?)(?:\*(\d{1,2}))?", name, re.DOTALL).groups()  # type: ignore[union-attr]
    # One vote is the likeliest reply; several are drawn at temperature 1, each with its own seed.
    seeds: list[int | None] = [*range(int(votes))] if votes else [None]
    server = parse_server(base)
    if (base != "tiny" and server is None) or not 1 <= len(seeds) <= MOST_VOTES:
        # What follows an @ may be a password.
        raise InputError(f"unknown judge {name.partition('@')[0]!r}; use one of {JUDGE_NAMES}")
    marks = ["" if seed is None else f"?seed={seed}" for seed in seeds]
    if server is None:
        from ..models.load import load_judge, model_hash

        ask, judge_id = partial(local_replies, *load_judge()), f"tiny@{model_hash('tiny:judge')}"
        return [Voter(partial(ask, seed=s), judge_id + mark, compact=True) for s, mark in zip(seeds, marks, strict=True)]
    model, url = server
    judge_id, where = f"{base}#{check_server(url, model)}", {"served": True, "remote": not is_loopback(url)}
    return [Voter(openai_judge(model, url, seed=s), judge_id + mark, **where) for s, mark in zip(seeds, marks, strict=True)]


def judge_answers(
    judge: Judge,
    samples: Sequence[Sample],
    answers: Texts,
    template: Template | None = None,
    indices: Sequence[int] | None = None,
    errors: Texts | None = None,
) -> list[Verdict]:
    """One verdict for each answer, in order.

    An answer that is missing or blank is a NO (rubric: 0) without asking. Answers with the same question, references
    and candidate are asked about once.

    Args:
        judge: from `make_judge`.
        samples: the question of each answer.
        answers: final answers, None where there is none; reasoning in them is stripped unless the template judges it.
        template: binary or rubric; None is the one of each sample's kind, as in an evaluation.
        indices: the `sample_index` of each answer, 0 by default.
        errors: why there is no response, for each one that never came; it is UNSCORED.

    Raises:
        InputError: a sample may not leave this machine and the judge would send it.

    >>> asked = Sample(id="a", question="What is seen?", reference="pleural effusion")
    >>> answers = ["Pleural effusion.", "no pleural effusion", None, "water on the chest"]
    >>> [(verdict.verdict, verdict.decided_by) for verdict in judge_answers(make_judge("rules"), [asked] * 4, answers)]
    [('YES', 'exact'), ('NO', 'lexicon'), ('NO', 'exact'), ('UNSCORED', 'none')]
    """
    if any(voter.remote for voter in judge.voters):
        refuse_to_send(samples, judge.name)
    asked = [template or template_of(sample) for sample in samples]
    verdicts: dict[int, Verdict] = {}
    open_: dict[Template, dict[tuple[str, ...], list[int]]] = {}
    for position, (sample, answer, own) in enumerate(zip(samples, answers, asked, strict=True)):
        text = (answer or "").strip() if own.reads_reasoning else strip_reasoning(answer or "")
        if errors and (error := errors[position]):
            verdicts[position] = _model_verdict(sample, [Reply(None, error=error)], own)
            continue
        rules = judge.rules if text and own.kind == "binary" else None if text else decide_by_rules
        if rules and (decided := rules(sample, text, own.id)):
            verdicts[position] = decided
        else:
            open_.setdefault(own, {}).setdefault((format_question(sample), *sample.accepted(), text), []).append(position)
    for own, places in open_.items():
        first = [(samples[positions[0]], key[-1]) for key, positions in places.items()]
        votes = [_ask(judge, voter, [render(own, s, text, voter.compact) for s, text in first], own) for voter in judge.voters]
        for number, positions in enumerate(places.values()):
            replies = [said[number] for said in votes]
            verdicts |= {position: _model_verdict(samples[position], replies, own) for position in positions}
    in_order = [verdicts[position] for position in range(len(samples))]
    for verdict, index, own in zip(in_order, indices or [0] * len(samples), asked, strict=True):
        verdict.sample_index, verdict.judge_id = index, judge.judge_id or judge.name
        if own.kind == "rubric" and verdict.verdict == "NO":
            verdict.verdict, verdict.raw_score = None, 0.0
    return in_order


def _ask(judge: Judge, voter: Voter, prompts: list[str], template: Template) -> list[Reply]:
    """Replies to prompts, from the cache where it has them; only replies that can be read are kept there."""
    keys = [content_id(voter.judge_id, template.id, prompt) for prompt in prompts]
    fresh = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in judge.cache}
    replies = dict(zip(fresh, voter.ask(list(fresh.values()), template), strict=True)) if fresh else {}
    judge.cache.update({key: reply for key, reply in replies.items() if parse_reply(template, reply.text)})
    return [judge.cache.get(key) or replies[key] for key in keys]


def _model_verdict(sample: Sample, replies: list[Reply], template: Template) -> Verdict:
    """What more than half of the voters say: one choice, or for a rubric the median of their marks."""
    votes = [choice for reply in replies if (choice := parse_reply(template, reply.text))]
    enough = 2 * len(votes) > len(replies)
    choice, count = Counter(votes).most_common(1)[0] if votes else ("", 0)
    decision: dict[str, Any] = {"decided_by": "model", "verdict": None}
    if template.kind == "rubric" and enough:
        mark = float(median(map(int, votes)))
        decision |= {"score": mark / 5, "raw_score": mark}
    elif template.kind == "binary" and 2 * count > len(replies):
        decision |= {"verdict": choice, "score": float(choice == "YES")}
    else:
        unread = f"the reply is none of {', '.join(template.choices)}" if replies and not enough else None
        error = next((reply.error for reply in replies if reply.error), unread)
        decision = {"verdict": "UNSCORED", "decided_by": "none", "score": None, "error": error}
    said = [reply.text for reply in replies if reply.text is not None]
    # A lone surrogate, which JSON can spell, would make the verdict unwritable.
    raw = " | ".join(said).encode("utf-8", "replace").decode() if said else None
    confidence = replies[0].confidence if len(replies) == 1 else count / len(replies) if enough else None
    return Verdict(id=sample.id, template_id=template.id, votes=votes, raw_reply=raw, confidence=confidence, **decision)


def judge_to_file(
    path: Path,
    judge: Judge,
    samples: Sequence[Sample],
    answers: Texts,
    indices: Sequence[int],
    template: Template | None = None,
    errors: Texts | None = None,
) -> list[Verdict]:
    """Verdicts on answers, appended to a file as they come, so that a killed judging goes on.

    A verdict that stands there is kept if judge, template, question, references and answer are the same and it was scored;
    `input` in each row is a hash of these.

    Raises:
        InputError: the file holds something else; nothing in it is written over.

    >>> import tempfile
    >>> path, asked = Path(tempfile.mkdtemp()) / "verdicts.jsonl", Sample(id="a", question="What is seen?", reference="effusion")
    >>> [judge_to_file(path, make_judge("rules"), [asked], ["Effusion."], [0])[0].verdict for _ in range(2)]
    ['YES', 'YES']
    >>> path.read_text().count("\\n")  # the second call read it
    1
    """
    columns: tuple[Sequence[Any], ...] = samples, answers, indices, errors or [None] * len(samples)
    keys = [
        content_id(judge.judge_id, (template or template_of(s)).id, s.id, str(i), format_question(s), *s.accepted(), str(answer))
        for s, answer, i in zip(samples, answers, indices, strict=True)
    ]

    def make(chunk: list[int]) -> list[dict[str, Any]]:
        asked, given, numbers, failed = ([column[i] for i in chunk] for column in columns)
        return [verdict.model_dump() for verdict in judge_answers(judge, asked, given, template, numbers, failed)]

    return [Verdict.model_validate(row) for row in complete_jsonl(path, keys, make, "verdicts", "score")]


def local_replies(model: Any, tokenizer: Any, prompts: list[str], template: Template, seed: int | None = None) -> list[Reply]:
    """Replies of a causal language model, its probability among the choices as confidence.

    Only the logits of the choices' first tokens are compared, at the one position after the prompt.

    Args:
        seed: draws each reply at temperature 1, the same one for the same prompt; None takes the likeliest.

    Raises:
        InputError: the tokenizer gives two choices the same first token.

    >>> from medix_lite.judging.templates import REWARD
    >>> from medix_lite.models.load import load_judge
    >>> asked = Sample(id="a", question="What is seen?", reference="pleural effusion")
    >>> answers = "fluid around the lung", "pneumothorax"
    >>> replies = local_replies(*load_judge(), [render(REWARD, asked, answer, compact=True) for answer in answers], REWARD)
    >>> [reply.text for reply in replies]
    ['YES', 'NO']
    """
    import torch

    starts = [tokenizer(choice, add_special_tokens=False).input_ids[0] for choice in template.choices]
    if len(set(starts)) < len(starts):
        raise InputError(f"this judge's tokenizer cannot tell {', '.join(template.choices)} apart by one token")
    users = ([{"role": "user", "content": prompt}] for prompt in prompts)
    chats = [tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True) for user in users]
    order = sorted(range(len(chats)), key=lambda index: len(chats[index]))
    replies: dict[int, Reply] = {}
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        texts = [chats[index] for index in batch]
        encoded = tokenizer(texts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
        inputs = {name: encoded[name].to(model.device) for name in ("input_ids", "attention_mask")}
        positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            logits = model(**inputs, position_ids=positions, logits_to_keep=1).logits[:, -1]
        for index, row in zip(batch, logits[:, starts].float().softmax(-1).tolist(), strict=True):
            best = int(np.argmax(row)) if seed is None else _draw(row, f"{seed} {prompts[index]}")
            failure = None if np.isfinite(row).all() else Reply(None, error="the judge's logits are not finite")
            replies[index] = failure or Reply(template.choices[best], row[best])
    return [replies[index] for index in range(len(prompts))]


def _draw(probabilities: list[float], what_for: str) -> int:
    point = int(content_id(what_for), 16) / 16**16
    return min(int(np.searchsorted(np.cumsum(probabilities), point)), len(probabilities) - 1)
