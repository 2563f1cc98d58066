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
# # 00 · Start here: the whole idea in five nouns
#
# **What you will learn.** What MediX-R1 does, by following one question through the whole machine: a *sample* becomes a
# *response*, a *verdict*, a *reward* and a *score*.
#
# **Minutes:** 1 of computing; reading takes longer. **Prerequisites:** Python; you have heard of language models. No GPU, no network.
#
# > Research and education only, not for clinical use. The pictures are **phantoms**: drawn by a program, not taken of a patient.
#
# MediX-R1 (Mullappilly et al., 2026) trains a medical vision-language model to answer *in its own words*, even where options are
# offered, and without any reasoning written by people: it draws several answers to each question, scores each with a composite
# reward, and makes the better ones more likely. The hard part is the score, because "heart attack" and "myocardial infarction" are the same answer, and
# "left" and "right" are not.
#
# ![One question flows through five nouns](../figures/idea_00.svg)

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings

# %%
from medix_lite.runs import curated, open_run, run_embedder, run_judge, sampling_of

run = open_run(run_dir, profile, source, seed, judge, settings)
samples = curated(run)["test"]
print(f"profile {run.profile.name}: policy {run.profile.policy.path}, judge {run.profile.judge}, {len(samples)} test questions")

# %% [markdown]
# ## 1. A sample
# One question with its reference answer. A *modality* tag says what kind of picture it is; a text-only question has none.

# %%
from IPython.display import display

from medix_lite.samples import open_image

findings = (s for s in samples if s.modality == "X_RAY" and (s.facts or {}).get("family") == "finding")
sample = next(findings, samples[0])
for path in sample.images:
    display(open_image(path).resize((192, 192)))
print(f"question:  {sample.question[-300:]}\nreference: {sample.reference}\nmodality:  {sample.modality}")

# %% [markdown]
# ## 2. A response
# The *policy* is the model that answers. It must write a tag, its reasoning, then the answer. On the `tiny-cpu` profile it is a
# tiny `Qwen3VLForConditionalGeneration`, warmed up on phantoms by ordinary supervised training: that stands in for the public
# pre-trained backbone of the real thing, and it made the policy hedge ("hard to say") often, by plan: notebook 04 counts how often.

# %%
from medix_lite.evaluation.generate import generate_batch
from medix_lite.models.load import load_policy
from medix_lite.responses import parse_response

choice = run.profile.policy
policy, processor = load_policy(choice.path, revision=choice.revision, dtype=choice.dtype, device=run.profile.device)
text = generate_batch(policy, processor, [sample], **sampling_of(run.profile))[0][0][0]
response = parse_response(text, has_image=bool(sample.images))
print(f"{type(policy).__name__}, {sum(p.numel() for p in policy.parameters()) / 1e6:.1f} million parameters")
print(text)
response

# %% [markdown]
# ## 3. A verdict
# Is the final answer the same as the reference? Cheap rules decide what they can; a small language model decides the rest, and
# says YES or NO. A third state, UNSCORED, means that nothing could decide: a broken judge must never look like a wrong answer. Two
# answers at once ("A or B") are a NO. Who decided: *exact* (the same words, or no answer), *option*, *number*, *lexicon* (synonyms and plain
# statements) or the *model*.

# %%
from medix_lite.judging.judges import judge_answers
from medix_lite.judging.templates import BASE

verdict = judge_answers(run_judge(run), [sample], [response.answer], BASE)[0]
print(f"{response.answer!r} against {sample.reference!r}: {verdict.verdict}, decided by {verdict.decided_by}")

# %% [markdown]
# ## 4. A reward
# Four signals, one number: is it right (judge), is it close (embedding), is it well formed, is the tag right? An *embedding* turns a text into
# numbers, and like meanings lie close.

# %%
from medix_lite.rewards.composite import score_responses

rewards, _ = score_responses([sample], [text], run_judge(run), run_embedder(run), run.profile.reward)
print(rewards[0].signals, "-> total", None if rewards[0].total is None else round(rewards[0].total, 3))

