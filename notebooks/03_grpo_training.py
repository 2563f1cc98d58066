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
# **Minutes:** 3 of computing; reading takes longer. **Prerequisites:** notebook 02.
#
# > Research and education only, not for clinical use.
#
# For one question the policy writes a group of responses. Those better than the group's mean become more likely, those below it
# less likely. The *baseline* is what a reward is compared with: PPO, an older algorithm, trains a second network to guess it; here the
# group is its own baseline, and no labelled reasoning is needed.
#
# ![Four responses to one question: above the group's mean likelier, below it less likely](../figures/idea_03.svg)
#
# Words: the *policy* is the model, seen as a probability of each response. A *rollout* is one sampled response. *LoRA* trains small
# matrices beside frozen weights. *Entropy* says how undecided the next token is. The *probe* is a few held-out questions about phantoms,
# asked now and then; the *oracle* knows what each phantom shows and marks them. *Greedy* answers take the likeliest token each time;
# at *temperature 1* tokens are drawn as likely as the policy finds them.

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings

# %%
from IPython.display import Image, display

from medix_lite import figures
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


def advantage(r):
    return (r - r.mean()) / (r.std(ddof=1) + 1e-4)


rewards = np.array([1.0, 1.0, 0.4825, 0.0])
print("advantages:", advantage(rewards).round(2), " sum:", round(advantage(rewards).sum(), 6))

# %% [markdown]
# Three things follow. If all responses earn the same, the advantages are zero and the group teaches nothing. A constant added to all
# rewards changes nothing: only differences within a group teach. And a factor changes hardly anything: in a group that differs by a small
# flaw, the flaw counts like a big one.

# %%
print("equal rewards:  ", advantage(np.array([0.145] * 4)))
print("plus a constant:", advantage(rewards + 5).round(2))
print("a tenth of it:  ", advantage(rewards / 10).round(2))

# %% [markdown]
# ## 2. What the trainer sees
# Id, prompt and picture. The reference stays with the reward function; there is no reasoning to imitate anywhere.

# %%
from medix_lite.training.grpo import make_trainer, next_batch, token_logps, training_rows

splits = curated(run)
training_rows(splits["train"], run.profile)[0]

# %% [markdown]
# ## 3. The loss, by hand
# Plain GRPO, every extra of its relatives off, with four questions and four rollouts each:

# %%
plain = {"group_size": 4, "prompts_per_step": 4, "micro_batch": None, "updates_per_batch": 1, "dynamic_sampling": None}
plain |= {"loss_type": "grpo", "scale_rewards": "group", "importance_sampling_level": "token", "delta": None, "weighted_kl": True}
small = run.profile.model_copy(update={"training": t.model_copy(update=plain)})
trainer = make_trainer(small, splits["train"], run_reward(run), run.folder / "by_hand", seed)

# %% [markdown]
# The policy answers, the composite reward of notebook 02 pays, and the trainer makes advantages of it. The four rollouts of one question. An advantage
# says how a rollout did beside the other three, not whether it is right: among wrong answers the well-formed one stands above the broken one.

# %%
batch = next_batch(trainer)
texts = trainer.processing_class.batch_decode(batch["completion_ids"], skip_special_tokens=True)
for text, a in list(zip(texts, batch["advantages"].tolist(), strict=True))[:4]:
    print(f"{a:+.2f}  {text}")

# %% [markdown]
# And all advantages, one row a question. A row of zeros is a question whose four rollouts earned the same.

# %%
A = batch["advantages"].cpu().numpy()[:, None]
print(A.reshape(4, 4).round(2))

# %% [markdown]
# For each token GRPO compares the policy now with the policy that wrote it: `ratio = exp(new - old)` of their log-probabilities. It takes
# the mean over each response's tokens, then over responses. Before the first step all ratios are 1, the policy has not left its base, and
# the advantages of a group add up to 0: so the loss reads 0. That is no sign that nothing is learnt. Its gradient is not 0.

# %%
old, counted = token_logps(trainer, batch)  # a row a response; `counted` is False behind its end
loss = trainer.compute_loss(trainer.model, batch)
loss.backward()
trained_weights = [p for p in trainer.model.parameters() if p.grad is not None]
print(f"loss {loss.item():+.6f}, norm of its gradient {sum(p.grad.norm().item() ** 2 for p in trained_weights) ** 0.5:.3f}")

# %% [markdown]
# One step against that gradient. On average, responses with a positive advantage got more likely and those with a negative one less:

# %%
import torch

