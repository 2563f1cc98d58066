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
# # 07 · Your data, your GPU
#
# **What you will learn.** To bring a folder of your own, see what curation makes of it, choose a profile for your machine, find out *before* a
# long run whether it fits, train, judge, and hand on what came out with a card that says what it can and cannot do.
#
# **Minutes:** 1 on a CPU; with a GPU and a real model, hours (section 4 says how many). **Prerequisites:** notebooks 01, 03 and 04.
#
# > Research and education only, not for clinical use.
#
# ![From your folder to an exported model; what needs a GPU is marked](../figures/idea_07.svg)
#
# Without a GPU all of it runs with the tiny policy, and section 7 says what was skipped. What you see then is the *path*, not a result: a policy
# that has seen phantoms only knows nothing of your pictures.

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # the source of the other notebooks; this one takes `mine`
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings
mine: str = ""  # folder:PATH, parquet:PATH or hub:ID@COMMIT; empty: a small folder is written as an example

# %%
from pathlib import Path

from IPython.display import Image, Markdown, display

from medix_lite import figures
from medix_lite.files import DATA, read_json, read_jsonl
from medix_lite.profiles import FOLDER, load_profile, parse_settings
from medix_lite.runs import curated, evaluate, open_run, preflight, train

YOURS = open_run(run_dir, profile, source, seed, judge, settings).folder / "yours"

# %% [markdown]
# ## 1. A folder
# Pictures (PNG, JPEG, TIFF, DICOM), and `samples.csv` or `samples.jsonl` with one question a row. Its columns are the fields of a `Sample`; `id`,
# `question` and `reference` must be there. `group` is the patient: rows of one patient never cross splits. Mark rows under a data use agreement
# (a contract that forbids passing texts on, as for MIMIC, a set of hospital records) `local_only`: then no judge on another machine gets their text, no
# zip file of results holds it, and the report does not show it. Here 120 phantoms stand in for your pictures, with mistakes that people make.

# %%
import csv

from medix_lite.tiny_world.questions import make_samples

