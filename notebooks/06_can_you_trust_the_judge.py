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
# # 06 · Can you trust the judge?
#
# **What you will learn.** To measure a judge like any other instrument: its agreement with labels beyond chance, its errors by kind of
# candidate, what attacks do to it, how stable its votes are, and what an answer that nobody could judge does to a score.
#
# **Minutes:** 1 of computing; reading takes longer. **Prerequisites:** notebook 02.
#
# > Research and education only, not for clinical use.
#
# In MediX-R1 a judge decides twice: during training its YES is over half of the reward, and at the end its YES is the result. A judge that
# can be fooled is found out by RL, because RL is a search for whatever the judge says YES to. So audit the judge before you train.
#
# ![Each attack beside a matched right answer; four cells, and UNSCORED](../figures/idea_06.svg)

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings
humans: str = ""  # JSONL of pairs that humans labelled; empty: the kept measurement on EVOUNA is shown

# %%
from collections import Counter

from IPython.display import Image, display

from medix_lite import figures
from medix_lite.files import DATA, read_json
from medix_lite.judging.audit import Pair, audit, judge_pairs, read_pairs
from medix_lite.judging.judges import make_judge
from medix_lite.runs import open_run

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"

# %% [markdown]
# ## 1. Agreement beyond chance, by hand
# Six answers, labelled by a human, and a judge that says YES to four of them. They agree on five of six. But a judge who says YES four
# times in six agrees with these labels half of the time by luck: both say YES (share of YES here x share of YES there), or both say NO. Cohen's kappa
# takes the luck out: (observed - by chance) / (1 - by chance).

# %%
labels = [True, True, True, False, False, False]
said = [True, True, True, True, False, False]
observed = sum(a == b for a, b in zip(labels, said, strict=True)) / 6
chance = (3 / 6) * (4 / 6) + (3 / 6) * (2 / 6)
print(f"observed {observed:.3f}, by chance {chance:.3f}, kappa {(observed - chance) / (1 - chance):.3f}")

# %% [markdown]
# The library's audit agrees, and adds an interval: six answers say very little.

# %%
from medix_lite.judging.verdicts import Verdict

pairs = [Pair(question="Which side?", reference="left", candidate="?", label=label) for label in labels]
verdicts = [Verdict(id="x", verdict="YES" if yes else "NO", decided_by="model", score=None) for yes in said]
result = audit(pairs, verdicts)
print("kappa", result["kappa"])
assert abs(result["kappa"]["value"] - (observed - chance) / (1 - chance)) < 1e-4

# %% [markdown]
# ## 2. An attack suite
# Candidates that are wrong and would like to be taken for right, in sixteen kinds, each beside a right answer to the same question: a judge
# that says NO to everything resists all attacks. (A *pair* is a reference and one candidate with its label, so an attack and its right answer are two.)
# The rules were later tuned on this suite, so its numbers flatter them (section 3).

# %%
suite = read_pairs(DATA / "audit" / "attacks.jsonl")
kinds = list(dict.fromkeys(pair.kind for pair in suite))
for kind in kinds:
    wrong = next(pair for pair in suite if pair.kind == kind and not pair.label)
    print(f"{kind:19} {wrong.reference[:28]!r:31} <- {wrong.candidate[:70]!r}")

# %% [markdown]
# ## 3. Audit three judges
# `rules` has no model and leaves open what it cannot decide soundly; `model-only:tiny` is the tiny model alone; `tiny`, the default, lets the
# rules go first. UNSCORED counts as NO here, and its share stands beside it. *Sensitivity* is the share of right answers that get a YES, *specificity*
# the share of attacks that do not.

# %%
names = ["rules", "model-only:tiny", "tiny"]
decided = {name: judge_pairs(suite, make_judge(name)) for name in names}
audits = {name: audit(suite, verdicts) for name, verdicts in decided.items()}
for name, found in audits.items():
    shown = {key: found[key]["value"] for key in ("kappa", "sensitivity", "specificity", "unscored")}
    print(f"{name:16}", shown)

# %%
display(Image(figures.save(figures.audit_by_kind(audits), FIGURES / "judge_audit.png")))

# %% [markdown]
# Left: how often an attack of each kind is taken for right. Right: how often its matched right answer is refused. The tiny model alone says NO to
# nearly all: it refuses 93% of the right answers on general medicine (858 of the 1,458 pairs), which it never read, and 87% on the tiny world's
# own words, because the suite puts them into sentences that its training did not have. It never says "I don't know". That is the first reason to
# let rules go first, and to audit a judge on *your* texts.
#
# A second reason: the rules were tuned on this very suite until it was nearly all right, and a number on what one has tuned on flatters.
# `data/audit/fresh.jsonl` holds 80 pairs on twenty other questions, written when the rules were done, and never tuned on.

