"""How much faster is a GRPO step when a group's picture and prompt are computed once? Plain TRL over ours, on two policies.

    python tests/benchmarks/step_speed.py [STEPS] [ROUNDS]

The tiny policy as the profile trains it, and one of random weights (about 50 M, 256 tokens of picture in each prompt). In every
round each way trains STEPS steps (the large policy a quarter of them) after one to warm up, from the same seed on the same
questions with the same reward; printed are the medians of all steps. The last line is for the large policy: seconds a step of plain
TRL over ours.
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch
import transformers
from transformers import PrinterCallback

from medix_lite import runs
from medix_lite.models.load import load_policy
from medix_lite.models.tiny import make_processor, shape_of
from medix_lite.training.grpo import make_trainer

WAYS = {
    "plain": {"share_pictures": False, "share_prompts": False},
    "pictures once": {"share_pictures": True, "share_prompts": False},
    "prompts once": {"share_pictures": False, "share_prompts": True},
    "both": {"share_pictures": True, "share_prompts": True},
}
SIDE = 256  # pixels: a patch has 8, and four of them make a token


def build_large(folder: Path) -> int:
    """Save a policy of random weights with the tiny one's tokenizer; returns its number of weights."""
    torch.manual_seed(0)
    tokenizer = load_policy()[1].tokenizer
    shape = shape_of("policy", tokenizer)
    text = {"hidden_size": 640, "intermediate_size": 1920, "num_hidden_layers": 9, "num_attention_heads": 10, "head_dim": 64}
    text |= {"rope_parameters": shape["text_config"]["rope_parameters"] | {"mrope_section": [12, 10, 10]}}
    shape["text_config"] = shape["text_config"] | text
    vision = {"hidden_size": 256, "intermediate_size": 768, "depth": 6, "out_hidden_size": 640}
    shape["vision_config"] = shape["vision_config"] | vision | {"num_position_embeddings": (SIDE // 8) ** 2}
    model = transformers.Qwen3VLForConditionalGeneration(transformers.Qwen3VLConfig(**shape))
    model.save_pretrained(folder)
    processor = make_processor(tokenizer)
    processor.image_processor.size = {"shortest_edge": SIDE**2, "longest_edge": SIDE**2}
    processor.save_pretrained(folder)
    return sum(weights.numel() for weights in model.parameters())


def seconds_of(steps: int, settings: str) -> tuple[list[float], int]:
    """Seconds of each step after the first, and the tokens of the longest prompt."""
    with tempfile.TemporaryDirectory() as folder:
        run = runs.open_run(Path(folder, "run"), settings=f"training.steps={steps + 1},data.test=8,{settings}")
        trainer = make_trainer(run.profile, runs.curated(run)["train"], runs.run_reward(run), Path(folder, "out"))
        taken, longest = list[float](), 0
        real_step, real_score = trainer.training_step, trainer._generate_and_score_completions

        def step(*args, **kwargs):
            started = time.perf_counter()
            done = real_step(*args, **kwargs)
            taken.append(time.perf_counter() - started)
            return done

        def score(inputs):
            nonlocal longest
            made = real_score(inputs)
            longest = max(longest, int(made["prompt_mask"].sum(1).max()))
            return made

        trainer.training_step, trainer._generate_and_score_completions = step, score
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return taken[1:], longest


def main(steps: int = 10, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        weights = build_large(Path(folder, "large"))
        large = f"policy.path={folder}/large,image_size={SIDE},training.prompts_per_step=2"
        for name, own in (("tiny policy", ""), (f"random policy of {weights / 1e6:.0f} M", large)):
            taken, longest = defaultdict[str, list[float]](list), 0
            for _ in range(rounds):
                for way, switches in WAYS.items():
                    settings = ",".join([own, *(f"training.{switch}={on}" for switch, on in switches.items())]).strip(",")
                    some, longest = seconds_of(steps if not own else max(2, steps // 4), settings)
                    taken[way] += some
            medians = {way: statistics.median(seconds) for way, seconds in taken.items()}
            print(f"{name}, prompts of up to {longest} tokens", flush=True)
            for way, seconds in medians.items():
                print(f"  {way:14} {seconds:7.3f} s a step   {medians['plain'] / seconds:.2f}x", flush=True)
    print(f"{medians['plain'] / medians['both']:.1f}x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
