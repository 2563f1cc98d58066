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
# # 04 · Generate, judge, score: did RL make it better?
#
# **What you will learn.** To evaluate a base and a trained policy in three stages, with intervals, and to say how much of the
# gain is real.
#
# **Minutes:** 2. **Prerequisites:** notebook 03 has trained an adapter in this run folder.
#
# > Research and education only, not for clinical use.
#
# MediX-R1 evaluates in three stages, each of which can be resumed: *generate* all responses and keep them, *judge* each against
# its reference, *aggregate*. Templates: BASE (right or wrong) for questions, MIMIC (0 to 5) for reports.

# %% tags=["parameters"]
run_dir: str = "../runs/course"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings

# %%
import numpy as np
from IPython.display import Image, display

from medix_lite import figures
from medix_lite.curation.curate import kind_of
from medix_lite.evaluation.score import headroom, results
from medix_lite.evaluation.statistics import bootstrap
from medix_lite.files import read_json, write_json
from medix_lite.report import write_report
from medix_lite.responses import parse_response
from medix_lite.runs import display as short
from medix_lite.runs import evaluate, open_run, respond

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"

# %% [markdown]
# ## 1. Generate and judge
# Greedy answers to every test question, and eight sampled ones: pass@8 asks whether the policy *can* find the right answer at
# all. Raw responses and verdicts stay in the run folder, row by row.

# %%
base = evaluate(run, "base")
trained = evaluate(run, "trained")
extra = {"greedy answers that the judge could not score": f"base {base.unscored:.1%}, trained {trained.unscored:.1%}"}
print(len(base.samples), "test questions;", extra)

# %% [markdown]
# ## 2. Aggregate
# Each number with its 95% interval; questions of one picture are resampled together (on phantoms each picture has one question). The
# gain is paired: question by question.

# %%
scores = results(base, trained, {"train": read_json(run.folder / "training.json")["seconds"]})
write_json(run.folder / "results.json", scores)
for metric, gain in scores["gain"].items():
    if gain["value"] is not None:
        before, after = scores["base"][metric]["value"], scores["trained"][metric]["value"]
        print(
            f"{metric:16} {before:.3f} -> {after:.3f}   gain {gain['value']:+.3f}  95% [{gain['ci95'][0]:+.3f}, {gain['ci95'][1]:+.3f}]"
        )

# %%
display(Image(figures.save(figures.base_against_trained(scores), FIGURES / "base_against_trained.png")))

# %% [markdown]
# A mean hides kinds of questions. Where did RL help most, and where least?

# %%
metric = "true_accuracy" if run.on_phantoms else "judged_accuracy"
kinds: dict[str, list[int]] = {}
for i, s in enumerate(base.samples):
    kinds.setdefault(kind_of(s) + (f", truth {s.reference}" if s.reference in ("yes", "no") else ""), []).append(i)
for kind, here in sorted(kinds.items()):
    before, after = (bootstrap(m.per_question[metric][here]) for m in (base, trained))
    print(f"{kind:20} {before['value']} {before['ci95']} -> {after['value']} {after['ci95']}   n {after['n']}")

# %% [markdown]
# A mean also hides *what was new*. Most test questions ask what training asked, of a new picture; some show facts in a combination that
# training never saw (a left-sided glioma of 45 mm in an older woman), some ask in words that it never used. And a child is rare in
# what the policy learned from, by plan: that imbalance stands for the ones in real data sets.

# %%
for column in ("unseen", "age") if run.on_phantoms else ():
    values = [(s.facts or {}).get(column) for s in base.samples]
    for value in sorted({v for v in values if v}):
        here = [i for i, v in enumerate(values) if v == value]
        before, after = (bootstrap(m.per_question[metric][here]) for m in (base, trained))
        print(f"{column}: {value:12} {before['value']} {before['ci95']} -> {after['value']} {after['ci95']}   n {after['n']}")

# %% [markdown]
# RL amplifies a difference that the base's own samples show; where they show none, it can only learn a guess. Take the yes/no questions
# in the wordings that make the base hedge. When a policy commits there, how often does it say yes if the truth is yes, and if the
# truth is no? The wider the base's two numbers lie apart, the more there is to amplify.

