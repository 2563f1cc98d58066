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
# # 05 · Which reward signals matter?
#
# **What you will learn.** To take a composite reward apart with controls, to tell "the reward went up" from "it got better", and to hold a
# paper's claims against your own measurements.
#
# **Minutes:** 1 of computing; reading takes longer. **Prerequisites:** notebooks 03 and 04.
#
# > Research and education only, not for clinical use.
#
# MediX-R1 reports that a reward from the judge alone, or from embeddings alone, is unstable and gets hacked, that both together are less
# so, and that the composite of four signals is stable and ends highest. On real questions the truth is costly to check: benchmark scores
# come from a judge again, and experts can read only some answers. In the tiny world an oracle knows the truth of every answer.
#
# Words: an *arm* is one way to train that differs from the others in one thing. A *control* is an arm whose result says what a difference is
# worth: what comes by chance, or by tidiness alone.
#
# ![The same base, questions and steps; only what is paid differs; measured by the truth](../figures/idea_05.svg)

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # the experiment needs the truth, which only phantoms have
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings
arms: str = "composite, format only"  # arms of data/arms.yaml that are trained here, for a few steps
steps: int = 6  # of each of them

# %%
import numpy as np
from IPython.display import Image, Markdown, display

from medix_lite import figures
from medix_lite.ablation import arm_reward, find_arms, run_arms
from medix_lite.files import DATA, read_json
from medix_lite.runs import curated, open_run

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"
kept = read_json(DATA / "reference" / "signals.json")

# %% [markdown]
# ## 1. The arms
# Each arm trains the same frozen base on the same questions in the same order. Four are built after the paper's: *composite*, *judge only*,
# *embedding only*, *both*. Their signals are those of the preset `robust` (notebook 02); `faithful` would be nearer to the paper and was not
# run. The rest are controls: *random* shows what moves by chance, *format only* how much comes from tidiness, *exact match* what happens if
# only one wording is paid. *Weak judge* is there to be hacked: it says YES wherever the reference is mentioned. Three arms test explanations
# of what the others showed: *undivided* (paid like the composite, learns otherwise: section 6), and two whose references are *reworded*,
# differently from question to question, as people would write them.

# %%
for arm, how in find_arms("signals").items():
    print(f"{arm:21}", how or "all four signals, as in notebook 02")

# %% [markdown]
# ## 2. One answer, many prices
# What does each arm pay for the same three answers? The first is right; the second names the finding in order to deny it; the third hides
# it in a list. Look at the row of the weak judge: it pays for all three alike. (Where the reference is reworded, exact match may refuse
# the right answer.)

# %%
# an open question with a picture and an answer in words, where there is one
sample = min(
    curated(run)["train"],
    key=lambda s: (bool(s.options) or s.graded, not s.has_image, len(s.reference) < 8 or s.reference.startswith("no ")),
)
tag, words = f"<{sample.modality}>" if sample.has_image else "", sample.reference
answers = {"right": words, "denied": f"not {words}", "listed": f"{words}, or a fracture, or nothing at all"}
responses = [f"{tag}<think>I look at it.</think><answer>{text}</answer>" for text in answers.values()]
print(f"{sample.question} -> {words}\n{'':21}", *(f"{name:>8}" for name in answers))
for arm, how in find_arms("signals").items():
    paid = arm_reward(run, arm, how, seed)(None, responses, id=[sample.id] * len(responses))
    print(f"{arm:21}", *(f"{price:8.2f}" for price in paid))

# %% [markdown]
# ## 3. How it is done
# Two arms for a few steps, so that you see how an arm is run. It is far too short to show a gain; the full run follows.

# %%
if run.on_phantoms:
    few = ", ".join(filter(None, [settings, f"training.steps={steps}, training.probe_every={steps}, data.test=60"]))
    short = open_run(run.folder / "signals", profile, source, seed, judge, few)
    run_arms(short, find_arms("signals", [arm.strip() for arm in arms.split(",")]), [seed])
else:
    print(f"skipped: no oracle knows the truth of {run.source.partition(':')[0]}")