torch.optim.AdamW(trained_weights, lr=t.learning_rate).step()
new, _ = token_logps(trainer, batch)
change = ((new - old) * counted).sum(1)
for name, which in (("positive", A[:, 0] > 0), ("negative", A[:, 0] < 0)):
    print(f"{name} advantage: {which.sum()} responses, log-probability {change[which].mean():+.3f} on average")

# %% [markdown]
# The clip, which comes from PPO, stops *paying* for a move: above a ratio of 1.2 for a good response, below 0.8 for a bad one. It is no
# wall: ratios may lie outside, and a good response that has become *less* likely, or a bad one that has become more so, keeps its gradient.

# %%
ratio = np.exp(new - old)
clipped = ratio.clip(1 - t.epsilon_low, 1 + t.epsilon_high)
acts = ((A > 0) & (ratio > clipped)) | ((A < 0) & (ratio < clipped))
print(
    f"ratios from {ratio[counted].min():.3f} to {ratio[counted].max():.3f}; the clip acts on {acts[counted].mean():.1%} of tokens"
)

# %% [markdown]
# The KL term says how far the policy is from the base: `exp(d) - d - 1` with `d = base - new` (Schulman's estimate, never negative). TRL
# multiplies it by the ratio, which the GRPO paper does not (`weighted_kl`).

# %%
base = old  # a fresh adapter changes nothing, so the policy that wrote the responses was the base
d = base - new
kl = (np.exp(d) - d - 1) * ratio
print(f"mean over tokens: {kl[counted].mean():.5f}")

# %% [markdown]
# Put together: the smaller of plain and clipped gain for each token, less the KL term. By hand, and by TRL:

# %%
of_each_token = -np.minimum(ratio * A, clipped * A) + t.beta * kl
by_hand = ((of_each_token * counted).sum(1) / counted.sum(1)).mean()
# Without this TRL takes the policy as it is for the old one, and all ratios are 1.
batch["old_per_token_logps"] = torch.as_tensor(old, device=batch["advantages"].device, dtype=torch.float32)
print(f"by hand {by_hand:+.6f}, TRL {trainer.compute_loss(trainer.model, batch).item():+.6f}")
del trainer, batch

# %% [markdown]
# ## 4. The settings, and the family
# A LoRA adapter on the language layers; the vision tower is frozen. One optimizer step for each batch of rollouts: at that step all ratios
# are 1, so the clip never acts (`clip_fraction` below; in section 3 we looked *after* the step). The published learning rate, 1e-6,
# was for full fine-tuning: with `--settings training.learning_rate=1e-6` the doctor of section 8 says *rate too low*. The rate falls to 0 along
# the run. The KL penalty is meant to keep what the base already answered; where the base did not hedge, accuracy
# changed by -0.007 to +0.012 over five seeds (README, results), so next to nothing was lost.

# %%
print(f"{t.steps} steps, {t.prompts_per_step} prompts x {t.group_size} responses, learning rate {t.learning_rate}")
print(f"LoRA rank {t.lora_rank}, KL weight {t.beta}, temperature {t.temperature}, reward preset {run.profile.reward}")

# %% [markdown]
# What would another rate do, or another weight? A sweep over both, 60 steps each, one seed (`tests/benchmarks/train_arms.py rates FOLDER 1 60`):
# 2e-4 hardly moves; 1e-3 and 3e-3 (in bold the largest, before rounding) gain in 60 steps nearly what 5e-4 gains in the 130 of this profile; and at all of them the KL term changes the
# gain by at most 0.02, which one seed cannot tell from chance. So 1e-3 would do here with half the steps. The profile keeps the cautious 5e-4, with
# which everything else in this course was measured. For a policy of billions nobody has run this sweep yet: the rates in the GPU profiles are
# guesses.

# %%
from medix_lite.files import DATA, read_json

rates = read_json(DATA / "reference" / "rates.json")
display(Image(figures.save(figures.rate_heatmap(rates["table"]), FIGURES / "rates.png")))

# %% [markdown]
# The relatives of GRPO differ in a few settings. Each is a name for `training.algorithm`, as in
# `medix-lite run --out runs/dapo --settings training.algorithm=dapo`. All three drop the KL term.
# - **Dr. GRPO** divides neither by the standard deviation (section 1: a small flaw counts like a big one) nor by the length of a response.
# - **DAPO** takes the mean over all tokens alike, so that long responses weigh more; clips high ratios later than low ones; and replaces
#   groups whose rewards do not differ by *other* questions (*dynamic sampling*). Its penalty on length is left out here.
# - **GSPO** takes one ratio for a response, the geometric mean of its tokens' ratios. That hardly leaves 1, so its clip is narrow. It makes
#   four optimizer steps for each batch of rollouts, which is four times as large, so that the clip has something to do.
# - `medix-*` are the settings of MediX-R1's authors. Their dynamic sampling goes by the *mean* reward of a group, and `delta` caps the
#   ratios of bad responses.

