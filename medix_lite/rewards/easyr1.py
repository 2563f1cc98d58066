"""EasyR1 (verl on Ray): its data and settings, and the composite reward, for which it loads this file by its path.

`medix_lite/rewards/EASYR1.md` is the recipe. Each `ground_truth` is a sample as one JSON object.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from medix_lite.files import InputError, refuse_existing, render, write_aside, write_text
from medix_lite.judging.judges import make_judge
from medix_lite.models.load import load_embedder
from medix_lite.profiles import Profile
from medix_lite.responses import build_prompt
from medix_lite.rewards.composite import score_responses
from medix_lite.samples import Sample, read_samples, validated

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

    >>> asked = Sample(id="a", question="What is seen?", reference="pleural effusion")
    >>> text = "<think>White.</think><answer>pleural effusion</answer>"
    >>> compute_score([{"response": text, "ground_truth": asked.model_dump_json()}], judge="rules")
    [{'overall': 1.0, 'accuracy': 1.0, 'semantic': 1.0, 'format': 1.0}]
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


def export_easyr1(curated: Path, profile: Profile, out: Path) -> dict[str, int]:
    """Write what EasyR1 trains from: `train.parquet`, `test.parquet` (pictures inside) and `config.yaml`, its settings.

    A sample without pictures is left out, since EasyR1 takes a file with them or without; so are facts, which are the oracle's.

    Args:
        curated: a folder that `medix-lite curate` wrote.

    Returns:
        rows of each file.

    Raises:
        InputError: `out` exists, or a split has no samples with pictures.

    >>> import tempfile
    >>> from medix_lite.curation.curate import curate
    >>> from medix_lite.profiles import load_profile
    >>> folder, out = (Path(tempfile.mkdtemp()) / name for name in ("curated", "easyr1"))
    >>> _ = curate(["phantoms"], folder, sizes={"train": 8, "probe": 1, "test": 4}, seed=0, image_size=64)
    >>> export_easyr1(folder, load_profile("qwen3-vl-30b"), out), sorted(path.name for path in out.iterdir())
    ({'train': 8, 'test': 4}, ['config.yaml', 'test.parquet', 'train.parquet'])
    """
    from datasets import Dataset, Image, Sequence

    refuse_existing(out)
    rows = {}
    for split in ("train", "test"):
        samples = [sample for sample in read_samples(curated / f"samples_{split}.jsonl") if sample.has_image]
        if not samples:
            raise InputError(f"{curated} has no {split} samples with pictures, and EasyR1 trains on these here")
        prompts = [build_prompt(sample, profile.prompt_style, profile.max_prompt_chars) for sample in samples]
        columns = {
            "problem": ["<image>" * len(sample.images) + prompt for sample, prompt in zip(samples, prompts, strict=True)],
            "images": [sample.images for sample in samples],
            "answer": [json.dumps(sample.model_dump(exclude={"images", "facts"})) for sample in samples],
        }
        with write_aside(out / f"{split}.parquet") as aside:
            Dataset.from_dict(columns).cast_column("images", Sequence(Image())).to_parquet(aside)
        rows[split] = len(samples)
    where = {"folder": str(out.resolve()), "reward_function": f"{Path(__file__).resolve()}:compute_score"}
    write_text(out / "config.yaml", render("easyr1.yaml.j2", profile=profile, t=profile.training, **where))
    return rows