# %%
fresh = read_pairs(DATA / "audit" / "fresh.jsonl")
for name in ("rules", "tiny"):
    found = audit(fresh, judge_pairs(fresh, make_judge(name)))
    for key in ("sensitivity", "specificity", "unscored"):
        print(f"{name:6} n {found['n']} {key:11} {found[key]['value']} {found[key]['ci95']}")

# %% [markdown]
# On words that nobody prepared it for the same judge errs far more often. Tune on one set, report on another; and for general medicine take a
# judge that has read some.

# %% [markdown]
# ## 4. Who decides?
# Of the default judge: which tier decided, and how often it was right. A tier earns its place by being nearly always right, even if it decides
# little.

# %%
tiers = Counter(verdict.decided_by for verdict in decided["tiny"])
for tier, n in tiers.most_common():
    agreed = sum(
        (verdict.verdict == "YES") == pair.label
        for verdict, pair in zip(decided["tiny"], suite, strict=True)
        if verdict.decided_by == tier
    )
    print(f"{tier:8} decided {n:4}, right {agreed / n:.3f}")

# %% [markdown]
# Is 0.896 good for the model? Of the 376 answers left to it 339 are attacks: always NO would be right on 0.902 of them. So on this suite the tiny
# model adds nothing to the rules, and on the fresh pairs it said NO to all 28 that they left open. Hold a tier against the commonest answer.

# %% [markdown]
# ## 5. Attacks that get through
# Look at them; each one is an answer that RL could find.

# %%
through = [p for p, v in zip(suite, decided["tiny"], strict=True) if v.verdict == "YES" and not p.label]
print(len(through), "of", sum(not pair.label for pair in suite))
for pair in through[:12]:
    print(f"{pair.kind:19} {pair.question[:50]!r} {pair.reference!r} <- {pair.candidate[:70]!r}")

# %% [markdown]
# ## 6. Votes
# A model judge can be asked several times. Three votes in *one* conversation are one vote said three times, since each reads the one before; ours
# are separate requests, each with its own seed at temperature 1. The flip rate is the share of answers on which five votes do not all agree.

# %%
some = suite[::3]
votes = judge_pairs(some, make_judge("model-only:tiny*5"))
asked = [verdict for verdict in votes if verdict.decided_by == "model"]
flips = sum(len(set(verdict.votes)) > 1 for verdict in asked)
print(f"{len(asked)} answers, five votes each: flip rate {flips / len(asked):.3f}")

# %% [markdown]
# Does the majority help? Compare its agreement with that of the single likeliest reply. Votes take away noise; what a judge has never learnt, all
# its votes get wrong together.

# %%
single = judge_pairs(some, make_judge("model-only:tiny"))
for name, found in (("likeliest reply", single), ("majority of five", votes)):
    print(f"{name:17} kappa {audit(some, found)['kappa']}")

# %% [markdown]
# Here it does not: both agree with the labels hardly more than luck does, and their intervals overlap. A judge that knows nothing gains nothing by votes.

# %% [markdown]
# ## 7. What UNSCORED does to a score
# A judge that fails must not invent a verdict. But then its answers are missing, and a score has to say what it does with them: leave them out
# (optimistic if the hard ones are missing) or count them as wrong (pessimistic). Both are honest if both are shown, with the share.

# %%
rules = decided["rules"]
scores = [verdict.score for verdict in rules]
known = [score for score in scores if score is not None]
print(f"truly right {sum(pair.label for pair in suite) / len(suite):.3f}")
print(f"left out    {sum(known) / len(known):.3f}   (of {len(known)} scored answers)")
print(f"as wrong    {sum(known) / len(scores):.3f}   (of {len(scores)}; {1 - len(known) / len(scores):.1%} unscored)")

# %% [markdown]
# ## 8. Agreement with humans
# The suite and the tiny world are ours. EVOUNA is not: humans labelled 15,098 answers of five question-answering systems to general-knowledge
# questions (Wang et al. 2023, Natural Questions part; `tests/benchmarks/evouna.py --pairs` writes them as pairs). Nothing in it is medical, and no
# model is asked here: it measures the rules alone against the usual shortcut, `contains`: is a reference a part of the answer?

# %%
if humans:
    from pathlib import Path

    labelled = read_pairs(Path(humans))
    agreement = {"rules": audit(labelled, judge_pairs(labelled, make_judge("rules")))}
