"""Responses somebody else made. In: a responses file, with a samples file or the samples' fields inline. Out: Scores."""

from pathlib import Path
from typing import Any

from ..curation.splits import group_of
from ..files import InputError, read_jsonl
from ..judging.judges import Judge, judge_answers
from ..responses import Response, parse_response
from ..rewards.signals import format_signal, modality_signal
from ..samples import Sample, read_samples, validated
from .statistics import bootstrap
from .tasks import trivial_answers

Key = tuple[str, int]


def join_responses(responses: Path, samples: Path | None) -> tuple[list[Key], list[Sample], list[Response]]:
    """Keys, samples and parsed responses of a responses file, row by row.

    Raises:
        InputError: a row lacks `id` or `response`, a key stands twice, or its sample is unknown.
    """
    by_id = {s.id: s for s in read_samples(samples)} if samples else {}
    joined: dict[Key, tuple[Sample, Response]] = {}
    for number, row in enumerate(read_jsonl(responses), start=1):
        where = f"{responses}, row {number}"
        if not isinstance(row.get("id"), str) or not isinstance(row.get("response"), str):
            raise InputError(f"{where}: needs text fields 'id' and 'response'")
        index = row.get("sample_index", 0)
        if not isinstance(index, int):
            raise InputError(f"{where}: field 'sample_index' must be a whole number")
        key = (row["id"], index)
        if key in joined:
            raise InputError(f"{where}: id {key[0]!r} with sample_index {key[1]} stands twice")
        sample = by_id.get(key[0])
        if sample is None:
            if samples or "question" not in row:
                raise InputError(f"{where}: no sample with id {key[0]!r}" + (f" in {samples}" if samples else "; give --samples"))
            sample = validated(Sample, row, where)
        joined[key] = sample, parse_response(row["response"], has_image=sample.has_image)
    return list(joined), [sample for sample, _ in joined.values()], [response for _, response in joined.values()]


def score_file(responses: Path, samples: Path | None, judge: Judge) -> dict[str, Any]:
    """Accuracy by the judge (UNSCORED left out, and counted as wrong), format and modality rates, each with n and interval.

    `by_task` has the same accuracies for each task (the samples' `source`), with what trivial answers score there; `macro` is the
    mean of the tasks.
    """
    keys, questions, parsed = join_responses(responses, samples)
    verdicts = judge_answers(judge, questions, [r.answer for r in parsed], None, [index for _, index in keys])
    groups = [group_of(s) for s in questions]
    scores = [v.score for v in verdicts]
    measured: dict[str, Any] = {"accuracy": scores, "accuracy_unscored_as_wrong": [score or 0.0 for score in scores]}
    measured |= {"unscored": [score is None for score in scores], "format": [format_signal(r) for r in parsed]}
    measured |= {"modality": list(map(modality_signal, questions, parsed))}
    by_task: dict[str, dict[str, Any]] = {}
    for task in dict.fromkeys(sample.source for sample in questions):
        here = [place for place, sample in enumerate(questions) if sample.source == task]
        own = [groups[place] for place in here]
        for name in ("accuracy", "accuracy_unscored_as_wrong", "unscored"):
            by_task.setdefault(task, {})[name] = bootstrap([measured[name][place] for place in here], own)
        by_task[task]["trivial"] = trivial_answers([questions[place] for place in here])
    known = [part["accuracy"]["value"] for part in by_task.values() if part["accuracy"]["value"] is not None]
    macro = round(sum(known) / len(known), 4) if known else None
    scores_of_all = {name: bootstrap(values, groups) for name, values in measured.items()}
    return {"judge": judge.judge_id} | scores_of_all | {"macro": macro, "by_task": by_task}
