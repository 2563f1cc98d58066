"""The composite reward for EasyR1 (verl on Ray), which loads this file by its path. In: its batch. Out: its scores.

`medix_lite/rewards/EASYR1.md` is the recipe. Each `ground_truth` is a sample as one JSON object.
"""

import json
from functools import cache
from typing import Any

from medix_lite.files import InputError
from medix_lite.judging.judges import make_judge
from medix_lite.models.load import load_embedder
from medix_lite.rewards.composite import score_responses
from medix_lite.samples import Sample, validated

REWARD_NAME, REWARD_TYPE = "medix_lite", "batch"


_judge = cache(make_judge)


def compute_score(
    reward_inputs: list[dict[str, Any]],
    judge: str = "tiny",
    preset: str = "robust",
    embedder: str = "tiny:embedder",
    embedder_revision: str | None = None,
) -> list[dict[str, float]]:
    """Scores of a batch: `overall`, and the signals that apply (`accuracy`, `semantic`, `format`, `modality`), each in [0, 1].

    Args:
        reward_inputs: for each response its text `response` and the JSON of its sample, `ground_truth`.
        judge, preset: as for `medix-lite reward`; given in the trainer's `reward_function_kwargs`, like the embedder.

    Raises:
        InputError: a sample cannot be read, or a response cannot be scored: EasyR1 has no place for a missing reward, and a zero
            would punish an answer for a judge's failure. The trainer resumes from its last checkpoint.
    """
    rows = [validated(Sample, json.loads(row["ground_truth"]), "ground_truth") for row in reward_inputs]
    texts = [row["response"] for row in reward_inputs]
    rewards, verdicts = score_responses(rows, texts, _judge(judge), load_embedder(embedder, embedder_revision), preset)
    scores = []
    for reward, verdict in zip(rewards, verdicts, strict=True):
        if reward.total is None:
            why = verdict.error or "no embedding"
            raise InputError(f"sample {reward.id!r} cannot be scored ({why}); mend the judge and resume")
        scores.append({"overall": reward.total} | {name: value for name, value in reward.signals.items() if value is not None})
    return scores