# %%
from medix_lite.files import read_table

for name, preset in read_table("grpo")["algorithms"].items():
    print(f"{name:11}", ", ".join(f"{setting} {value}" for setting, value in preset.items()) or "the defaults")

# %% [markdown]
# ## 5. Train
# The curves grow while it trains. The *reward* is of one batch of training questions, sampled, so it is noisy. The *probe* is always the
# same held-out questions, answered greedily: *judged* by the judge and *true* by the oracle, which training never sees. Compare these two.
# If judged rises and true does not, the policy has learnt to please the judge: that is *reward hacking*.

# %%
curves = display(display_id=True)


def draw(row):
    if any(name.startswith("probe/") for name in row):
        figure = figures.training_curves(last_rows(run), len(splits["probe"]), run.profile.max_new_tokens)
        curves.update(Image(figures.save(figure, FIGURES / "training_curves.png")))


trained = train(run, draw)
draw(last_rows(run)[-1])  # also where the training was done before
print(f"{trained['steps']} steps in {trained['seconds']:.0f} s")

# %% [markdown]
# ## 6. Read the curves
# Healthy: reward and truth rise together, format climbs towards 1, entropy falls without hitting zero, and here length stays put.
# Unhealthy: judged up and truth flat (hacking), entropy at once to zero (collapse), length at the limit (truncation).

