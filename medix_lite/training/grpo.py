"""GRPO with LoRA. In: Samples, a reward function and a profile. Out: an adapter and `metrics.jsonl`.

GRPO (Shao et al. 2024): for one prompt draw G responses with rewards r_1..r_G; the advantage of response i is
(r_i - mean(r)) / (std(r) + 1e-4), and every token of it is pushed by that advantage through a clipped ratio. A response
whose reward is None (its judge failed) takes no part in its group; TRL 1.14.2 does so for a single reward function.
"""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import InputError, append_jsonl, read_jsonl, read_table, write_json, write_jsonl
from ..models.load import image_token_ids
from ..models.sharing import see_once, tower_of
from ..profiles import Profile, Training, processes_of
from ..responses import build_prompt
from ..samples import Sample, open_image
from .trainer import trainer_class

LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
Probe = Callable[[Any, Any], dict[str, float]] | None
Report = Callable[[dict[str, Any]], None] | None


def training_rows(samples: Sequence[Sample], profile: Profile) -> Any:
    """A `datasets.Dataset` of what the trainer may see: id, prompt, images. No reference, no facts, no reasoning.

    The reward function holds the references; pictures are read when a row is used.

    >>> from medix_lite.profiles import load_profile
    >>> asked = Sample(id="a", question="What is seen?", reference="glioma", facts={"finding": "glioma"})
    >>> row = training_rows([asked], load_profile("tiny-cpu"))[0]
    >>> sorted(row), "glioma" in str(row)
    (['id', 'images', 'prompt'], False)
    """
    from datasets import Dataset

    prompts = [[{"role": "user", "content": build_prompt(s, profile.prompt_style, profile.max_prompt_chars)}] for s in samples]
    rows = Dataset.from_dict({"id": [s.id for s in samples], "prompt": prompts, "images": [s.images for s in samples]})

    read = partial(open_image, size=profile.image_size)
    return rows.with_transform(lambda batch: batch | {"images": [list(map(read, paths)) for paths in batch["images"]]})