if not mine:
    mine, images = f"folder:{YOURS / 'folder'}", YOURS / "folder" / "images"
    made = [s for s in make_samples(180, "train", seed + 70, images) if s.images][:120]
    files = [f"images/{Path(s.images[0]).name}" for s in made]
    rows = [[f"mine-{n}", s.question, s.reference, s.modality, f"patient-{n // 2}", files[n]] for n, s in enumerate(made)]
    rows[3][3], rows[7][5], rows[11][2] = "XRAY", "images/lost.png", ""
    with (YOURS / "folder" / "samples.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["id", "question", "reference", "modality", "group", "images"], *rows])
    print("\n".join((YOURS / "folder" / "samples.csv").read_text().splitlines()[:4]))

# %% [markdown]
# ## 2. What curation makes of it
# Every row is kept or stands in `rejected.jsonl` with its reason. Read that file first. If much is rejected, mend the source, not the checks.

# %%
few = "data.train=2000,data.probe=16,data.test=64,training.steps=8,training.probe_every=4,evaluation.copies=2"
run = open_run(YOURS / "run", profile, mine, seed, judge, ",".join(filter(None, [few, settings])))
splits = curated(run)
counts = read_json(run.folder / "data" / "curation.json")["counts"]
print(f"{counts['in']} rows in = {counts['kept']} kept + {counts['rejected']} rejected")
for row in read_jsonl(run.folder / "data" / "rejected.jsonl")[:5]:
    print("  ", row["id"], "->", row["reason"].replace(f"{YOURS}/", ""))

# %% [markdown]
# A folder without a column `split` is split here, a tenth each for test and probe. No patient may stand in two of them: prove it on your data too.

# %%
groups = {split: {sample.group or sample.id for sample in samples} for split, samples in splits.items()}
assert not groups["train"] & (groups["test"] | groups["probe"])
print({split: f"{len(samples)} rows of {len(groups[split])} groups" for split, samples in splits.items()})

# %% [markdown]
# And look at them, before anything is trained.

# %%
shown = [sample for sample in splits["train"] if sample.images][:6]
if shown:
    display(Image(figures.save(figures.gallery(shown), YOURS / "gallery.png")))

# %% [markdown]
# ## 3. Which profile?
# A profile is one small YAML file: models, sizes, rates. Copy the nearest one, change it, and give its path as `profile`. Where nobody has run a
# profile yet, its memory is an estimate and its minutes are unknown; the table says which.

# %%
lines = ["| profile | device | policy | memory: policy; rollouts; judge; embedder | minutes of training |", "|---|---|---|---|---|"]
for path in sorted(FOLDER.glob("*.yaml")):
    p = load_profile(path.stem)
    measured = DATA / "reference" / path.name.replace(".yaml", ".json")
    minutes = f"{read_json(measured)['minutes']:.1f}, measured" if measured.exists() else "not run yet"
    lines.append(f"| `{p.name}` | {p.device} | {p.policy.path} | {'; '.join(p.memory.model_dump().values())} | {minutes} |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# What does this machine lack for each? One line says it, before anything is downloaded.

# %%
from medix_lite.files import InputError

for path in sorted(FOLDER.glob("*.yaml")):
    try:
        preflight(load_profile(path.stem))
        print(f"{path.stem:15} ready")
    except InputError as error:
        print(f"{path.stem:15} {error}")

# %% [markdown]
# ## 4. One step, as heavy as any
# Running out of memory should happen now, not in the night. The rehearsal trains one step on the longest questions, with responses as long as they
# may be, and says how long the run takes if every step is so heavy. (On the command line: `medix-lite doctor --rehearse`. On a CPU the peak is of the
# whole Python process so far, far above the policy's own memory in the table. And if a step takes many times what it took in notebook 03, something else
# wants the same cores: end it, or set `OMP_NUM_THREADS=1` before you start.)

# %%
from medix_lite.training.grpo import rehearse

heaviest = rehearse(run.profile, splits["train"], YOURS / "rehearsal")
whole = load_profile(profile, parse_settings(settings)).training.steps
print(f"{heaviest['seconds']:.1f} s a step, {heaviest['gigabytes']:.1f} GB at its peak")
print(f"{whole} steps: {heaviest['seconds'] * whole / 60:.0f} minutes, judge and probes aside")

# %% [markdown]
# ## 5. Train, judge, look
# Eight steps, to see the path. With a GPU profile the same call trains Qwen3-VL through Unsloth, with LoRA in 4 bits; give the parameter
# `settings="training.steps=500"` then. For real questions the judge is a server that you start yourself, as the profile's `judge` names it; the
# tiny judge knows the tiny world's words only. Audit it on your words first (notebook 06).

# %%
trained = train(run)
print(f"{trained['steps']} steps in {trained['seconds']:.0f} s: {run.profile.policy.path}, {run.profile.policy.backend}")

# %%
for which in ("base", "trained"):
    scores = [verdict.score for verdict in evaluate(run, which).verdicts]
    known = [score for score in scores if score is not None]
    print(f"{which:8} judged right {sum(known):.0f} of {len(known)}, unscored {len(scores) - len(known)}")

# %% [markdown]
# A dozen questions and eight steps show nothing. What they show is that each stage leaves a file that the next one reads, so that a run that is
# killed goes on where it was. The doctor reads your run as it reads any:

# %%
from medix_lite.training.doctor import diagnose

faults = diagnose(read_jsonl(run.folder / "metrics.jsonl"), run.folder / "adapter")
print("\n".join(f"{fault.name}: {fault.evidence}\n   {fault.change}" for fault in faults) or "healthy")

# %% [markdown]
# ## 6. Hand it on
# The adapter for PEFT (a library for adapters), the merged weights (adapter added in) for transformers and vLLM, and a card: data, settings, limits.
# The scores come into the card once notebook 04 has evaluated a run; here it says "Not evaluated yet".

# %%
import shutil

from medix_lite.models.export import export_run

shutil.rmtree(YOURS / "exported", ignore_errors=True)
export_run(run.folder, YOURS / "exported")
print(sorted(path.name for path in (YOURS / "exported").iterdir()))

# %%
Markdown((YOURS / "exported" / "README.md").read_text().split("---", 2)[2])

# %% [markdown]
# ## 7. What was skipped here
# What a GPU and a server would have done in this run, and whether they did:

# %%
for what, ran in {
    "Unsloth, LoRA in 4 bits (profile single-gpu)": run.profile.policy.backend == "unsloth",
    "rollouts by vLLM (training.rollouts=vllm-colocate)": run.profile.training.rollouts != "transformers",
    "a judge behind a server (judge=openai:MODEL@URL)": run.profile.judge.startswith("openai:"),
}.items():
    print("ran    " if ran else "skipped", what)

# %% [markdown]
# ## Exercises
# **Exercise 1.** Curation gives two kinds of reason here: a field with a wrong or missing value, or a picture file that cannot be read. Give the ids of
# the rows that were rejected for the first kind.

# %% tags=["exercise"]
rejected = read_jsonl(run.folder / "data" / "rejected.jsonl")
my_ids = ...  # such as {"mine-0"}

# %% jupyter={"source_hidden": true} tags=["solution"]
my_ids = {row["id"] for row in rejected if row["reason"].startswith("not a sample")}

# %% tags=["check"]
assert my_ids is not ..., "my_ids is still `...`: section 2 prints ids and reasons"
off = set(my_ids) ^ {row["id"] for row in rejected if row["reason"].startswith("not a sample")}
assert not off, f"look again at {sorted(off)}: does the reason name a field, or a file?"
print(f"right: {len(set(my_ids))} of {len(rejected)} rejected rows")

# %% [markdown]
# **Exercise 2.** You have one hour for training on this machine. How many steps as heavy as the rehearsed one fit into it?

# %% tags=["exercise"]
my_steps = ...  # a whole number

# %% jupyter={"source_hidden": true} tags=["solution"]
my_steps = int(3600 // heaviest["seconds"])

# %% tags=["check"]
assert my_steps is not ..., "my_steps is still `...`: section 4 measured the seconds of one step"
over = my_steps * heaviest["seconds"] - 3600
assert over <= 0, f"{over:.0f} s too long"
assert over > -2 * heaviest["seconds"], f"{-over / heaviest['seconds']:.0f} steps more would fit"
print(f"right: {my_steps} steps of {heaviest['seconds']:.1f} s")

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>Your run needs 30 GB and the GPU has 24. When do you want to know?</summary>
#
# Before the run: the rehearsal trains one step on the longest questions, with answers as long as they may be.
# </details>
#
# <details><summary>The tiny judge marks answers about your own pictures. What are its marks worth?</summary>
#
# Little: it knows the tiny world's words only. Take a judge that has read medicine, and audit it on pairs of yours.
# </details>
#
# <details><summary>Your texts are under a data use agreement. What do you set, and what does it do?</summary>
#
# local_only on each row: no judge that is not on this machine gets the text, and no zip file holds it.
# </details>
#
# ## What you learned
# - A folder with questions is enough; curation says what is wrong with it, row by row.
# - A profile is a file: copy one, change it, and see what your machine lacks before anything runs.
# - Rehearse the heaviest step first, and reckon the hours from it.
# - An exported model carries a card: data, settings, limits, and scores with intervals once notebook 04 has run.
#
# **Differs from MediX-R1:** one GPU, 4-bit LoRA and Unsloth instead of eight GPUs and full fine-tuning; for those there is
# [a recipe through EasyR1](../medix_lite/rewards/EASYR1.md), with data and reward files written by `medix-lite export-easyr1`.
#
# **Next:** your own question. To add a task, a judge, a signal or a modality: [CONTRIBUTING](../CONTRIBUTING.md).