# %% [markdown]
# This answer hedged, as the base often does: it earns nothing for what it says; 0.1 for the format and 0.045 for the tag are left (notebook 02 has the
# weights).
#
# ## 5. A score
# Over many questions: a mean with *n* and an interval. *ci95*: draw 16 of these 16 anew, with repeats, 2,000 times; 95% of the
# means lie in it. With 16 questions it is wide. A report gets a mark from 0 to 5 instead of YES or NO; its share of five counts.

# %%
from medix_lite.statistics import bootstrap

few = samples[:16]
texts = [pairs[0][0] for pairs in generate_batch(policy, processor, few, **sampling_of(run.profile))]
answers = [parse_response(t, has_image=bool(s.images)).answer for s, t in zip(few, texts, strict=True)]
verdicts = judge_answers(run_judge(run), few, answers)
bootstrap([float("nan") if v.score is None else v.score for v in verdicts])

# %% [markdown]
# ## Exercises
# Each exercise has a cell for your answer and a cell that checks it. (In the folder `notebooks/` a folded cell between them holds a solution;
# `make exercises` writes the copies without.)
#
# **Exercise 1.** The reference is "pleural effusion". Which of these five answers does the judge take for right? Decide before you run the check.

# %% tags=["exercise"]
candidates = {
    "a": "fluid around the lung",
    "b": "no pleural effusion",
    "c": "pleural effusion or pneumonia",
    "d": "Pleural Effusion.",
    "e": "pleural thickening",
}
my_yes = ...  # the letters that get a YES, such as {"a", "b"}

# %% jupyter={"source_hidden": true} tags=["solution"]
my_yes = {"a", "d"}

# %% tags=["check"]
from medix_lite.judging.judges import make_judge
from medix_lite.samples import Sample

assert my_yes is not ..., "my_yes is still `...`: put the letters of your choice there, such as {'a', 'b'}"
assert isinstance(my_yes, set | list | tuple), "my_yes must be a set of letters, such as {'a', 'b'}"
asked = Sample(id="exercise", question="What does this picture show?", reference="pleural effusion")
ruled = dict(zip(candidates, judge_answers(make_judge("tiny"), [asked] * 5, list(candidates.values()), BASE), strict=True))
off = set(my_yes) ^ {letter for letter, v in ruled.items() if v.verdict == "YES"}
assert not off, f"not yet, look again at {sorted(off)}: does it say the same as the reference, and nothing else?"
print("right:")
for letter, v in ruled.items():
    print(f"{letter} {candidates[letter]:30} {v.verdict:4} decided by {v.decided_by}")

# %% [markdown]
# **Exercise 2.** The judge's server went down for a moment: of four answers two got YES, one got NO and one is UNSCORED. What is their score?

# %% tags=["exercise"]
my_score = ...  # a number

# %% jupyter={"source_hidden": true} tags=["solution"]
my_score = 2 / 3  # of the three that somebody judged

# %% tags=["check"]
assert my_score is not ..., "my_score is still `...`: put a number there"
assert abs(my_score - 0.5) > 0.01, "0.5 takes the failed judge for a NO: what does nobody's verdict say about the answer?"
score = bootstrap([1.0, 1.0, 0.0, float("nan")])
assert abs(my_score - score["value"]) < 0.01, "take the mean over the answers that were judged"
print(f"right: {score} (three answers: look at the interval)")

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>Why has a verdict three states?</summary>
#
# A judge that failed knows nothing; a NO would blame the policy, and a mean over such zeros is wrong.
# </details>
#
# <details><summary>Does the reward read the reasoning?</summary>
#
# No: tag, grammar and final answer only. Truthful reasoning is measured, not paid.
# </details>
#
# ## What you learned
# - The five nouns: sample, response, verdict, reward, score. Every later notebook makes one of them better.
# - The reward looks at the tag, the format and the final answer, never at the reasoning.
# - A verdict has three states, and a score has an interval.
#
# **Differs from MediX-R1:** its judge sees the reference and the answer, ours the question as well; a failure there is a 0, here it is UNSCORED; and there
# is an oracle, because the pictures are phantoms. Each notebook ends with such a note.
#
# **Next:** [01 · Data curation](01_data_curation.ipynb)
