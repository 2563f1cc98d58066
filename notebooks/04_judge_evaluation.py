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
from medix_lite.runs import evaluate, judged, open_run, respond

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
# RL amplifies a difference that the base's own samples show; where they show none, it can only learn a guess. Take the yes/no questions
# about findings on which the warm-up made the base vague. When a policy commits there, how often does it say yes if the truth is yes,
# and if the truth is no? If the base's two numbers are close, there was next to nothing to amplify.

# %%
from medix_lite.models.warmup import VAGUE_ABOUT

asked = {s.id: s.reference for s in base.samples if (s.facts or {}).get("target") in VAGUE_ABOUT and s.reference in ("yes", "no")}
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
# Free text is graded 0 to 5. The one-sentence reasoning is a small report, so the same judge can grade it against a report
# written from the facts. RL never rewarded reasoning: does it stay true? And was the finding named before RL too?

# %%
from medix_lite.judging.templates import MIMIC
from medix_lite.tiny_world.reports import report_samples

for name, measured in (("base", base), ("trained", trained)):
    questions, texts = report_samples(measured.samples, [r.thinking for r in measured.responses])
    if questions:
        marks = judged(run, f"{name}-report", questions, texts, [0] * len(texts), MIMIC)
        interval = bootstrap([float("nan") if v.score is None else v.score for v in marks])
        extra[f"MIMIC rubric of the reasoning as a report, mean / 5, {name}"] = (
            f"{interval['value']:.3f} {interval['ci95']}, n {interval['n']}"
        )
        print(name, interval)
    else:
        print("this source has no facts to write report references from: skipped")

# %% [markdown]
# ## 6. Look at examples, failures first
# First one failure of each kind of question, then some that RL mended. Read the reasoning: does it support the answer? RL read only
# the final answer, so nothing tied the two together.

# %%
failed = {kind_of(base.samples[i]): i for i, v in enumerate(trained.verdicts) if not v.score}
pairs = zip(base.verdicts, trained.verdicts, strict=True)
mended = [i for i, (before, after) in enumerate(pairs) if (after.score or 0) > (before.score or 0)]
picked = list(dict.fromkeys([*failed.values(), *mended]))[:6]
notes = [
    f"verdicts: base {base.verdicts[i].verdict}, trained {trained.verdicts[i].verdict} ({trained.verdicts[i].decided_by})"
    for i in picked
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
