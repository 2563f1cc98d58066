"""The composite reward. In: Samples, response texts, Verdicts. Out: Rewards, and a reward function for TRL.

Formula (MediX-R1): 0.9 (0.575 accuracy + 0.375 semantic + 0.05 modality) + 0.1 format. Ours differs in one thing: a
judge or embedder that fails makes the total None, never 0. Of a sample only question, references, options and modality
are read, never its facts; of a response only tag, grammar and final answer.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..files import InputError, complete_jsonl
from ..judging.judges import Judge, judge_answers
from ..judging.templates import REWARD
from ..judging.verdicts import Verdict, decide_exact, rule_verdict
from ..responses import parse_response
from ..samples import Sample, content_id
from .presets import PUBLISHED_WEIGHTS, Preset, find_preset
from .signals import ReferenceCache, format_signal, modality_signal, semantic_signal

PATIENCE = 16  # answers in a row that a judge may fail on before a run stops


class Reward(BaseModel):
    """What a response earns (the `rewards` file format).

    Attributes:
        signals: accuracy, semantic, format, modality, each 0-1 or None.
        total: 0-1; None if a signal failed.
        preset: the preset's name.
        problems: the response's deviations from the grammar, and "zero rule" where that applied.

    >>> signals = {"accuracy": None, "semantic": 1, "format": 1, "modality": None}
    >>> failed = Reward(id="a", signals=signals, total=None, preset="robust")
    >>> failed.total is None  # not 0: the judge failed, not the answer
    True
    """

    id: str
    sample_index: int = 0
    signals: dict[str, float | None]
    total: float | None
    preset: str
    problems: list[str] = []


def composite_total(signals: dict[str, float | None], preset: str | Preset) -> float | None:
    """The weighted mean of the signals, in [0, 1].

    A modality of None does not apply: it is left out and the other weights are re-normalised. Any other None has
    failed, and so has the total.

    >>> round(composite_total({"accuracy": 1, "semantic": 0, "format": 1, "modality": None}, "robust"), 4)
    0.6466
    >>> composite_total({"accuracy": None, "semantic": 1, "format": 1, "modality": 1}, "robust") is None
    True
    """
    idle = "modality" if signals["modality"] is None else None
    counted = {name: weight for name, weight in find_preset(preset).weights.items() if weight > 0 and name != idle}
    total = 0.0
    for name, weight in counted.items():
        if (value := signals[name]) is None:
            return None
        total += weight * value
    return min(1.0, max(0.0, total / sum(counted.values()))) if counted else None


def is_zeroed(answer: str | None) -> bool:
    """The authors' rule: the answer is empty, one character long or holds "__", ":" or "?".

    It gives 0 to right answers ("B", "T4:N1"), which is why only `faithful` has it.

    >>> [is_zeroed(answer) for answer in ("B", "T4:N1", "pleural effusion", None)]
    [True, True, False, True]
    """
    text = (answer or "").strip()
    return len(text) <= 1 or any(mark in text for mark in ("__", ":", "?"))


def _published_rules(zero_rule: bool, sample: Sample, answer: str, template_id: str) -> Verdict | None:
    decision = "NO" if zero_rule and is_zeroed(answer) else decide_exact(sample, answer)
    return rule_verdict(sample, decision, "exact", template_id) if decision else None


def score_responses(
    samples: Sequence[Sample],
    texts: Sequence[str],
    judge: Judge,
    embedder: Any,
    preset: str | Preset = "robust",
    sample_indices: Sequence[int] | None = None,
    cache: ReferenceCache | None = None,
    aliases: bool = False,
) -> tuple[list[Reward], list[Verdict]]:
    """Rewards of n responses and the verdicts behind them, in order.

    Args:
        samples: the question of each response.
        texts: raw responses.
        judge: from `make_judge`.
        embedder: from `load_embedder`.
        preset: `robust` or `faithful`.
        sample_indices: `sample_index` of each response, 0 by default.
        cache: reference vectors to keep between calls.
        aliases: whether another name of a modality counts for its tag.

    >>> from medix_lite.judging.judges import make_judge
    >>> from medix_lite.models.load import load_embedder
    >>> asked = Sample(id="a", question="Seen?", reference="pleural effusion", modality="X_RAY")
    >>> answers = ["pleural effusion", "no pleural effusion", "water on the chest"]
    >>> texts = [f"<X_RAY><think>White.</think><answer>{answer}</answer>" for answer in answers]
    >>> rewards, _ = score_responses([asked] * 3, texts, make_judge("rules"), load_embedder())
    >>> [reward.total and round(reward.total, 3) for reward in rewards]  # no rule reads the last one: None, not 0
    [1.0, 0.145, None]
    """
    preset = find_preset(preset)
    responses = [parse_response(text, has_image=s.has_image, aliases=aliases) for s, text in zip(samples, texts, strict=True)]
    answers = [response.answer for response in responses]
    if not preset.tiers:
        judge = replace(judge, rules=partial(_published_rules, preset.zero_rule))
    verdicts = judge_answers(judge, samples, answers, REWARD, sample_indices)
    semantics = semantic_signal(answers, [sample.accepted() for sample in samples], preset, embedder, cache)
    rewards = []
    for sample, response, verdict, semantic in zip(samples, responses, verdicts, semantics, strict=True):
        zeroed = preset.zero_rule and is_zeroed(response.answer)
        signals: dict[str, float | None] = {"accuracy": verdict.score, "semantic": 0.0 if zeroed else semantic}
        signals |= {"format": format_signal(response), "modality": modality_signal(sample, response)}
        key: dict[str, Any] = {"id": sample.id, "sample_index": verdict.sample_index, "preset": preset.name}
        problems = [*response.problems, *(["zero rule"] if zeroed else [])]
        rewards.append(Reward(**key, signals=signals, total=composite_total(signals, preset), problems=problems))
    return rewards, verdicts


def reward_to_file(
    path: Path, samples: Sequence[Sample], texts: Sequence[str], indices: Sequence[int], judge: Judge, embedder: Any, preset: str
) -> list[Reward]:
    """As `score_responses`, into a file that a killed call goes on with; a row without a total is made again.

    Raises:
        InputError: the file holds something else, or rewards of another judge, preset or responses.

    >>> import tempfile
    >>> from medix_lite.judging.judges import make_judge
    >>> from medix_lite.models.load import load_embedder
    >>> path, asked = Path(tempfile.mkdtemp()) / "rewards.jsonl", Sample(id="a", question="Seen?", reference="pleural effusion")
    >>> text = "<think>White.</think><answer>pleural effusion</answer>"
    >>> for _ in range(2):
    ...     rewards = reward_to_file(path, [asked], [text], [0], make_judge("rules"), load_embedder(), "robust")
    >>> rewards[0].total, path.read_text().count("\\n")  # the second call read the row
    (1.0, 1)
    """
    columns: tuple[Sequence[Any], ...] = samples, texts, indices
    made_by = judge.judge_id, find_preset(preset).name
    asked = [sample.model_dump_json(exclude={"images", "facts"}) for sample in samples]
    keys = [content_id(*made_by, question, text, str(i)) for question, text, i in zip(asked, texts, indices, strict=True)]

    def make(chunk: list[int]) -> list[dict[str, Any]]:
        some, own, numbers = ([column[place] for place in chunk] for column in columns)
        return [reward.model_dump() for reward in score_responses(some, own, judge, embedder, preset, numbers)[0]]

    return [Reward.model_validate(row) for row in complete_jsonl(path, keys, make, "rewards", "total")]


class CompositeReward:
    """A reward function for `trl.GRPOTrainer`; the data set needs a column `id`.

    A completion that could not be scored gets None, which TRL leaves out of its group. The mean of each signal is logged as
    `signal/NAME`, the share that could not be scored as `signal/unscored`, what the trainer waited as `reward_seconds`.

    Args:
        samples_by_id: the training questions.
        judge, embedder, preset, aliases: as for `score_responses`.

    Attributes:
        overlaps: whether a server judges, so that it pays to `start` before the trainer computes log-probabilities.

    >>> from medix_lite.judging.judges import make_judge
    >>> from medix_lite.models.load import load_embedder
    >>> asked = Sample(id="a", question="Seen?", reference="pleural effusion")
    >>> reward = CompositeReward({"a": asked}, make_judge("rules"), load_embedder())
    >>> texts = [f"<think>White.</think><answer>{answer}</answer>" for answer in ("pleural effusion", "no pleural effusion")]
    >>> [round(total, 3) for total in reward(None, texts, id=["a", "a"])]  # what denies the reference keeps the share of the format
    [1.0, 0.105]
    """

    __name__ = "composite"  # TRL logs a reward under its name

    def __init__(
        self, samples_by_id: dict[str, Sample], judge: Judge, embedder: Any, preset: str | Preset = "robust", aliases: bool = False
    ) -> None:
        self._samples, self._judge, self._pool = samples_by_id, judge, ThreadPoolExecutor(1)
        self._score = partial(score_responses, judge=judge, embedder=embedder, preset=preset, cache={}, aliases=aliases)
        self._begun: tuple[Any, Future[Any]] | None = None
        self._failed = 0
        self.overlaps = any(voter.served for voter in judge.voters)

    def start(self, ids: Sequence[str], completions: Sequence[Any]) -> None:
        """Begin to score in the background; the next call takes the result, if it is about the same completions."""
        asked = self._read(ids, completions)
        self._begun = asked, self._pool.submit(self._score, *asked)

    def _read(self, ids: Sequence[str], completions: Sequence[Any]) -> tuple[list[Sample], list[str]]:
        if (unknown := next((key for key in ids if key not in self._samples), None)) is not None:
            raise InputError(f"the training data name a sample {unknown!r} that the reward does not know")
        return [self._samples[key] for key in ids], [completion_text(completion) for completion in completions]

    def __call__(
        self, prompts: Any, completions: Sequence[Any], *, id: Sequence[str], log_metric: Any = None, **_: Any
    ) -> list[float | None]:
        """The total of each completion, None where it could not be scored.

        Raises:
            InputError: a sample is unknown, or the judge has failed on each of the last `PATIENCE` answers that it was asked about.
        """
        started = time.perf_counter()
        asked, begun, self._begun = self._read(id, completions), self._begun, None
        rewards, verdicts = begun[1].result() if begun and begun[0] == asked else self._score(*asked)
        waited = time.perf_counter() - started
        self._check_judge(verdicts)
        if log_metric is not None and rewards:
            log_metric("reward_seconds", waited)
            for name in PUBLISHED_WEIGHTS:
                if values := [value for reward in rewards if (value := reward.signals[name]) is not None]:
                    log_metric(f"signal/{name}", sum(values) / len(values))
            log_metric("signal/unscored", sum(verdict.verdict == "UNSCORED" for verdict in verdicts) / len(verdicts))
        return [reward.total for reward in rewards]

    def _check_judge(self, verdicts: list[Verdict]) -> None:
        """Training on without a judge would teach nothing and say nothing."""
        failed = [verdict for verdict in verdicts if verdict.verdict == "UNSCORED"]
        answered = any(verdict.decided_by == "model" for verdict in verdicts)
        self._failed = 0 if answered or not self._judge.voters else self._failed + len(failed)
        if self._failed >= PATIENCE:
            advice = "mend it and run the same command again; the run goes on from its last checkpoint"
            raise InputError(f"judge {self._judge.name} failed on the last {self._failed} answers ({failed[-1].error}); {advice}")


def completion_text(completion: Any) -> str:
    """The text of a TRL completion: a string, or a conversation whose last message has text or text parts.

    >>> completion_text("flu"), completion_text([{"role": "assistant", "content": [{"type": "text", "text": "flu"}]}])
    ('flu', 'flu')
    """
    content = completion if isinstance(completion, str) else completion[-1]["content"] if completion else ""
    return "".join(part.get("text") or "" for part in content) if isinstance(content, list) else content or ""