# %%
from medix_lite.models.warmup import is_cautious

hedging = [s for s in base.samples if s.facts and s.facts["family"] == "yes_no" and is_cautious(s.facts)]
asked = {s.id: s.reference for s in hedging}
for which in ("base", "trained") if asked else ():
    rows = respond(run, which, base.samples, copies=run.profile.evaluation.copies)
    for truth in ("yes", "no"):
        answers = [parse_response(row["response"]).answer for row in rows if asked.get(row["id"]) == truth]
        yes = [answer == "yes" for answer in answers if answer in ("yes", "no")]
        print(f"{which:8} truth {truth:3}: says yes in {np.mean(yes) if yes else float('nan'):.2f} of {len(yes)} committed answers")

# %% [markdown]
# A hedge and a false claim both score 0; in a clinic they are not the same. How many answers are false, rather than vague?

# %%
if run.on_phantoms:
    for name, m in (("base", base), ("trained", trained)):
        false = (m.per_question["true_accuracy"] == 0) & (m.greedy_hedged == 0)
        extra[f"answers that are false, not vague, {name}"] = f"{false.mean():.1%}"
        print(name, f"{false.mean():.1%} false, {m.greedy_hedged.mean():.1%} vague")

# %% [markdown]
# ## 3. Is the judge telling the truth?
# On phantoms an oracle knows. Where judge and oracle part, the reward was wrong too: an answer that the judge takes for right
# and the oracle does not is a hole that RL could have crept through.

# %%
from collections import Counter

if run.on_phantoms:
    for name, measured in (("base", base), ("trained", trained)):
        pairs = zip(measured.verdicts, measured.per_question["true_accuracy"], measured.responses, measured.samples, strict=True)
        scored = [(v.score == truth, (s.reference, r.answer, v.verdict)) for v, truth, r, s in pairs if v.score is not None]
        share = sum(same for same, _ in scored) / len(scored)
        print(f"{name}: judge and oracle agree on {share:.1%} of {len(scored)} answers")
        print("   where they part:", Counter(case for same, case in scored if not same).most_common(3))
else:
    print("real data: there is no oracle, true accuracy stays unknown")

# %% [markdown]
# ## 4. New sight, or new words?
# The base could already answer much of this when sampled eight times. How much of the gap between its greedy answers and its pass@8
# did RL close, and did it lose anything on the questions that the base answered without hedging? pass@8 is a floor of what the base
# can find, not a ceiling: eight draws miss what has a low probability, and a share above 1 means that RL went past it.

# %%
if run.on_phantoms:
    room = headroom(base, trained)
    extra["vague or hedged among the base's sampled answers"] = f"{room['vague']['value']:.1%}"
    extra["share of the base's gap between greedy and pass@8 that is closed"] = str(room["closed"])
    extra["gain where the base did not hedge"] = f"{room['kept']['value']:+.3f}, 95% {room['kept']['ci95']}, n {room['kept']['n']}"
    write_json(run.folder / "headroom.json", room)
for name, text in extra.items():
    print(f"{name}: {text}")

# %% [markdown]
# ## 5. Reports: the MIMIC template
# A report is neither right nor wrong: it is graded from 0 to 5. Points for what it covers, a point off for each claim that is false.
# Judge and oracle grade by the same rule, written twice, without a line in common: the judge knows the reference, the oracle the facts.

# %%
graded = [i for i, s in enumerate(base.samples) if s.template == "mimic" and s.facts]
for name, m in (("base", base), ("trained", trained)) if graded else ():
    judge_marks = np.array([m.verdicts[i].score for i in graded], dtype=float) * 5
    oracle_marks = m.per_question["true_accuracy"][graded] * 5
    same, error = np.mean(judge_marks == oracle_marks), np.nanmean(abs(judge_marks - oracle_marks))
    print(
        f"{name:8} mean mark: judge {np.nanmean(judge_marks):.2f}, oracle {oracle_marks.mean():.2f}; same mark {same:.1%}, off by {error:.2f}"
    )

