"""GRPO with LoRA. In: Samples, a reward function and a profile. Out: an adapter and `metrics.jsonl`.

GRPO (Shao et al. 2024): for one prompt draw G responses with rewards r_1..r_G; the advantage of response i is
(r_i - mean(r)) / (std(r) + 1e-4), and every token of it is pushed by that advantage through a clipped ratio. A response
whose reward is None (its judge failed) takes no part in its group; TRL 1.14.2 does so for a single reward function.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.generate import image_token_ids
from ..files import InputError, append_jsonl, read_jsonl, read_table, write_jsonl
from ..profiles import Profile, Training
from ..responses import build_prompt
from ..samples import Sample, open_image

LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
Probe = Callable[[Any, Any], dict[str, float]]
Report = Callable[[dict[str, Any]], None]


def training_rows(samples: Sequence[Sample], profile: Profile) -> Any:
    """A `datasets.Dataset` of what the trainer may see: id, prompt, images. No reference, no facts, no reasoning.

    The reward function holds the references; pictures are read when a row is used.
    """
    from datasets import Dataset

    prompts = [[{"role": "user", "content": build_prompt(s, profile.prompt_style, profile.max_prompt_chars)}] for s in samples]
    rows = Dataset.from_dict({"id": [s.id for s in samples], "prompt": prompts, "images": [s.images for s in samples]})

    def read_pictures(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return batch | {"images": [[open_image(path, profile.image_size) for path in paths] for paths in batch["images"]]}

    return rows.with_transform(read_pictures)


def grpo_config(profile: Profile, out: Path, seed: int, processor: Any) -> Any:
    """The full `GRPOConfig`. On-policy: one optimizer step for each batch of rollouts, so the clip is idle by construction."""
    from trl import GRPOConfig

    t = profile.training
    on_cpu = profile.device == "cpu"
    micro_batch = t.micro_batch or t.group_size * t.prompts_per_step
    return GRPOConfig(
        **read_table("grpo")["settings"],
        **{theirs: getattr(t, ours) for theirs, ours in read_table("grpo")["profile"].items()},
        **dict.fromkeys(("bf16", "gradient_checkpointing", "dataloader_pin_memory"), not on_cpu),
        output_dir=str(out / "checkpoints"),
        **dict.fromkeys(("seed", "data_seed"), seed),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=t.group_size * t.prompts_per_step // micro_batch,
        max_completion_length=profile.max_new_tokens,
        use_cpu=on_cpu,
        generation_kwargs={"suppress_tokens": image_token_ids(processor)},
    )


def train_policy(
    profile: Profile,
    samples: Sequence[Sample],
    reward_function: Callable[..., Any],
    out: Path,
    *,
    seed: int = 0,
    probe: Probe | None = None,
    report: Report = lambda row: None,
) -> dict[str, Any]:
    """Train a LoRA adapter into `out/adapter`, writing one line a step to `out/metrics.jsonl`.

    A finished run is not trained again; an interrupted one goes on from its last checkpoint.

    Args:
        samples: training questions.
        reward_function: a TRL reward function that finds its sample by the `id` column.
        probe: measures the policy before the first step, every `probe_every` steps and at the end; training never reads it.
        report: called with every metrics row.

    Returns:
        `{"seconds", "steps", "adapter"}`; seconds count steps and probes, not the loading of models.

    Raises:
        InputError: the settings or samples cannot train.
    """
    import torch
    from transformers import PrinterCallback

    adapter, metrics = out / "adapter", out / "metrics.jsonl"
    t = profile.training
    if (adapter / "adapter_model.safetensors").exists():
        rows = read_jsonl(metrics, torn_last_line=True)
        return {"seconds": rows[-1]["seconds"], "steps": rows[-1]["step"], "adapter": str(adapter)}
    if not samples:
        raise InputError("there are no training samples; check what curation kept")
    # The trainer's state is written last: a checkpoint without it was cut short by a kill.
    states = (out / "checkpoints").glob("checkpoint-*/trainer_state.json")
    start_step, last = max(((int(s.parent.name.split("-")[1]), str(s.parent)) for s in states), default=(0, None))
    rows = read_jsonl(metrics, torn_last_line=True) if last and metrics.exists() else []
    kept = [row for row in rows if row["step"] <= start_step]
    write_jsonl(metrics, kept)

    torch.manual_seed(seed)
    model, processor, lora = load_for_training(profile, seed)
    how = {"args": grpo_config(profile, out, seed, processor), "train_dataset": training_rows(samples, profile)}
    trainer = trainer_class()(model=model, processing_class=processor, reward_funcs=reward_function, peft_config=lora, **how)
    recorder = make_recorder(metrics, processor, t, probe, report, kept[-1]["seconds"] if kept else 0.0)
    trainer.add_callback(recorder)
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(out / "adapter.part"))
    shutil.rmtree(adapter, ignore_errors=True)
    (out / "adapter.part").rename(adapter)
    return {"seconds": round(recorder.seconds, 1), "steps": t.steps, "adapter": str(adapter)}


def trainer_class() -> type:
    """TRL's `GRPOTrainer` with two things added.

    A batch may mix samples with and without pictures: TRL 1.14.2 hands the processor None for a prompt without a picture, which it
    refuses; an empty list is what it takes. And a server judges while log-probabilities are computed, not after (`overlaps`).
    """
    from trl import GRPOTrainer

    class MedixGRPOTrainer(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            self._ids = [row["id"] for row in inputs]
            return super()._generate_and_score_completions(inputs)

        def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
            *before, images, tool_images = super()._generate(prompts)
            for reward in self.reward_funcs:
                if getattr(reward, "overlaps", False):
                    reward.start(self._ids, before[3])
            return *before, images and [pictures or [] for pictures in images], tool_images

    return MedixGRPOTrainer


def load_for_training(profile: Profile, seed: int) -> tuple[Any, Any, Any]:
    """Model, processor and LoRA configuration (None where Unsloth has put the adapter on already)."""
    from ..models.load import load_policy, load_unsloth

    t = profile.training
    if profile.policy.backend == "unsloth":
        return *load_unsloth(profile.policy, rank=t.lora_rank, alpha=t.lora_alpha, seed=seed, max_length=t.max_length), None
    from peft import LoraConfig

    lora = LoraConfig(r=t.lora_rank, lora_alpha=t.lora_alpha, lora_dropout=0.0, target_modules=LORA_TARGETS, task_type="CAUSAL_LM")
    return *load_policy(profile.policy.path, revision=profile.policy.revision, dtype=profile.policy.dtype), lora


def make_recorder(metrics: Path, processor: Any, settings: Training, probe: Probe | None, report: Report, spent: float) -> Any:
    """A trainer callback that writes one metrics row a step and runs the probe with the random state put back.

    Args:
        spent: seconds of the run that was interrupted.
    """
    import torch
    from transformers import TrainerCallback

    started, logged = time.perf_counter(), read_table("grpo")["logged"]

    class Recorder(TrainerCallback):
        seconds = spent

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if state.global_step == 0 and probe:
                self._write({"step": 0} | self._probe(model))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **_: Any) -> None:
            if not logs or "reward" not in logs:
                return
            row = {"step": state.global_step} | {ours: logs[theirs] for theirs, ours in logged.items() if theirs in logs}
            row |= {name: value for name, value in logs.items() if name.startswith("signal/")}
            if probe and (state.global_step % settings.probe_every == 0 or state.global_step == settings.steps):
                row |= self._probe(model)
            self._write(row)

        def _probe(self, model: Any) -> dict[str, float]:
            assert probe is not None
            random_state, was_training = torch.get_rng_state(), model.training
            model.eval()
            measured = probe(model, processor)
            model.train(was_training)
            torch.set_rng_state(random_state)
            return {f"probe/{name}": value for name, value in measured.items()}

        def _write(self, row: dict[str, Any]) -> None:
            self.seconds = spent + time.perf_counter() - started
            clean = {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} | {"seconds": round(self.seconds, 2)}
            append_jsonl(metrics, [clean])
            report(clean)

    return Recorder()
