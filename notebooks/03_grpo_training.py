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
# **What you will learn.** To compute a group advantage and the loss by hand, to train a LoRA adapter with TRL's `GRPOTrainer` on
# the composite reward, to read the curves of a healthy run, and to find out why a broken one does not learn.
#
# **Minutes:** 5. **Prerequisites:** notebook 02.
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
from medix_lite.runs import curated, last_rows, open_run, run_reward, train

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
# ## 2. What the trainer sees
# Id, prompt and picture. The reference stays with the reward function; there is no reasoning to imitate anywhere.

# %%
from medix_lite.training.grpo import make_trainer, next_batch, token_logps, training_rows

splits = curated(run)
training_rows(splits["train"], run.profile)[0]

# %% [markdown]
# ## 3. The loss, by hand
# Four questions, four rollouts each, scored by the composite reward of notebook 02. One row a question:

# %%
plain = {"group_size": 4, "prompts_per_step": 4, "micro_batch": None, "updates_per_batch": 1, "dynamic_sampling": None}
plain |= {"loss_type": "grpo", "scale_rewards": "group", "importance_sampling_level": "token", "delta": None, "weighted_kl": True}
small = run.profile.model_copy(update={"training": t.model_copy(update=plain)})
trainer = make_trainer(small, splits["train"], run_reward(run), run.folder / "by_hand", seed)
batch = next_batch(trainer)
old, counted = token_logps(trainer, batch)
A = batch["advantages"].cpu().numpy()[:, None]
print(A.reshape(4, 4).round(2))

# %% [markdown]
# A row of zeros is a question whose four rollouts earned the same. For each token GRPO compares the policy now with the policy that
# wrote it: `ratio = exp(new - old)` of their log-probabilities. Before the first step the ratio is 1 everywhere, and the advantages of a
# group add up to 0, so the loss reads 0. That is no sign that nothing is learnt: its gradient is not 0.

# %%
loss = trainer.compute_loss(trainer.model, batch)
loss.backward()
trained_weights = [p for p in trainer.model.parameters() if p.grad is not None]
print(f"loss {float(loss):+.6f}, norm of its gradient {float(sum(p.grad.norm() ** 2 for p in trained_weights)) ** 0.5:.3f}")

# %% [markdown]
# One step against that gradient. Responses with a positive advantage got more likely, those with a negative one less:

# %%
import torch

torch.optim.AdamW(trained_weights, lr=t.learning_rate).step()
new, _ = token_logps(trainer, batch)
change = ((new - old) * counted).sum(1)
for name, which in (("positive", A[:, 0] > 0), ("negative", A[:, 0] < 0)):
    print(f"{name} advantage: {which.sum()} responses, log-probability {change[which].mean():+.3f} on average")

# %% [markdown]
# Now the loss of the moved policy. PPO's clip takes away the reason to move a ratio further than from 0.8 to 1.2 with one batch. The KL
# term (Schulman's estimate, times the ratio) ties the policy to the base, which here is the policy before its step. By hand, and by TRL:

# %%
ratio = np.exp(new - old)
clipped = ratio.clip(1 - t.epsilon_low, 1 + t.epsilon_high)
kl = np.exp(old - new) - (old - new) - 1
of_each_token = -np.minimum(ratio * A, clipped * A) + t.beta * kl * ratio
by_hand = ((of_each_token * counted).sum(1) / counted.sum(1)).mean()
batch["old_per_token_logps"] = torch.as_tensor(old, device=batch["advantages"].device, dtype=torch.float32)
print(f"by hand {by_hand:+.6f}, TRL {float(trainer.compute_loss(trainer.model, batch)):+.6f}")
print(
    f"ratios from {ratio[counted].min():.3f} to {ratio[counted].max():.3f}, outside the clip's range: {(ratio != clipped)[counted].mean():.1%}"
)
del trainer, batch

# %% [markdown]
# ## 4. The settings, and the family
# A LoRA adapter on the language layers; the vision tower is frozen. One optimizer step for each batch of rollouts, so that the clip is
# idle by construction. The published learning rate (1e-6) was for full fine-tuning; LoRA barely moves at it. The rate falls to 0 along
# the run, and the KL penalty keeps most of what the base already answered (how much is lost stands in the README's table).