# %% [markdown]
# ## 4. The full run
# Every arm with three seeds, by one command: `python tests/benchmarks/train_arms.py signals FOLDER`. Solid: the share of probe questions answered
# truly. Dashed: what the arm's own reward paid. Lines are means over the seeds (the dashed ones also over eight steps), bands reach from the lowest
# to the highest seed. The probe is answered greedily, what is paid is sampled and so lies lower: compare how far they rise. Where the dashed line
# climbs and the solid one does not, the policy learns to please the reward and nothing else.

# %%
print({name: value for name, value in kept["settings"].items() if name != "versions"})
display(Image(figures.save(figures.arm_curves(kept), FIGURES / "signals.png")))

# %% [markdown]
# ## 5. What was true in the end
# Greedy answers to 400 held-out questions, means over the seeds; the last column (above 0 the composite is better) with its 95% interval
# over the questions. *Judged* is what the default judge says of the same answers; it is a measure here, also for the arms that were not
# paid by it. *Reasoning* is the share of responses whose reasoning claims nothing false, *consistent* those whose answer does not contradict
# it, *words* the length of an answer. No arm pays for these: the reasoning hardly moves, and where answers get better they part from it in
# one of a hundred.

# %%
columns = ("true", "judged", "format", "reasoning", "consistent", "words")
rows = [" | ".join(["", "arm", *columns, "composite ahead by (true)", ""]), "|---" * (len(columns) + 2) + "|"]
for arm, row in kept["table"].items():
    ahead = row.get("composite ahead by")
    cells = [f"{row[name]['value']:.2f}" for name in columns] + [f"{ahead['value']:+.3f} {ahead['ci95']}" if ahead else ""]
    rows.append(" | ".join(["", arm, *cells, ""]))
display(Markdown("\n".join(row.strip() for row in rows)))

# %% [markdown]
# ## 6. The paper's claims, as tested here
# *Unstable*: the seeds end more than 0.05 apart in true accuracy. *Hacked*: paid beyond the truth by 0.1 more than the composite is. *Higher*:
# the 95% interval lies above 0. *Stable*: seeds at most 0.05 apart, and format at least 0.95. The first five rows follow the paper's ablation;
# where it says that both together are *less* unstable, we ask whether they end higher. The last two are ours. The rules (in
# `check_claims` of that script) stood before the first arm was trained, with two exceptions: the seeds of *embedding only* then ended 0.05 apart to
# the last digit, which does not count as more; and the last row was added when exact match had come out ahead.

# %%
claims = [" | ".join(["", "claim", "measured here", "reproduced", ""]), "|---|---|---|"]
claims += [f"| {row['claim']} | {row['measured']} | {'yes' if row['reproduced'] else '**no**'} |" for row in kept["claims"]]
display(Markdown("\n".join(line.strip() for line in claims)))

# %% [markdown]
# None of the first five shows here. By the first rule the composite is even the *least* stable of three (0.066). Why? Most of it lies in the
# tiny world:
# - *Its judge hardly errs on this world's answers* (notebook 04: on none of 1,060 greedy and 31 of 8,480 sampled ones), nor does its embedder, and
#   the vetoes of notebook 02 close holes that the paper's embedding signal has. So
#   neither alone is unstable or gets hacked, and together they are no better. Not even the weak judge is hacked: it is paid beyond the
#   truth hardly more than *exact match*, which no list can fool, and what it taught is judged no better (0.854) than it is true (0.852).
# - *The base is tidy*: its greedy answers always, its sampled ones nine times in ten. Format and modality have little to teach.
# - *Does the composite end lower*, then, because dividing by a group's spread makes a slip of the tag count as much as a false answer (notebook
#   03)? *Undivided* tests that. It ends at 0.835, the composite at 0.831: no difference that three seeds could show.
# - *Every concept has one name in the references*, and a policy can learn one name, so exact match comes out ahead. Where references vary in
#   their words, as those of people do, it falls behind in each seed, and the composite does not care. Where each
#   concept has one name, longer training does not put the composite ahead either: after 130 steps, on 1,200 questions, exact match leads by
#   0.010 [0.004, 0.016] (`data/reference/signals-130-steps.json`).
# - *Three seeds are few.* The intervals are over questions. Seeds of one arm end up to 0.07 apart; all arms from 0.83 to 0.85 lie within 0.021.
#   We do not know their order, though some intervals exclude 0. What is far outside: *format only* and *random*, 0.32 below.
#
# Is the composite no better than its parts? *Here* it is not. It is meant as an insurance against a judge that errs and a policy that is
# untidy; this world cannot show whether it pays out.

