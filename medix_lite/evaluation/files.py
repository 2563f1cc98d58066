"""Responses somebody else made. In: a responses file, with a samples file or the samples' fields inline. Out: Scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..files import InputError, file_name, read_jsonl
from ..judging.judges import Judge, judge_answers, judge_to_file
from ..judging.servers import refuse_to_send
from ..judging.templates import Template, reasoning_and_answer
from ..judging.verdicts import Verdict
from ..responses import Response, parse_response
from ..rewards.signals import format_signal, modality_signal
from ..samples import Sample, group_of, read_samples, validated
from ..statistics import bootstrap, cohens_kappa, corrected_mean, paired_difference
from .generate import Key
from .leaderboard import zip_results
from .score import column_of, slice_scores
from .tasks import trivial_answers


class Joined(NamedTuple):
    """A responses file, row by row: its keys, the samples asked, the responses parsed, and the rows as they stand.

    >>> import tempfile
    >>> from medix_lite.files import write_jsonl
    >>> path = Path(tempfile.mkdtemp()) / "responses.jsonl"
    >>> row = {"id": "a", "question": "What is seen?", "reference": "pleural effusion"}
    >>> responses = "<think>White.</think><answer>Pleural effusion.</answer>", "<think>White.</think>", ""
    >>> rows = [row | {"sample_index": index, "response": response} for index, response in enumerate(responses)]
    >>> write_jsonl(path, [*rows[:2], rows[2] | {"finish_reason": "error", "error": "APITimeoutError"}])
    >>> joined = join_responses(path, samples=None)
    >>> [response.answer for response in joined.responses], joined.errors
    (['Pleural effusion.', None, None], [None, None, 'no response, generate it again: APITimeoutError'])
    >>> from medix_lite.judging.judges import make_judge
    >>> [verdict.verdict for verdict in judge_responses(joined, make_judge("rules"))]
    ['YES', 'NO', 'UNSCORED']
    >>> scores = score_file(path, None, make_judge("rules"))
    >>> scores["accuracy"]["value"], scores["accuracy_unscored_as_wrong"]["value"]
    (0.5, 0.3333)
    """

    keys: list[Key]
    samples: list[Sample]
    responses: list[Response]
    rows: list[dict[str, Any]]

    @property
    def errors(self) -> list[str | None]:
        """Why there is no response, where a model gave none."""
        said = (row.get("error", "no reason given") if row.get("finish_reason") == "error" else None for row in self.rows)
        return [f"no response, generate it again: {error}" if error else None for error in said]


def join_responses(responses: Path, samples: Path | None) -> Joined:
    """Read a responses file together with its samples.

    Raises:
        InputError: a row lacks `id` or `response`, a key stands twice, or its sample is unknown.
    """
    by_id = {s.id: s for s in read_samples(samples)} if samples else {}
    joined: dict[Key, tuple[Sample, Response, dict[str, Any]]] = {}
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
        joined[key] = sample, parse_response(row["response"], has_image=sample.has_image), row
    return Joined(list(joined), *map(list, (zip(*joined.values(), strict=True) if joined else ((), (), ()))))


def judge_responses(joined: Joined, judge: Judge, out: Path | None = None, template: Template | None = None) -> list[Verdict]:
    """Verdicts on the answers of a responses file, kept in `out` if it is given; a response that never came is UNSCORED."""
    reads_reasoning = template is not None and template.reads_reasoning
    answers = [reasoning_and_answer(r) if reads_reasoning else r.answer for r in joined.responses]
    indices = [index for _, index in joined.keys]
    if out is None:
        return judge_answers(judge, joined.samples, answers, template, indices, joined.errors)
    return judge_to_file(out, judge, joined.samples, answers, indices, template, joined.errors)


def verdicts_path(folder: Path | None, responses: Path, judge: Judge) -> Path | None:
    """Where a folder, if there is one, keeps a judge's verdicts on a responses file: several judges lie side by side.

    >>> from medix_lite.judging.judges import make_judge
    >>> verdicts_path(Path("verdicts"), Path("run/responses.jsonl"), make_judge("rules")).as_posix()
    'verdicts/responses--rules-4.jsonl'
    """
    return folder and folder / f"{responses.stem}--{file_name(judge.judge_id)}.jsonl"


def score_file(
    responses: Path,
    samples: Path | None,
    *judges: Judge,
    verdicts: Path | None = None,
    against: Path | None = None,
    labels: Path | None = None,
    slices: Sequence[str] = (),
    archive: tuple[str, Path] | None = None,
) -> dict[str, Any]:
    """Accuracy by the judge (UNSCORED left out, and counted as wrong), format and modality rates, each with n and interval.

    `by_task` has the same accuracies for each task (the samples' `source`), with what trivial answers score there; `macro` is the
    mean of the tasks. `truncated` is the share of responses that ran into the limit of tokens. `failed` names the
    answers on which a model or a server failed, and why.

    Args:
        judges: the first one scores; the others stand beside it in `other_judges`, with their agreement (kappa) with the first.
        verdicts: folder for the verdicts, a file for each judge, so that a killed call goes on.
        against: another model's responses to the same questions; `gain` is the paired difference in accuracy.
        labels: rows `id, sample_index, label` (true, false or a score from 0 to 1) by humans for some of the responses;
            `corrected` is the accuracy put right by them.
        slices: columns of the samples; `slices` has the accuracy of each of their values (see `slice_scores`).
        archive: name of the model, and zip file to write (see `zip_results`) if nothing failed.

    Raises:
        InputError: a file cannot be read, or has too little in common with the responses; said before anything is judged.
    """
    joined = join_responses(responses, samples)
    other = join_responses(against, samples) if against else Joined([], [], [], [])
    if against and not {*other.keys} & {*joined.keys}:
        raise InputError(f"{against} and {responses} have no answer in common (id and sample_index)")
    if labels:
        _corrected(joined.keys, np.zeros(len(joined.keys)), labels)
    for column in slices:
        column_of(joined.samples, column)
    if archive:
        refuse_to_send(joined.samples, archive[1].name)
    groups = [group_of(sample) for sample in joined.samples]
    decided = {judge.judge_id: judge_responses(joined, judge, verdicts_path(verdicts, responses, judge)) for judge in judges}
    first, *others = decided
    scores = np.array([verdict.score for verdict in decided[first]], dtype=float)
    measured: dict[str, Any] = {"accuracy": scores, "accuracy_unscored_as_wrong": np.nan_to_num(scores)}
    measured |= {"unscored": np.isnan(scores), "format": [format_signal(r) for r in joined.responses]}
    measured |= {"modality": list(map(modality_signal, joined.samples, joined.responses))}
    measured |= {"truncated": [row["finish_reason"] == "length" if "finish_reason" in row else None for row in joined.rows]}
    for name in ("format", "modality", "truncated"):  # of a response that never came nothing is known
        measured[name] = [None if error else value for value, error in zip(measured[name], joined.errors, strict=True)]
    found: dict[str, Any] = {"judge": first} | {name: bootstrap(values, groups) for name, values in measured.items()}
    found["by_task"] = {
        task: _score_task(joined.samples, groups, measured, task) for task in dict.fromkeys(s.source for s in joined.samples)
    }
    known = [part["accuracy"]["value"] for part in found["by_task"].values() if part["accuracy"]["value"] is not None]
    found["macro"] = round(sum(known) / len(known), 4) if known else None
    for judge_id in others:
        accuracy = bootstrap([verdict.score for verdict in decided[judge_id]], groups)
        kappa = cohens_kappa(*([str(v.verdict or v.raw_score) for v in decided[name]] for name in (first, judge_id)))
        found.setdefault("other_judges", {})[judge_id] = {"accuracy": accuracy, "kappa": kappa}
    if slices:
        found["slices"] = {column: slice_scores(joined.samples, scores, column) for column in slices}
    if against:
        decided["against"] = judge_responses(other, judges[0], verdicts_path(verdicts, against, judges[0]))
        before = {key: verdict.score for key, verdict in zip(other.keys, decided["against"], strict=True)}
        found["gain"] = paired_difference(scores, np.array([before.get(key) for key in joined.keys], dtype=float), groups)
    if labels:
        found["corrected"] = _corrected(joined.keys, scores, labels)
    found["failed"] = [f"{v.id!r}: {v.error}" for verdicts in decided.values() for v in verdicts if v.error]
    if archive and not found["failed"]:
        zip_results(*archive, joined.samples, joined.rows, [verdict.model_dump() for verdict in decided[first]], found)
    return found


def _score_task(samples: list[Sample], groups: list[str], measured: dict[str, Any], task: str) -> dict[str, Any]:
    here = [place for place, sample in enumerate(samples) if sample.source == task]
    own = [groups[place] for place in here]
    names = ("accuracy", "accuracy_unscored_as_wrong", "unscored")
    scores = {name: bootstrap([measured[name][place] for place in here], own) for name in names}
    return scores | {"trivial": trivial_answers([samples[place] for place in here])}


def _corrected(keys: list[Key], judged: NDArray[np.float64], labels: Path) -> dict[str, Any]:
    said = {(row.get("id"), row.get("sample_index", 0)): row.get("label") for row in read_jsonl(labels)}
    try:
        truth = np.array([said.get(key) for key in keys], dtype=float)
        if ((truth < 0) | (truth > 1)).any():
            raise ValueError("a label lies outside 0 and 1")
        scored, labelled = ~np.isnan(judged), ~np.isnan(truth)
        return corrected_mean(judged[scored & ~labelled], judged[scored & labelled], truth[scored & labelled])
    except (TypeError, ValueError) as error:
        raise InputError(f"{labels}: {error}; each row needs id, sample_index and a label (true, false or 0 to 1)") from error