# %%
print(f"{t.steps} steps, {t.prompts_per_step} prompts x {t.group_size} responses, learning rate {t.learning_rate}")
print(f"LoRA rank {t.lora_rank}, KL weight {t.beta}, temperature {t.temperature}, reward preset {run.profile.reward}")

# %% [markdown]
# The relatives of GRPO differ in a few settings; each is a name for `training.algorithm`, as in
# `medix-lite run --out runs/dapo --settings training.algorithm=dapo`. DAPO averages over all tokens alike, clips higher than it clips
# low, has no KL term, and draws groups anew that cannot teach. GSPO takes one ratio for a whole response. Dr. GRPO does not divide by the
# standard deviation, nor by the length of a response. `medix-*` are the settings of MediX-R1's authors.

# %%
from medix_lite.files import read_table

for name, preset in read_table("grpo")["algorithms"].items():
    print(f"{name:11}", ", ".join(f"{setting} {value}" for setting, value in preset.items()) or "the defaults")

# %% [markdown]
# ## 5. Train
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
# ## 6. The curves
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
# policy gets better: late steps spend more and more on questions it already answers. That is what DAPO's dynamic sampling is for.
#
# ## 7. The doctor
# Most runs that fail do so in one of a few ways, and the metrics tell which. `medix-lite doctor RUN` holds them against
# `data/doctor.yaml`, causes before consequences.

# %%
from medix_lite.training.doctor import diagnose


def consult(run):
    for fault in diagnose(last_rows(run), run.folder / "adapter") or [None]:
        print("healthy" if fault is None else f"{fault.name}: {fault.means}\n  seen: {fault.evidence}\n  do: {fault.change}")


consult(run)

# %% [markdown]
# ## Exercise 1: a patient
# Somebody ran a short course with these settings, and it does not learn. Read the metrics of its last step: what is wrong? Then ask the
# doctor.

# %% tags=["exercise"]
wrong = ",".join(filter(None, [settings, "max_new_tokens=8", "training.steps=6", "training.probe_every=6"]))
patient = open_run(run.folder / "patient", profile, source, seed, judge, wrong)
train(patient)
row = [row for row in last_rows(patient) if "reward" in row][-1]
print({name: row.get(name) for name in ("reward", "signal/format", "completion_tokens", "truncated", "zero_variance_groups", "kl")})

# %%
consult(patient)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Nearly every response is cut off at eight tokens, long before its answer (`truncated`): the format is never right, hardly anything is
# judged right, and most groups have nothing to choose from (`zero_variance_groups`). Raise `max_new_tokens`.
# </details>
#
# ## Exercise 2: a judge that fails
# One response is right (1.0), two are wrong but well formed (0.145), and for the fourth the judge failed (null). Compute the advantages
# with the null left out, and then with the null taken for a 0. What would the policy have learned from the broken judge?

# %% tags=["exercise"]
with_null = np.array([1.0, 0.145, 0.145, np.nan])
print("your turn:", with_null)

# %% [markdown]
# <details><summary>Solution</summary>
#
# <code>(with_null - np.nanmean(with_null)) / (np.nanstd(with_null, ddof=1) + 1e-4)</code> gives 1.15, -0.58, -0.58 and nothing for the
# fourth. With 0 in its place: 1.48, -0.39, -0.39, -0.71. The response that nobody judged would have been punished most.
# </details>
#
# ## What you learned
# - The group is its own baseline: advantage = (reward - mean) / standard deviation.
# - A loss of 0 can teach: look at gradients and ratios, not at the loss.
# - Groups without variance teach nothing.
# - Reward alone does not tell whether a policy got better: hold it against truth.
#
# **Differs from MediX-R1:** LoRA instead of full fine-tuning, a frozen vision tower, one update for each batch of rollouts, groups of 8
# (5), 8 prompts a step (512 in a rollout batch), learning rate 5e-4 (1e-6) that falls to 0, KL weight 0.05
# (0.01 in its GRPO, none in its DAPO).
#
# **Next:** [04 · Judge and evaluate](04_judge_evaluation.ipynb)