def grpo_config(profile: Profile, out: Path, seed: int, processor: Any) -> Any:
    """The full `GRPOConfig`. With one optimizer step for each batch of rollouts the clip is idle by construction.

    Raises:
        InputError: the responses of a step do not divide among the processes.

    >>> from medix_lite.models.load import load_policy
    >>> from medix_lite.profiles import load_profile
    >>> config = grpo_config(load_profile("tiny-cpu"), Path("unused"), 0, load_policy()[1])
    >>> config.num_generations, config.loss_type, config.use_vllm
    (8, 'grpo', False)
    """
    from trl import GRPOConfig

    t = profile.training
    on_cpu = profile.device == "cpu"
    own, left = divmod(t.group_size * t.prompts_per_step, processes := processes_of(profile).num_processes)
    micro_batch = min(t.micro_batch or own, own)
    if left or own % micro_batch:
        what = f"{t.group_size} x {t.prompts_per_step} responses of a step do not divide among {processes} processes"
        passes = f" in passes of {micro_batch}" if t.micro_batch else ""
        raise InputError(f"{what}{passes}; change training.prompts_per_step or training.micro_batch")
    accumulated = own // micro_batch
    if (by_vllm := t.rollouts != "transformers") and on_cpu:
        raise InputError(f"training.rollouts={t.rollouts} needs a GPU; set it to transformers")
    banned = image_token_ids(processor)
    return GRPOConfig(
        **read_table("grpo")["settings"],
        **{theirs: getattr(t, ours) for theirs, ours in read_table("grpo")["profile"].items()},
        **dict.fromkeys(("bf16", "dataloader_pin_memory"), not on_cpu),
        gradient_checkpointing=t.gradient_checkpointing and not on_cpu,
        output_dir=str(out / "checkpoints"),
        **dict.fromkeys(("seed", "data_seed"), seed),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=accumulated,
        steps_per_generation=accumulated * t.updates_per_batch,
        save_steps=-(-t.save_every // t.updates_per_batch) * t.updates_per_batch,  # between batches of rollouts, to resume exactly
        max_completion_length=profile.max_new_tokens,
        use_cpu=on_cpu,
        generation_kwargs={"logit_bias": dict.fromkeys(banned, -100.0)} if by_vllm else {"suppress_tokens": banned},
        **read_table("grpo")["rollouts"][t.rollouts],
    )


def train_policy(
    profile: Profile, samples: Sequence[Sample], reward: Any, out: Path, seed: int = 0, probe: Probe = None, report: Report = None
) -> dict[str, Any]:
    """Train a LoRA adapter into `out/adapter`, writing one line a step to `out/metrics.jsonl`.

    A finished run is not trained again; an interrupted one goes on from its last checkpoint. Under torchrun every
    process calls this; the first one writes, and the probe and `report` are its alone.

    Args:
        samples: training questions.
        reward: a TRL reward function that finds its sample by the `id` column.
        probe: measures the policy before the first step, every `probe_every` steps and at the end; training never reads it.
        report: called with every metrics row.

    Returns:
        `{"seconds", "steps", "adapter"}`; seconds count steps and probes, not the loading of models.

    Raises:
        InputError: the settings or samples cannot train.

    >>> import tempfile
    >>> from medix_lite.profiles import load_profile
    >>> short = {"training.steps": 1, "training.group_size": 2, "training.prompts_per_step": 1}
    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> def brevity(completions, **_):
    ...     return [1 / len(completion[0]["content"]) for completion in completions]
    >>> out = Path(tempfile.mkdtemp())
    >>> done = train_policy(load_profile("tiny-cpu", short), [asked], brevity, out)
    >>> done["steps"], sorted(path.name for path in (out / "adapter").glob("adapter*"))
    (1, ['adapter_config.json', 'adapter_model.safetensors'])
    """
    adapter, metrics, processes, t = out / "adapter", out / "metrics.jsonl", processes_of(profile), profile.training
    if (adapter / "adapter_model.safetensors").exists():
        rows = read_jsonl(metrics, torn_last_line=True)
        return {"seconds": round(rows[-1]["seconds"], 1), "steps": rows[-1]["step"], "adapter": str(adapter)}
    if not samples:
        raise InputError("there are no training samples; check what curation kept")
    # The trainer's state is written last: a checkpoint without it was cut short by a kill.
    states = (out / "checkpoints").glob("checkpoint-*/trainer_state.json")
    start_step, last = max(((int(s.parent.name.split("-")[1]), str(s.parent)) for s in states), default=(0, None))
    rows = read_jsonl(metrics, torn_last_line=True) if last and metrics.exists() else []
    kept = [row for row in rows if row["step"] <= start_step]
    processes.wait_for_everyone()
    processes.on_main_process(write_jsonl)(metrics, kept)

    trainer = make_trainer(profile, samples, reward, out, seed)
    recorder = make_recorder(metrics, trainer.processing_class, t, probe, report, kept[-1]["seconds"] if kept else 0.0)
    trainer.add_callback(recorder)
    if start_step < t.steps:
        trainer.train(resume_from_checkpoint=last)
    else:  # killed between its last checkpoint and the adapter; another call would train one step more
        trainer._load_from_checkpoint(last)
    trainer.save_model(str(out / "adapter.part"))
    processes.wait_for_everyone()
    if processes.is_main_process:
        shutil.rmtree(adapter, ignore_errors=True)
        (out / "adapter.part").rename(adapter)
    processes.wait_for_everyone()
    return {"seconds": round(recorder.seconds, 1), "steps": t.steps, "adapter": str(adapter)}


def make_trainer(profile: Profile, samples: Sequence[Sample], reward: Callable[..., Any], out: Path, seed: int = 0) -> Any:
    """The trainer of a run that has not begun, on the policy with a fresh adapter; arguments as for `train_policy`.

    Writes `out/trainer.json`: every setting as the backend uses it, and those that it has changed.

    Raises:
        InputError: the settings do not fit the policy, the samples or the number of processes.

    >>> import tempfile
    >>> from medix_lite.profiles import load_profile
    >>> profile = load_profile("tiny-cpu", {"training.group_size": 4, "training.prompts_per_step": 1})
    >>> def last_one(completions, **_):
    ...     return [0.0, 0.0, 0.0, 1.0]
    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> trainer = make_trainer(profile, [asked], last_one, Path(tempfile.mkdtemp()))
    >>> batch = next_batch(trainer)
    >>> [round(advantage, 2) for advantage in batch["advantages"].tolist()]  # one of four was paid
    [-0.5, -0.5, -0.5, 1.5]
    >>> logps, counted = token_logps(trainer, batch)
    >>> logps.shape == counted.shape, bool((logps[counted] <= 0).all())
    (True, True)
    """
    import torch
    from transformers import PrinterCallback

    t = profile.training
    if t.dynamic_sampling and processes_of(profile).num_processes > 1:
        raise InputError("dynamic_sampling works in one process only; set training.dynamic_sampling=null or start one process")
    if len(samples) < (wanted := t.prompts_per_step * t.updates_per_batch):
        need = f"a batch of rollouts takes {wanted} (prompts_per_step x updates_per_batch)"
        raise InputError(f"there are {len(samples)} training samples and {need}; lower training.prompts_per_step or bring more")
    torch.manual_seed(seed)
    model, processor, lora = load_for_training(profile, seed)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", profile.max_new_tokens + 1)
    if profile.max_new_tokens >= context:
        raise InputError(f"max_new_tokens {profile.max_new_tokens} fills the policy's context of {context} tokens; lower it")
    config = grpo_config(profile, out, seed, processor)
    asked = config.to_dict()
    parts = {"args": config, "train_dataset": training_rows(samples, profile), "model": model, "processing_class": processor}
    plain = profile.policy.backend == "unsloth" or config.gradient_checkpointing  # which keep no keys and values
    kind = trainer_class(t.dynamic_sampling, t.max_draws, share_prompts=t.share_prompts and not plain)
    trainer = kind(**parts, reward_funcs=reward, peft_config=lora)
    trainer.remove_callback(PrinterCallback)
    if t.share_pictures and profile.policy.backend != "unsloth":
        trainer.forget_pictures = see_once(tower_of(trainer.model), remember=True)
    used = trainer.args.to_dict()
    changed = {name: {"asked": asked.get(name), "used": value} for name, value in used.items() if value != asked.get(name)}
    trainer.accelerator.on_main_process(write_json)(out / "trainer.json", {"changed_by_backend": changed, "used": used})
    return trainer


def rehearse(profile: Profile, samples: Sequence[Sample], out: Path) -> dict[str, float]:
    """One step as heavy as any, so that too little memory shows at once: the longest questions, responses as long as may be.

    The reward is drawn by lot, so that no judge is needed, and the rollouts by transformers.

    Returns:
        `seconds` of the step, `gigabytes` at its peak (of the GPU; on a CPU of the process so far), `minutes` that the profile's
        steps take if all are as heavy; its judge, its probes and groups that are drawn anew come on top.

    Raises:
        InputError: it does not fit into the GPU's memory.

    >>> import tempfile
    >>> from medix_lite.profiles import load_profile
    >>> profile = load_profile("tiny-cpu", {"training.group_size": 2, "training.prompts_per_step": 1, "max_new_tokens": 4})
    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> found = rehearse(profile, [asked], Path(tempfile.mkdtemp()))
    >>> sorted(found), round(found["minutes"] * 60 / found["seconds"]) == profile.training.steps
    (['gigabytes', 'minutes', 'seconds'], True)
    """
    import resource

    import torch

    t = profile.training

    def weight(sample: Sample) -> int:  # tokens, roughly: a picture's are of 28 x 28 pixels, a word's of four letters
        return sum(p.width * p.height for p in map(open_image, sample.images)) // 784 + len(sample.question) // 4

    heaviest = list(islice(cycle(sorted(samples, key=weight, reverse=True)), t.prompts_per_step * t.updates_per_batch))
    plain = t.model_copy(update={"steps": t.updates_per_batch, "dynamic_sampling": None, "rollouts": "transformers"})
    rng = np.random.default_rng(0)
    lot = lambda completions, **_: rng.random(len(completions)).tolist()  # noqa: E731
    trainer = make_trainer(profile.model_copy(update={"training": plain}), heaviest, lot, out)
    trainer.generation_kwargs["min_new_tokens"] = trainer.generation_config.min_new_tokens = profile.max_new_tokens
    started = time.perf_counter()
    try:
        trainer.train()
    except torch.OutOfMemoryError as error:
        advice = "lower training.micro_batch, training.prompts_per_step, max_new_tokens or image_size"
        raise InputError(f"a step of profile {profile.name!r} does not fit into the memory of the GPU; {advice}") from error
    seconds = (time.perf_counter() - started) / t.updates_per_batch
    on_cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    used = torch.cuda.max_memory_allocated() if profile.device == "cuda" else on_cpu
    return {"seconds": seconds, "gigabytes": used / 1e9, "minutes": seconds * t.steps / 60}


def next_batch(trainer: Any) -> dict[str, Any]:
    """Rollouts of the next prompts with their advantages, as the trainer's loss takes them; those of a group side by side.

    See the example of `make_trainer`.
    """
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    return dict(trainer._generate_and_score_completions(next(iter(trainer.get_train_dataloader()))))


def token_logps(trainer: Any, batch: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-probabilities of a batch's response tokens under the policy as it is, and which count; each (responses, tokens).

    See the example of `make_trainer`.
    """
    import torch

    ids, masks = (torch.cat([batch[f"prompt_{kind}"], batch[f"completion_{kind}"]], 1) for kind in ("ids", "mask"))
    pictures = {k: batch[k] for k in ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids") if k in batch}
    tokens = batch["completion_ids"].size(1)
    with torch.no_grad():
        logps = trainer._get_per_token_logps_and_entropies(trainer.model, ids, masks, tokens, **pictures)[0]
    return logps.double().cpu().numpy(), batch["completion_mask"].bool().cpu().numpy()


def load_for_training(profile: Profile, seed: int) -> tuple[Any, Any, Any]:
    """Model, processor and LoRA configuration (None where Unsloth has put the adapter on already).

    >>> from medix_lite.profiles import load_profile
    >>> model, processor, lora = load_for_training(load_profile("tiny-cpu"), seed=0)
    >>> lora.r, lora.lora_alpha, lora.lora_dropout
    (16, 32, 0.0)
    """
    from ..models.load import load_policy, load_unsloth

    t = profile.training
    if profile.policy.backend == "unsloth":
        return *load_unsloth(profile.policy, rank=t.lora_rank, alpha=t.lora_alpha, seed=seed, max_length=t.max_length), None
    from peft import LoraConfig

    lora = LoraConfig(r=t.lora_rank, lora_alpha=t.lora_alpha, lora_dropout=0.0, target_modules=LORA_TARGETS, task_type="CAUSAL_LM")
    return *load_policy(profile.policy.path, revision=profile.policy.revision, dtype=profile.policy.dtype), lora


def make_recorder(metrics: Path, processor: Any, settings: Training, probe: Probe, report: Report, spent: float) -> Any:
    """A trainer callback that writes one metrics row a step and runs the probe with the random state put back.

    Args:
        spent: seconds of the run that was interrupted.

    >>> import tempfile
    >>> from types import SimpleNamespace
    >>> from medix_lite.profiles import load_profile
    >>> path, settings = Path(tempfile.mkdtemp()) / "metrics.jsonl", load_profile("tiny-cpu").training
    >>> recorder = make_recorder(path, None, settings, probe=None, report=None, spent=0)
    >>> state = SimpleNamespace(global_step=1, is_world_process_zero=True)
    >>> recorder.on_log(None, state, None, logs={"loss": 0.1, "reward": 0.5, "signal/format": 1.0})
    >>> sorted(read_jsonl(path)[0])
    ['loss', 'reward', 'seconds', 'signal/format', 'step']
    """
    import torch
    from transformers import TrainerCallback

    started, logged = time.perf_counter(), read_table("grpo")["logged"]

    class Recorder(TrainerCallback):
        seconds = spent

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if state.global_step == 0 and probe and state.is_world_process_zero:
                self._write({"step": 0} | self._probe(model))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **_: Any) -> None:
            if not logs or "loss" not in logs or not state.is_world_process_zero:
                return
            row = {"step": state.global_step} | {ours: logs[theirs] for theirs, ours in logged.items() if theirs in logs}
            row |= {name: value for name, value in logs.items() if name.startswith("signal/")}
            if probe and (state.global_step % settings.probe_every == 0 or state.global_step == settings.steps):
                row |= self._probe(model)
            self._write(row)

        def _probe(self, model: Any) -> dict[str, float]:
            was_training = model.training
            model.eval()
            with torch.random.fork_rng(devices=[]):
                measured = probe(model, processor) if probe else {}
            model.train(was_training)
            return {f"probe/{name}": value for name, value in measured.items()}

        def _write(self, row: dict[str, Any]) -> None:
            self.seconds = spent + time.perf_counter() - started
            clean = {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} | {"seconds": round(self.seconds, 2)}
            append_jsonl(metrics, [clean])
            if report:
                report(clean)

    return Recorder()
