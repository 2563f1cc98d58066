"""Where does a GRPO step spend its time? The tiny policy on this machine, with the composite reward.

    python tests/benchmarks/step_profile.py [STEPS]

Wraps a timer around each part of TRL's trainer, trains STEPS steps after three to warm up, and prints the median seconds and
share of each part: rollouts; the reward; log-probabilities of base and policy; the loss without them; the backward pass; the
rest (optimizer, processor, bookkeeping). Beside it stands the time that the arithmetic would need at the rate of a large matrix
product measured here. The last line is the share of reward and rest.
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch

from medix_lite import runs
from medix_lite.training.grpo import make_trainer

WARM_UP = 3


def matmul_rate() -> float:
    """Floating-point operations a second of a product of 1,024 x 1,024 matrices, the median of 20."""
    a, b = torch.randn(2, 1024, 1024)
    times = []
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    return 2 * 1024**3 / statistics.median(times)


def main(steps: int = 20) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = runs.open_run(Path(folder, "run"), settings=f"training.steps={steps + WARM_UP},data.test=8")
        samples = runs.curated(run)["train"]
        trainer = make_trainer(run.profile, samples, runs.run_reward(run), Path(folder, "out"))
        spent: dict[str, float] = defaultdict(float)
        rows: list[dict[str, float]] = []
        inside: list[str] = []
        tokens = {"rollout": 0, "all": 0}

        def timed(owner: object, name: str, part: str) -> None:
            real = getattr(owner, name)

            def call(*args, **kwargs):
                inside.append(part)
                started = time.perf_counter()
                try:
                    return real(*args, **kwargs)
                finally:
                    taken = time.perf_counter() - started
                    inside.pop()
                    spent[part] += taken
                    if inside:
                        spent[inside[-1]] -= taken

            setattr(owner, name, call)

        timed(trainer, "_generate", "rollouts")
        timed(trainer, "_calculate_rewards", "reward")
        timed(trainer, "_get_per_token_logps_and_entropies", "log-probabilities")
        timed(trainer, "compute_loss", "loss")
        timed(trainer.accelerator, "backward", "backward")
        real_step = trainer.training_step

        def step(*args, **kwargs):
            spent.clear()
            started = time.perf_counter()
            done = real_step(*args, **kwargs)
            total = time.perf_counter() - started
            rows.append(dict(spent) | {"rest": total - sum(spent.values()), "total": total})
            return done

        trainer.training_step = step
        real_score = trainer._generate_and_score_completions

        def score(inputs):
            made = real_score(inputs)
            tokens["rollout"] += int(made["completion_mask"].sum())
            tokens["all"] += int(made["prompt_mask"].sum() + made["completion_mask"].sum())
            return made

        trainer._generate_and_score_completions = score
        trainer.train()
    rows = rows[WARM_UP:]
    parts = {name: statistics.median(row.get(name, 0.0) for row in rows) for name in rows[0]}
    weights = sum(p.numel() for p in trainer.model.parameters())
    # A forward pass takes 2 operations for each weight and token. There are three: rollouts, log-probabilities of base and policy.
    # The backward pass takes twice as many as one.
    needed = 2 * weights * tokens["all"] / (steps + WARM_UP) * (1 + 1 + 1 + 2) / matmul_rate()
    for name, seconds in parts.items():
        print(f"{name:18} {seconds:6.3f} s  {seconds / parts['total']:6.1%}")
    print(f"arithmetic alone   {needed:6.3f} s  {needed / parts['total']:6.1%} ({weights / 1e6:.1f} M weights)")
    print(f"{(parts['reward'] + parts['rest']) / parts['total']:.0%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
