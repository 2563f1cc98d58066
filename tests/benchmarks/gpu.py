"""What one GPU does: the tiny policy through plain TRL and through Unsloth, and steps of a policy of Qwen3-VL-2B's shape.

    python tests/benchmarks/gpu.py OUT.json [--small] [--parts tiny,shape] [--backends transformers,unsloth]

`tiny`: a short course run (40 steps) of the tiny policy: does the reward rise? `shape`: random weights in the shape of
Qwen3-VL-2B with the tiny tokenizer (no download; speed and memory do not ask what the weights are), groups of 8, pictures of 512
pixels, transformers rollouts of 128 tokens: tokens a second of rollouts, seconds a step, peak memory. `--small` runs all of it on
a CPU in a tiny shape, to see that it works. Each part and backend is a process of its own, since Unsloth patches TRL; one that
fails is recorded with the last lines of its error, and the others go on. OUT.json names the device and the date. The last line is
OUT.json's path.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPE = {
    "text_config": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151_936,
        "max_position_embeddings": 32_768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True},
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "patch_size": 16,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
}
SMALL = {
    "text_config": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    },
    "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64, "depth": 18},
}
SMALL["text_config"] |= {"head_dim": 32, "rope_parameters": SHAPE["text_config"]["rope_parameters"] | {"mrope_section": [6, 5, 5]}}
TOKENS, STEPS = 128, 6


def save_shape(folder: Path, small: bool) -> int:
    """Save a policy of random weights and its processor; returns the number of weights."""
    import torch
    import transformers

    from medix_lite.models.load import load_policy
    from medix_lite.models.tiny import make_processor, shape_of

    tokenizer = load_policy()[1].tokenizer
    shape = shape_of("policy", tokenizer)
    for part, values in SHAPE.items():
        shape[part] = shape[part] | values | (SMALL[part] if small else {})
    torch.manual_seed(0)
    with torch.device("cpu" if small else "cuda"):
        model = transformers.Qwen3VLForConditionalGeneration(transformers.Qwen3VLConfig(**shape)).to(torch.bfloat16)
    model.save_pretrained(folder)
    processor = make_processor(tokenizer)
    processor.image_processor.patch_size = 16
    processor.image_processor.size = {"shortest_edge": 512**2, "longest_edge": 512**2}
    processor.save_pretrained(folder)
    return sum(weights.numel() for weights in model.parameters())


def tiny(backend: str, folder: Path, small: bool) -> dict:
    """A short course run: reward at its ends, seconds a step."""
    from medix_lite import runs
    from medix_lite.files import read_json

    settings = f"device={'cpu' if small else 'cuda'},policy.backend={backend},training.steps={3 if small else 40},data.test=8"
    run = runs.open_run(folder / "run", settings=settings)
    runs.train(run)
    rows = [row for row in runs.last_rows(run) if row["step"]]
    tenth = max(1, len(rows) // 8)
    rewards = [statistics.mean(row["reward"] for row in some) for some in (rows[:tenth], rows[-tenth:])]
    changed = read_json(run.folder / "trainer.json")["changed_by_backend"]
    probes = [row["probe/true_accuracy"] for row in runs.last_rows(run) if "probe/true_accuracy" in row]
    measured = {"reward_first": rewards[0], "reward_last": rewards[1], "true_first": probes[0], "true_last": probes[-1]}
    return measured | {"step_seconds": statistics.median(row["step_seconds"] for row in rows), "changed_by_backend": changed}


def shape(backend: str, folder: Path, small: bool) -> dict:
    """Steps of the large shape: tokens a second of rollouts, seconds a step, peak memory."""
    import torch

    from medix_lite import runs
    from medix_lite.training.grpo import make_trainer

    weights = save_shape(folder / "policy", small)
    steps, tokens = (2, 8) if small else (STEPS, TOKENS)
    own = f"device={'cpu' if small else 'cuda'},policy.path={folder}/policy,policy.backend={backend},policy.dtype=bfloat16"
    own += f",image_size=512,max_new_tokens={tokens},data.test=8"
    own += f",training.steps={steps},training.prompts_per_step=1,training.micro_batch=8"
    run = runs.open_run(folder / "run", settings=own)
    samples = [sample for sample in runs.curated(run)["train"] if sample.has_image]
    trainer = make_trainer(
        run.profile, samples, lambda completions, **_: [float(i % 2) for i in range(len(completions))], folder / "out"
    )
    trainer.generation_kwargs["min_new_tokens"] = trainer.generation_config.min_new_tokens = tokens
    rollouts, seconds, prompt = [], [], 0
    real_generate, real_step = trainer._generate, trainer.training_step

    def generate(prompts):
        nonlocal prompt
        started = time.perf_counter()
        made = real_generate(prompts)
        rollouts.append((sum(map(len, made[1])), time.perf_counter() - started))
        prompt = max(map(len, made[0]))
        return made

    def step(*args, **kwargs):
        started = time.perf_counter()
        done = real_step(*args, **kwargs)
        if not small:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        return done

    trainer._generate, trainer.training_step = generate, step
    trainer.train()
    rate = statistics.median(count / taken for count, taken in rollouts[1:])
    memory = 0.0 if small else torch.cuda.max_memory_allocated() / 1e9
    return {
        "weights": weights,
        "prompt_tokens": prompt,
        "rollout_tokens_per_second": round(rate, 1),
        "step_seconds": round(statistics.median(seconds[1:]), 3),
        "peak_gigabytes": round(memory, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--parts", default="tiny,shape")
    parser.add_argument("--backends", default="transformers,unsloth")
    parser.add_argument("--one", help="PART,BACKEND: what a child process does")
    given = parser.parse_args()
    if given.one:
        part, backend = given.one.split(",")
        if backend == "unsloth":
            import unsloth  # noqa: F401
        with tempfile.TemporaryDirectory() as folder:
            found = {"tiny": tiny, "shape": shape}[part](backend, Path(folder), given.small)
        given.out.write_text(json.dumps(found))
        return
    import torch

    device = "cpu" if given.small else torch.cuda.get_device_name()
    results = {"device": device, "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "torch": torch.__version__}
    for part in given.parts.split(","):
        for backend in given.backends.split(","):
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder, "found.json")
                command = [
                    sys.executable,
                    __file__,
                    str(place),
                    "--one",
                    f"{part},{backend}",
                    *(["--small"] if given.small else []),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                found = json.loads(place.read_text()) if done.returncode == 0 else {"error": done.stderr.strip().splitlines()[-3:]}
            results[f"{part}, {backend}"] = found
            print(part, backend, json.dumps(found), flush=True)
            given.out.write_text(json.dumps(results, indent=2) + "\n")
    print(given.out)


if __name__ == "__main__":
    main()
