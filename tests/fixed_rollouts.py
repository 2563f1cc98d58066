"""A short run whose rollouts hang on prompt and picture, not on the process that draws them; `test_processes.py` starts it.

    python tests/fixed_rollouts.py OUT [SETTING=VALUE ...]

Everything else is the real thing. What OUT holds then must not depend on the number of processes, as long as each draws whole
groups.
"""

import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from medix_lite.profiles import load_profile, parse_settings, processes_of
from medix_lite.tiny_world.questions import make_samples
from medix_lite.training import grpo

SMALL = {"training.steps": 3, "training.prompts_per_step": 4, "training.group_size": 4, "max_new_tokens": 12}


def number_of(*parts):
    """A number that hangs on the parts only."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def reward(completions, **_):
    return [number_of(completion[0]["content"]) % 1000 / 1000 for completion in completions]


def main(out, *settings):
    profile = load_profile("tiny-cpu", SMALL | parse_settings(",".join(settings)))
    with processes_of(profile).main_process_first():
        samples = make_samples(24, "train", 3, out.with_name("images"))
    real = grpo.make_trainer

    def make_trainer(*args):
        trainer = real(*args)

        def draw(prompt_ids, images, fields, copies, *_, **__):
            drawn, made = Counter(), []
            for prompt, pictures in zip(prompt_ids, images or [None] * len(prompt_ids), strict=True):
                key = number_of(tuple(prompt), [p.tobytes() for p in pictures or []])
                rng = np.random.default_rng([key, drawn[key]])
                drawn[key] += 1
                made.append([*rng.integers(300, 1500, rng.integers(3, 11)).tolist(), trainer._tokenizer.eos_token_id])
            return made, None

        trainer._generate_single_turn = draw
        return trainer

    grpo.make_trainer = make_trainer
    grpo.train_policy(profile, samples, reward, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