# %% [markdown]
# ## Exercises
# `rise(curve, column)` says by how much a column ends above its start: the mean of its last tenth less that of its first.
#
# **Exercise 1.** For each arm: by how much did what it is *paid* rise (`"reward"`), and by how much the truth (`"probe/true_accuracy"`)? Which arm is
# paid most beyond the truth?

# %% tags=["exercise"]
from medix_lite.ablation import rise

curves = {arm: [one["curve"] for one in seeds] for arm, seeds in kept["arms"].items()}
print("composite, seed 0, paid:", round(rise(curves["composite"][0], "reward"), 3))
my_arm = ...  # the name of an arm

# %% jupyter={"source_hidden": true} tags=["solution"]
beyond = {arm: np.mean([rise(c, "reward") - rise(c, "probe/true_accuracy") for c in of_arm]) for arm, of_arm in curves.items()}
my_arm = max(beyond, key=beyond.get)

# %% tags=["check"]
assert my_arm is not ..., "my_arm is still `...`: put the name of an arm there"
assert my_arm in curves, f"no such arm; they are {', '.join(curves)}"
past = {}
for arm, of_arm in curves.items():
    paid, true = (np.mean([rise(curve, name) for curve in of_arm]) for name in ("reward", "probe/true_accuracy"))
    past[arm] = paid - true
assert my_arm == max(past, key=past.get), "another arm is paid more beyond the truth: compare the means over the seeds"
print("right; below 0 the truth rose more than what was paid")
for arm in sorted(past, key=past.get, reverse=True):
    print(f"{arm:21} {past[arm]:+.3f}")

# %% [markdown] tags=["solution"]
# Is that hacking? *Format only* pays 1 for every tidy answer, true or false (section 2): the policy does what this reward asks for, so nothing is
# cheated, but the reward says nothing of the truth. The two numbers are not on one scale (rewards are of sampled answers to training questions, truth
# of greedy ones to the probe), so compare arms with each other.

# %% [markdown]
# **Exercise 2.** Three seeds of one arm differ in nothing but their random numbers. How far apart do the seeds of *composite* end in true accuracy on
# the test questions? (Section 6 says it. The curves in `kept["arms"]` are of the probe, which is smaller.)

# %% tags=["exercise"]
my_spread = ...  # highest minus lowest, to three digits

# %% jupyter={"source_hidden": true} tags=["solution"]
my_spread = 0.066  # 'seeds apart' in the claim that the composite is stable

# %% tags=["check"]
assert my_spread is not ..., "my_spread is still `...`: put a number there"
measured = next(row["measured"] for row in kept["claims"] if row["claim"] == "The composite is stable")
assert abs(my_spread - 0.094) > 0.001, "that is the probe, from the curves: the test questions are in section 6"
assert f"apart: {my_spread:.3f}" in measured, "look at the row 'The composite is stable' in section 6"
print(f"right: {measured}; the means of all arms from 'composite' to 'exact match' lie closer together than that")

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>An arm's reward rises to 1.0. Which plot do you ask for?</summary>
#
# What was true, beside it. *Format only* does exactly this and learns nothing.
# </details>
#
# <details><summary>The paper's claims did not show here. Is the paper refuted?</summary>
#
# No. Here judge and embedder hardly err and the base is tidy: there was nothing to insure against.
# </details>
#
# ## What you learned
# - A reward is judged by what becomes true, not by how much it pays.
# - Controls say what a difference is worth: chance, tidiness, one right string.
# - Seeds differ more than many rewards do. An interval over questions does not see that.
# - Fix the rule before you look, and say where you did not.
#
# **Differs from MediX-R1:** a tiny policy and 100 steps; the signals of preset `robust`; truth by an oracle instead of a judge; and
# controls that the paper does not have.
#
# **Next:** [06 · Can you trust the judge?](06_can_you_trust_the_judge.ipynb)
