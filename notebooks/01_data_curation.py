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
# # 01 · Data curation: from a source to samples you can trust
#
# **What you will learn.** To turn a source into checked, leak-free train, probe and test samples, and to look at them before
# anything is trained.
#
# **Minutes:** 1. **Prerequisites:** notebook 00.
#
# > Research and education only, not for clinical use.
#
# RL is only as good as its questions. MediX-R1 trains on about 51,000 of them, without hand-written reasoning: a question, a
# picture, a short reference answer. That is all a reward needs, and so every fault in them becomes a fault in the reward.

# %% tags=["parameters"]
run_dir: str = "../runs/course"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings

# %%
from IPython.display import Markdown, display

from medix_lite import figures
from medix_lite.files import read_json
from medix_lite.runs import curated, open_run

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"

# %% [markdown]
# ## 1. Curate
# One call loads the source, checks each sample, keeps what is rejected with its reason, makes sure that nothing crosses splits,
# and writes a data set card. A second call reads the result back.

# %%
splits = curated(run)
report = read_json(run.folder / "data" / "curation.json")
for split, counts in report["counts"].items():
    print(f"{split:6} {counts['kept']:5} kept {counts['rejected']:4} rejected")

# %% [markdown]
# ## 2. Look
# Never train on what you have not looked at. In a frontal picture the patient's left is on the **right** of the page.

# %%
shown: dict[str, dict[str, object]] = {}
for s in splits["train"]:
    if s.images and not (s.facts and not s.facts["finding"]):
        shown.setdefault(str(s.modality), {}).setdefault((s.facts or {}).get("finding") or s.reference, s)
chosen = [s for by_finding in shown.values() for s in list(by_finding.values())[: 2 if len(shown) < 8 else 1]]
if chosen:
    from IPython.display import Image

    display(Image(figures.save(figures.gallery(chosen, columns=8), FIGURES / "gallery.png")))
else:
    print("this source has no pictures")

# %% [markdown]
# ## 3. Count
# Which kinds of questions, which modalities, which answers? If one answer makes up half of a test set, guessing it scores 50%.

# %%
for name in ("by_kind", "by_modality", "by_reference"):
    print(f"{name} in test{', top ten' if name == 'by_reference' else ''}:", report[name]["test"])

# %% [markdown]
# The first baseline knows only the kind of question and gives its commonest *training* answer. Who also reads the words can do better.
# Know this number before you praise a model. Reports are left out: they are graded, not right or wrong.

# %%
from collections import Counter, defaultdict

from medix_lite.curation.curate import kind_of

answers = defaultdict(Counter)
for s in splits["train"]:
    answers[kind_of(s)][s.reference] += 1
best = {kind: counts.most_common(1)[0][0] for kind, counts in answers.items()}
asked = [s for s in splits["test"] if not s.graded]
print("commonest answer by kind:", best)
print(
    f"by kind alone: {sum(best.get(kind_of(s)) == s.reference for s in asked) / max(1, len(asked)):.1%} of {len(asked)} test questions"
)

# %% [markdown]
# ## 4. No leaks
# A picture, a patient or a question that stands in train and in test makes the score a memory test. Every sample has a `group`,
# and no group may cross splits. The claim, checked by hand:

# %%
groups = {split: {s.group for s in samples} for split, samples in splits.items()}
for a, b in (("train", "test"), ("train", "probe"), ("probe", "test")):
    shared = groups[a] & groups[b]
    print(f"{a} and {b} share {len(shared)} groups")
    assert not shared

# %% [markdown]
# *Probe* is a small split that training is measured on as it goes. On phantoms, test asks of new pictures, of combinations of facts that
# were kept from training, and in wordings that were kept from it:

# %%
print(Counter(s.facts["unseen"] for s in splits["test"] if s.facts))

# %% [markdown]
# Groups are not the only thing that can be unfair between splits. Which patients does each split show?

# %%
for split, samples in splits.items():
    ages = Counter(s.facts["age"] for s in samples if s.facts and s.images)
    print(split, {age: f"{n / ages.total():.1%}" for age, n in sorted(ages.items())})

# %% [markdown]
# On the phantoms, children are planted to be rare in train and common in test: a real data set does such things unasked. Notebook 04 shows
# the score by age.
#
# A check that never fires proves nothing. Two planted faults: a sample whose picture is missing, and one that stands in two splits.

# %%
from medix_lite.curation.checks import check_samples
from medix_lite.curation.splits import check_no_leak
from medix_lite.files import InputError

broken = splits["test"][0].model_copy(update={"id": "planted", "images": ["nowhere.png"]})
print("rejected:", check_samples([broken])[1][0]["reason"])
try:
    check_no_leak({"train": splits["train"], "test": [*splits["test"], splits["train"][0]]})
except InputError as error:
    print("refused:", error)

# %% [markdown]
# ## 5. What training may see
# The reward will read the reference and the tag. The trainer sees even less: an id, the prompt, the picture. The `facts` of a
# phantom are what was drawn. RL and the judge never read them; the *oracle* does, a program that checks answers against them (notebook
# 04), and so did the warm-up before RL. Real data have none.

# %%
from medix_lite.responses import build_prompt

sample = next((s for s in splits["train"] if s.images), splits["train"][0])
print(build_prompt(sample, run.profile.prompt_style, run.profile.max_prompt_chars))
print("\nfields that hold the truth:", [name for name in ("reference", "references", "facts") if getattr(sample, name)])

# %% [markdown]
# ## 6. The card
# What a stranger must know before using the data.

# %%
Markdown((run.folder / "data" / "card.md").read_text().split("---", 2)[2])

# %% [markdown]
# ## Exercise
# A policy is trained on yes/no questions where 60% of the references are "no". Its reward cannot tell a policy that looks from one
# that always says no, until it does better than 60%. What is the share of "yes" among the yes/no questions of *this* train split?

# %% tags=["exercise"]
yes_no = [s for s in splits["train"] if s.reference in ("yes", "no")]
print(f"{len(yes_no)} yes/no questions in train")

# %% [markdown]
# <details><summary>Solution</summary>
#
# <code>sum(s.reference == "yes" for s in yes_no) / max(1, len(yes_no))</code>. On the phantoms it is close to a half, on purpose. On PubMedQA's
# usual 500 test questions "yes" to everything scores 55.2%, above every published MediX-R1 row (0.472, 0.482, 0.490).
# </details>
#
# ## What you learned
# - `in = kept + rejected`, and each rejected row has a reason.
# - Groups never cross splits.
# - The commonest answer is a baseline; know it before you praise a model.
#
# **Next:** [02 · The composite reward](02_composite_reward.ipynb)