# %% [markdown]
# How a mark comes about, in the oracle's words:

# %%
from medix_lite.tiny_world.oracle import check_reasoning, grade_report

for i in graded[:4]:
    print(
        f"{base.samples[i].reference!r} | {trained.responses[i].answer!r} -> {grade_report(base.samples[i].facts, trained.responses[i].answer)}"
    )

# %% [markdown]
# RL never rewarded the reasoning: does it stay true? The oracle reads it and names its faults.

# %%
for name, m in (("base", base), ("trained", trained)) if run.on_phantoms else ():
    faults = Counter()
    for s, r in zip(m.samples, m.responses, strict=True):
        faults.update(check_reasoning(s.facts, r.thinking, r.answer) or ["none"])
    shares = {fault: f"{n / len(m.samples):.1%}" for fault, n in faults.most_common(5)}
    extra[f"faults of the reasoning, {name}"] = ", ".join(f"{fault} {share}" for fault, share in shares.items())
    print(name, shares)

# %% [markdown]
# ## 6. Look at examples, failures first
# First one failure of each kind of question, then some that RL mended. Read the reasoning: does it support the answer? RL read only
# the final answer, so nothing tied the two together.

# %%
failed = {kind_of(base.samples[i]): i for i, v in enumerate(trained.verdicts) if not v.score}
pairs = zip(base.verdicts, trained.verdicts, strict=True)
mended = [i for i, (before, after) in enumerate(pairs) if (after.score or 0) > (before.score or 0)]
picked = list(dict.fromkeys([*failed.values(), *mended]))[:6]
ruled = [[v.verdict or f"{v.raw_score:g} of 5" for v in (base.verdicts[i], trained.verdicts[i])] for i in picked]
notes = [
    f"verdicts: base {before}, trained {after} ({trained.verdicts[i].decided_by})"
    for i, (before, after) in zip(picked, ruled, strict=True)
]

# %%
from medix_lite.files import read_jsonl

texts = {
    w: {row["id"]: row["response"] for row in read_jsonl(run.folder / "responses" / f"{w}-greedy.jsonl")}
    for w in ("base", "trained")
}
shown = [base.samples[i] for i in picked]
figure = figures.examples(shown, [texts["base"][s.id] for s in shown], [texts["trained"][s.id] for s in shown], notes)
display(Image(figures.save(figure, FIGURES / "examples.png")))

# %% [markdown]
# ## 7. The report
# One HTML file with everything in it; it opens without a network.

# %%
path = write_report(run, extra)
print(f"{short(path)}, {path.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## What this cannot show
# - Phantoms are not patients.
# - One author wrote world, judge and oracle; they may share blind spots.
# - The warm-up stands in for a public pre-trained backbone and was built to be vague. Its reasoning named most findings before RL (section
#   5): what changed is what is said in the answer. This run does not show that RL teaches new sight.
#
# ## Exercise
# A base is judged at 0.82 and its trained policy at 0.90; the judge is wrong about 5% of either's answers. Between which values can the
# *true gain* lie?

# %% tags=["exercise"]
judged_base, judged_trained, judge_error = 0.82, 0.90, 0.05
print(f"judged gain {judged_trained - judged_base:+.2f}")

# %% [markdown]
# <details><summary>Solution</summary>
#
# Each accuracy can be off by 0.05 either way, so the gain by 0.10: between -0.02 and +0.18. The judge's error on *both* policies counts;
# section 3 measures it.
# </details>
#
# ## What you learned
# - Generate, judge, aggregate: three stages, each kept on disk.
# - A paired difference with an interval says more than two means.
# - pass@8 bounds from below what the base could find; passing it does not prove new sight.
# - A mean over all questions hides kinds; a false answer is not a vague one.
# - A judge errs; where the truth is known, count how often and on what.
#
# **Differs from MediX-R1:** one deterministic judge pass (its evaluation: Qwen3-14B, three rounds), one task (17, macro average); intervals,
# a third state UNSCORED and an oracle are added.
