# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · GRPO: group-based reinforcement learning
#
# **What you will learn.** To compute a group advantage by hand, to train a LoRA adapter with TRL's `GRPOTrainer` on the
# composite reward, and to read the curves of a healthy run.
#
# **Minutes:** 4. **Prerequisites:** notebook 02.
#
# > Research and education only, not for clinical use.
#
# For one question the policy writes a group of responses. Those better than the group's mean become more likely, those below it
# less likely. No value network, no labelled reasoning: the group is its own baseline.
#
# Words: the *policy* is the model, seen as a probability of each response. A *rollout* is one sampled response. *LoRA* trains small
# matrices beside frozen weights. *Entropy* says how undecided the next token is. The *probe* is a few held-out questions, asked now
# and then; the *oracle* knows what each phantom shows and marks them.

# %% tags=["parameters"]
run_dir: str = "../runs/course"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings

# %%
from IPython.display import Image, display

from medix_lite import figures
from medix_lite.files import write_json
from medix_lite.runs import curated, last_rows, open_run, train

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"
t = run.profile.training

# %% [markdown]
# ## 1. The advantage of four rollouts, by hand
# Rewards of four responses to one question, as in notebook 02. The advantage is the reward minus the group's mean, divided by
# its standard deviation (`ddof=1`, and 1e-4 against a division by zero, as in TRL).

# %%
import numpy as np

rewards = np.array([1.0, 1.0, 0.4825, 0.0])
advantages = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
print("advantages:", advantages.round(2), " sum:", round(advantages.sum(), 6))

# %% [markdown]
# Two things follow. If all responses earn the same, the advantages are zero and nothing is learned: such a group is wasted. And a
# constant added to all rewards changes nothing: only differences within a group teach.

# %%
same = np.array([0.145] * 4)
print("equal rewards:", (same - same.mean()) / (same.std(ddof=1) + 1e-4))
print("plus a constant:", ((rewards + 5 - (rewards + 5).mean()) / ((rewards + 5).std(ddof=1) + 1e-4)).round(2))

# %% [markdown]
# The loss is one line: `-(advantage * log_probability_of_each_token).mean()`. A step against its gradient makes every token of a
# response with a positive advantage more likely. PPO's clip limits how far one batch may move the policy; with one update for each
# batch it is idle.
#
# ## 2. The settings
# A LoRA adapter on the language layers; the vision tower is frozen. One optimizer step for each batch of rollouts. The published
# learning rate (1e-6) was for full fine-tuning; LoRA barely moves at it. The rate falls to 0 along the run, and the KL penalty ties the
# policy to the base, so that it keeps most of what the base already answered (how much it loses stands in the README's table).

# %%
print(f"{t.steps} steps, {t.prompts_per_step} prompts x {t.group_size} responses, learning rate {t.learning_rate}")
print(f"LoRA rank {t.lora_rank}, KL weight {t.beta}, temperature {t.temperature}, reward preset {run.profile.reward}")

# %% [markdown]
# ## 3. What the trainer sees
# Id, prompt and picture. The reference stays with the reward function; there is no reasoning to imitate anywhere.

# %%
from medix_lite.training.grpo import training_rows

splits = curated(run)
training_rows(splits["train"], run.profile)[0]

# %% [markdown]
# ## 4. Train
# One line now and then. On the tiny world the *probe* line shows true accuracy on a few questions, by the oracle: it only
# measures, training never sees it. Watch whether truth rises with the reward: if reward rises alone, the policy is hacking.


# %%
def report(row):
    if "probe/judged_accuracy" in row:
        reward = f"reward {row['reward']:.3f}  " if "reward" in row else "reward  ...   "
        probe = "  ".join(f"{k.removeprefix('probe/')} {v:.2f}" for k, v in row.items() if k.startswith("probe/"))
        print(f"step {row['step']:4}  {reward}{probe}")


trained = train(run, report)
write_json(run.folder / "training.json", {k: trained[k] for k in ("seconds", "steps")})

# %% [markdown]
# ## 5. The curves
# Healthy: reward and truth rise together, format climbs towards 1, entropy falls without hitting zero, length stays put. Unhealthy:
# reward up and truth flat (hacking), entropy at once to zero (collapse), length at the limit (truncation). Format starts below the
# 1.00 of notebook 02, because there the answers were greedy and here they are sampled at temperature 1.

# %%
rows = last_rows(run)
figure = figures.training_curves(rows, len(splits["probe"]), run.profile.max_new_tokens)
display(Image(figures.save(figure, FIGURES / "training_curves.png")))

# %%
steps = [row for row in rows if "reward" in row]
first, last = steps[: max(1, len(steps) // 10)], steps[-max(1, len(steps) // 10) :]
for key in ("reward", "zero_variance_groups", "entropy", "truncated"):
    a, b = (np.mean([row[key] for row in part if row.get(key) is not None]) for part in (first, last))
    print(f"{key:22} first tenth {a:.3f}   last tenth {b:.3f}")

# %% [markdown]
# `zero_variance_groups` is the share of groups that taught nothing, because all their responses earned the same. It grows as the
# policy gets better: late steps are mostly wasted on questions it already answers. DAPO's dynamic sampling drops groups whose mean
# reward is near 0 or 1, and draws others.
#
# ## Exercise
# One response is right (1.0), two are wrong but well formed (0.145), and for the fourth the judge failed (null). Compute the advantages
# with the null left out, and then with the null taken for a 0. What would the policy have learned from the broken judge?

# %% tags=["exercise"]
with_null = np.array([1.0, 0.145, 0.145, np.nan])
print("your turn:", with_null)

# %% [markdown]
# <details><summary>Solution</summary>
#
# <code>(with_null - np.nanmean(with_null)) / (np.nanstd(with_null, ddof=1) + 1e-4)</code> gives 1.15, -0.58, -0.58 and nothing for the
# fourth. With 0 in its place: 1.49, -0.39, -0.39, -0.71. The response that nobody judged would have been punished most.
# </details>
#
# ## What you learned
# - The group is its own baseline: advantage = (reward - mean) / standard deviation.
# - Groups without variance teach nothing.
# - Reward alone does not tell whether a policy got better: hold it against truth.
#
# **Differs from MediX-R1:** LoRA instead of full fine-tuning, a frozen vision tower, one update for each batch of rollouts, groups of 8
# (5), 8 prompts a step (512 in a rollout batch), learning rate 5e-4 (1e-6) that falls to 0, KL weight 0.05
# (0.01 in its GRPO, none in its DAPO).
#
# **Next:** [04 · Judge and evaluate](04_judge_evaluation.ipynb)