# %%
steps = [row for row in last_rows(run) if "reward" in row]
first, last = steps[: max(1, len(steps) // 10)], steps[-max(1, len(steps) // 10) :]
for key in ("reward", "signal/format", "zero_variance_groups", "entropy", "truncated", "clip_fraction"):
    a, b = (np.mean([row[key] for row in part if row.get(key) is not None]) for part in (first, last))
    print(f"{key:22} first tenth {a:.3f}   last tenth {b:.3f}")

# %% [markdown]
# `zero_variance_groups` is the share of groups whose responses all earned the same. All right *or all wrong* counts: either way the rewards teach
# nothing. Here it grows while the reward rises, so it is mostly questions already answered. This waste is what DAPO's dynamic sampling is for.
#
# ## 7. GRPO and its relatives, at equal cost
# Each from the same base on the same questions, 100 steps, three seeds (`tests/benchmarks/train_arms.py algorithms FOLDER`). A rollout is
# what costs, and dynamic sampling throws some away: so the axis counts rollouts, not steps. (DAPO drew more: at 6,400 rollouts it was
# still training, at a rate above 0.)

# %%
relatives = read_json(DATA / "reference" / "algorithms.json")
display(Image(figures.save(figures.algorithm_curves(relatives), FIGURES / "algorithms.png")))

# %% [markdown]
# In numbers: true accuracy on the probe where all have drawn the same number of rollouts, then greedy on 400 held-out questions when each
# had finished.

# %%
from medix_lite.ablation import at_equal_rollouts

drawn, then = at_equal_rollouts(relatives["arms"])
for arm, seeds in then.items():
    end = relatives["table"][arm]["true"]
    print(
        f"{arm:8} after {drawn} rollouts {np.mean(seeds):.2f} ({min(seeds):.2f} to {max(seeds):.2f})   at its end {end['value']:.2f} {end['ci95']}"
    )

# %% [markdown]
# GRPO, Dr. GRPO and DAPO cannot be told apart with three seeds: those of GRPO alone lie 0.09 apart on the probe. DAPO's extra rollouts bought
# nothing by then. GSPO is far behind. It draws as many rollouts in a quarter as many batches, and its clip is narrow (0.0003
# and 0.0004); the two causes were not separated. That is a statement about these
# settings: every algorithm learnt at GRPO's rate, and none got a rate of its own.
#
# ## 8. The doctor
# Most runs that fail do so in one of a few ways, and the metrics tell which. `medix-lite doctor RUN` holds them against
# `data/doctor.yaml`, causes before consequences.

# %%
from medix_lite.training.doctor import diagnose


def consult(run):
    for fault in diagnose(last_rows(run), run.folder / "adapter") or [None]:
        print("healthy" if fault is None else f"{fault.name}: {fault.means}\n  seen: {fault.evidence}\n  do: {fault.change}")


consult(run)

# %% [markdown]
# ## Exercises
# **Exercise 1: a patient.** Somebody changed one setting (it is in the next cell, which is folded: run it unopened) and ran six steps. Six steps
# are too few to learn, even for a healthy run. So compare step 6 with step 6: what is wrong with the patient?

# %% jupyter={"source_hidden": true}
changed = ",".join(filter(None, [settings, "max_new_tokens=8", "training.steps=6", "training.probe_every=6"]))
patient = open_run(run.folder / "patient", profile, source, seed, judge, changed)
print(train(patient)["steps"], "steps")


# %%
def sixth(one):
    return [row for row in last_rows(one) if "reward" in row and row["step"] <= 6][-1]


healthy, sick = sixth(run), sixth(patient)
for name in ("reward", "signal/accuracy", "signal/format", "completion_tokens", "truncated", "zero_variance_groups"):
    print(f"{name:22} healthy {healthy.get(name, np.nan):6.3f}   patient {sick.get(name, np.nan):6.3f}")

# %% [markdown]
# What the doctor can say:

# %%
print(*read_table("doctor"), sep=", ")

# %% tags=["exercise"]
my_diagnosis = ...  # one of these names, as a text

# %% jupyter={"source_hidden": true} tags=["solution"]
my_diagnosis = "completions cut off"

# %% tags=["check"]
assert my_diagnosis is not ..., "my_diagnosis is still `...`: put one of the names above there"
mine = str(my_diagnosis).strip(" .").lower()
said = {fault.name for fault in diagnose(last_rows(patient), patient.folder / "adapter")}
assert mine in read_table("doctor"), f"no such name; they are: {', '.join(read_table('doctor'))}"
hint = "format, accuracy and equal rewards are consequences: what happened to completion_tokens and truncated?"
assert mine in said, f"not that one; {hint}"
consult(patient)

# %% [markdown] tags=["solution"]
# Nearly every response is cut off at eight tokens, long before its answer, so the format is never right, hardly anything is judged right, and most
# groups have nothing to choose from.

# %% [markdown]
# **Exercise 2: a judge that fails.** One response is right (1.0), two are wrong but well formed (0.145), and for the fourth the judge failed (null).
# Compute the advantages with the null left out. What would the policy have learnt, had the null been taken for a 0?

# %% tags=["exercise"]
with_null = np.array([1.0, 0.145, 0.145, np.nan])
my_advantages = ...  # four numbers; nan for the response that takes no part

# %% jupyter={"source_hidden": true} tags=["solution"]
my_advantages = (with_null - np.nanmean(with_null)) / (np.nanstd(with_null, ddof=1) + 1e-4)

# %% tags=["check"]
assert my_advantages is not ..., "my_advantages is still `...`: numpy's nanmean and nanstd leave nan out"
mine, as_zero = np.nan_to_num(np.asarray(my_advantages, dtype=float)), advantage(np.nan_to_num(with_null))
assert not np.allclose(mine, as_zero, atol=0.01), "that takes the failure for a 0, and punishes it most of all"
assert np.allclose(mine, [*advantage(with_null[:3]), 0], atol=0.01), "mean and deviation (ddof=1) of the three known rewards"
print(f"right: {mine.round(2)}; with 0 for the null it would be {as_zero.round(2)}")

# %% [markdown] tags=["solution"]
# TRL makes an advantage of 0 of the nan. With 0 for the null, the response that nobody judged would have been punished most.

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>All eight answers of a group earn 0.9. What does the policy learn from them?</summary>
#
# Nothing: every advantage is 0.
# </details>
#
# <details><summary>At the first step the loss is 0. Is the run broken?</summary>
#
# No. All ratios are 1, the KL is 0, and advantages have mean 0; the gradient is not 0. Later the loss here is the KL term alone.
# </details>
#
# ## What you learned
# - The group is its own baseline: advantage = (reward - mean) / standard deviation.
# - A loss of 0 can teach: look at gradients and ratios, not at the loss.
# - Groups without variance teach nothing.
# - Reward alone does not tell whether a policy got better: hold it against truth.
#
# **Differs from MediX-R1:** LoRA instead of full fine-tuning, a frozen vision tower, groups of 8 (5), 8 prompts a step (128), one step for
# each batch of rollouts (4), learning rate 5e-4 that falls to 0 (1e-6, constant), KL weight 0.05 (0.01 in its GRPO, none in its DAPO),
# a mean over each response (over all tokens), clip 0.2 on both sides (0.3 above, and the cap `delta`).
#
# **Next:** [04 · Judge and evaluate](04_judge_evaluation.ipynb)