else:
    agreement = read_json(DATA / "reference" / "judge-humans.json")
for name, found in agreement.items():
    print(f"{name:9} n {found['n']}, kappa {found['kappa']}, MCC {found['mcc']}, unscored {found['unscored']['value']}")

# %% [markdown]
# The rules are no better than `contains` here (0.634 and 0.632), and leave 41% open, which counts as NO. What they were tuned for, attacks, does not
# occur in these answers. (MCC is the correlation of verdict and label.)

# %% [markdown]
# ## 9. Your own judge
# `judge="openai:MODEL@URL"` as this notebook's parameter audits any OpenAI-compatible server (vLLM, say) in the same way. So does the command
# line, on your own labelled pairs: `medix-lite audit-judge --pairs F.jsonl --judge J --out audit.json`.

# %%
yours = run.profile.judge
if yours not in names:
    found = audit(suite, judge_pairs(suite, make_judge(yours)))
    print(yours, {key: found[key]["value"] for key in ("kappa", "sensitivity", "specificity", "unscored")})
else:
    print(f"{yours}: audited above; no server was given")

# %% [markdown]
# ## Exercises
# **Exercise 1.** A judge accepts 60 of 100 right answers and refuses 95 of 100 attacks. What is its kappa? (Section 1 has the formula.)

# %% tags=["exercise"]
my_kappa = ...  # a number

# %% jupyter={"source_hidden": true} tags=["solution"]
my_kappa = (0.775 - 0.5) / (1 - 0.5)  # agrees on 155 of 200; by chance on half

# %% tags=["check"]
assert my_kappa is not ..., "my_kappa is still `...`: put a number there"
labels, said = [True] * 100 + [False] * 100, [True] * 60 + [False] * 40 + [True] * 5 + [False] * 95
pairs = [Pair(question="?", reference="?", candidate="?", label=label) for label in labels]
measured = audit(pairs, [Verdict(id="x", verdict="YES" if yes else "NO", decided_by="model", score=None) for yes in said])
assert abs(my_kappa - 0.775) > 0.01, "that is the observed agreement: take out what luck alone would reach"
assert abs(my_kappa - measured["kappa"]["value"]) < 0.01, "by chance: (100/200)(65/200) + (100/200)(135/200)"
print("right:", {key: measured[key]["value"] for key in ("kappa", "accuracy", "sensitivity", "specificity")})

# %% [markdown]
# **Exercise 2.** Fool the default judge: write an answer to "What does this picture show?" that is wrong and gets a YES. The reference is
# "pneumonia". Which tier lets it through?

# %% tags=["exercise"]
my_attack = ...  # such as "pneumonia, unless it is a pneumothorax"

# %% jupyter={"source_hidden": true} tags=["solution"]
my_attack = "pneumonia used to be there"

# %% tags=["check"]
assert my_attack is not ..., "my_attack is still `...`: put an answer there"
trap = Pair(question="What does this picture show?", reference="pneumonia", candidate=my_attack, label=False)
verdict = judge_pairs([trap], make_judge("tiny"))[0]
hint = "the model says NO to nearly all; find small words about when, where or whose, which the rules skip"
assert verdict.verdict == "YES", f"not fooled: {verdict.verdict}, decided by {verdict.decided_by}; {hint}"
assert verdict.decided_by != "exact", "that answer is right"
print(f"fooled: decided by {verdict.decided_by}. That it is wrong, no program here can check: read it to a neighbour")

# %% [markdown]
# What you find belongs into the suite, beside a right answer in like words: that is how it grows.

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>A judge refuses every attack. Is it good?</summary>
#
# Ask how many matched right answers it refuses: saying NO to everything refuses all attacks.
# </details>
#
# <details><summary>Three votes in one conversation agree. What is that worth?</summary>
#
# One vote: each reads the one before.
# </details>
#
# ## What you learned
# - A judge is an instrument: report its kappa with an interval, its errors by kind, and what it left UNSCORED.
# - Attacks go beside matched right answers, or a judge that says NO to everything looks safe.
# - Rules decide what they can decide soundly, a model the rest; a model outside its vocabulary does not know that it is.
# - Votes must be independent, and they cannot teach a judge what it never learnt.
#
# **Differs from MediX-R1:** its judge reads `"YES" in reply`, so that "NO, not YES" is a YES; its three votes share one conversation; a failed
# request is a 0. Here a reply must be a choice and nothing else, votes are independent, and a failure is UNSCORED.
#
# **Next:** [07 · Your data, your GPU](07_your_data_your_gpu.ipynb)
