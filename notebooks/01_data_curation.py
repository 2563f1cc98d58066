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
# **What you will learn.** To turn a source into checked, leak-free train, probe and test samples; to look at them before anything is
# trained; and to test the checks themselves, by planting faults and watching each stage find them.
#
# **Minutes:** 1 of computing; reading takes longer. **Prerequisites:** notebook 00. In a hurry: sections 1 to 7, then the exercises.
#
# > Research and education only, not for clinical use.
#
# RL is only as good as its questions. MediX-R1 trains on about 51,000 of them, without hand-written reasoning: a question, a
# picture, a short reference answer. That is all a reward needs, and so every fault in them becomes a fault in the reward.
#
# ![Rows pass a sieve: kept, or rejected with a reason](../figures/idea_01.svg)

# %% tags=["parameters"]
run_dir: str = "../runs/tiny-cpu"  # run folder that all notebooks of one run share
profile: str = "tiny-cpu"  # name of a profile, or path of a YAML file
source: str = "phantoms"  # phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH
seed: int = 0  # seed of data, training and sampling
judge: str = ""  # rules, tiny, openai:MODEL@URL; empty: the profile's judge
settings: str = ""  # profile settings to change, as for medix-lite run --settings
real_data: str = ""  # full path of a folder with bccd/ and pubmedqa/, to curate them for real

# %%
from IPython.display import Image, Markdown, display

from medix_lite import figures
from medix_lite.files import read_json
from medix_lite.runs import curated, open_run

run = open_run(run_dir, profile, source, seed, judge, settings)
FIGURES = run.folder / "figures"

# %% [markdown]
# ## 1. Curate
# One call reads the source, checks each row by itself, holds the rows against each other, decides who goes to which split, and writes
# samples, rejected rows, a card and a report. A second call reads the result back.

# %%
splits = curated(run)
report = read_json(run.folder / "data" / "curation.json")
counts = report["counts"]
print(f"{counts['in']} rows in = {counts['kept']} kept + {counts['rejected']} rejected", report["reasons"])
for split, n in counts["splits"].items():
    print(f"{split:6} {n['drawn']:5} drawn of {n['kept']:5} kept")
assert counts["in"] == counts["kept"] + counts["rejected"]

# %% [markdown]
# No row is lost without a word: `in = kept + rejected`, and `rejected.jsonl` holds id, source, split and reason of each. *Drawn* is a
# seeded choice of what was kept, no larger than the profile asks for.
#
# Nothing to reject in the tiny world? Not quite. Ask the check for the texts what it would say of somebody else's questions with the
# same words, without the `facts` that only phantoms have:

# %%
from medix_lite.curation.checks import problem_of

told = [s for s in splits["train"] if problem_of(s.model_copy(update={"facts": None}))]
print(f"{len(told)} of {len(splits['train'])} training questions hold their answer")
for s in told[:2]:
    print(f"{s.question[-100:]} -> {s.reference}")

# %% [markdown]
# Nobody planned that. A reward pays for copying such an answer, and RL learns what is paid. Curation rejects these rows from every source but
# the tiny world, which keeps its own (4 in 1,000); in section 6 you see one found.
#
# ## 2. Look
# Never train on what you have not looked at. In a frontal picture the patient's left is on the **right** of the page.

# %%
from medix_lite.samples import Sample, open_image

shown: dict[str, dict[str, object]] = {}
for s in splits["train"]:
    if s.images and not (s.facts and not s.facts["finding"]):
        shown.setdefault(str(s.modality), {}).setdefault((s.facts or {}).get("finding") or s.reference, s)
chosen = [s for by_finding in shown.values() for s in list(by_finding.values())[: 2 if len(shown) < 8 else 1]]
if chosen:
    gallery = figures.save(figures.gallery(chosen, columns=8), FIGURES / "gallery.png")
    display(open_image(gallery).quantize(256))  # shown in 256 colours, to keep the notebook small
else:
    print("this source has no pictures")

# %% [markdown]
# ## 3. Count
# Which modalities, which kinds of question, from where, how long an answer? The same figure stands in the curation report,
# `data/curation.html`.

# %%
display(Image(figures.save(figures.curation_counts(report), FIGURES / "curation_counts.png")))

# %% [markdown]
# And which answers? If one answer makes up half of a test set, guessing it scores 50%.

# %%
print("ten commonest answers in test:", report["by_reference"]["test"])

# %% [markdown]
# The first baseline knows only the kind of question and gives its commonest *training* answer.
# Know this number before you praise a model. Reports are left out: they are graded, not right or wrong.

# %%
from collections import Counter, defaultdict

from medix_lite.samples import kind_of

answers = defaultdict(Counter)
for s in splits["train"]:
    answers[kind_of(s)][s.reference] += 1
best = {kind: answers[kind].most_common(1)[0][0] for kind in answers}
asked = [s for s in splits["test"] if not s.graded]
right = sum(best.get(kind_of(s)) == s.reference for s in asked)
print(f"by kind alone: {right / max(1, len(asked)):.1%} of {len(asked)} test questions; {best}")

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
# On the phantoms, children are planted to be rare in train (about 1 in 70) and seven times as frequent in test (and in the small probe): a real data
# set does such things unasked. Notebook 04 shows the score by age.
#
# ## 5. A clean set, to be spoilt
# A check that never fires proves nothing. So we write a clean set, spoil it in known ways, and see whether each fault is found and
# nothing else is lost. First 60 phantoms, as somebody else's folder: pictures, and a `samples.jsonl` beside them, without the facts. A
# few more are spares, for faults that need a picture of their own.

# %%
import shutil

from medix_lite.samples import sample_row
from medix_lite.tiny_world.questions import make_samples

PLANTED = run.folder / "planted"
SOURCE, BENCHMARK = PLANTED / "source", PLANTED / "benchmark"
shutil.rmtree(PLANTED, ignore_errors=True)  # so that you can change a fault below and run again
rows = {
    split: [sample_row(s, SOURCE) | {"split": split, "facts": None} for s in make_samples(n, split, 7, SOURCE) if s.images]
    for split, n in (("train", 70), ("test", 25))
}
clean, spare = rows["train"][:45] + rows["test"][:15], rows["train"][45:]
print(len(clean), "clean rows and", len(spare), "spares")

# %% [markdown]
# Why a folder, and not the source `phantoms`? Pictures of the tiny world are drawn each from its own facts and noise; many look alike
# and are meant to, so that source is not searched for near copies. Other people's files are.
#
# `plant` writes down a spoilt row, under the name of its fault, together with what must be said of it. The row claims to be of
# another patient, as copies in the wild do.

# %%
planted: dict[str, tuple[dict, str]] = {}


def plant(fault: str, said: str, victim: dict, **changes) -> None:
    planted[fault] = (victim | {"id": fault, "group": f"patient of {fault}"} | changes, said)


# %% [markdown]
# **Broken pictures.** One file ends too early, one is not there, one shows nothing, one is a sliver.

# %%
import PIL.Image

whole = SOURCE / clean[0]["images"][0]
(SOURCE / "half.png").write_bytes(whole.read_bytes()[:2000])
PIL.Image.new("RGB", (64, 64), "teal").save(SOURCE / "teal.png")
open_image(whole).resize((640, 20)).save(SOURCE / "sliver.png")
plant("truncated picture", "cannot read image half.png", clean[0], images=["half.png"])
plant("missing picture", "cannot read image nowhere.png", clean[0], images=["nowhere.png"])
plant("picture of one colour", "every pixel is the same", clean[0], images=["teal.png"])
plant("sliver of a picture", "times the other", clean[0], images=["sliver.png"])

# %% [markdown]
# **Broken rows.** Each is valid JSON, and each would teach a policy nonsense.

# %%
plant("unknown tag", "unknown modality", clean[1], modality="XRAY")
plant("empty reference", "the reference is empty", clean[1], reference=" \n")
plant("label for a reference", "only the label of an option", clean[1], options=["glioma", "normal"], reference="B")
told = {"question": "This meningioma: what is it?", "reference": "meningioma", "options": None, "graded": False}
plant("answer in the question", "stands in the question", clean[1], **told)
plant("id twice", "its id stands twice", spare[0], id=clean[1]["id"])

# %% [markdown]
# **The same words again.** An exact copy, then one in capitals, one with other punctuation, one in centimetres, and one in other words.

# %%
sized = next(row for row in clean if "mm wide" in row["question"])
signs = next(row for row in clean if "Are there signs of" in row["question"])
who, asked = signs["question"].split(". ", 1)
spaced = clean[4]["question"].replace(".", " …").replace("?", " ??")
plant("exact copy", "same pictures and words", clean[2])
plant("other case", "same pictures and words", clean[3], question=clean[3]["question"].upper())
plant("other punctuation", "same pictures and words", clean[4], question=spaced)
plant("other unit", "same pictures and words", sized, reference=f"{int(sized['reference'].removesuffix(' mm')) / 10} cm")
plant("other words", "the same in other words", signs, question=f"Please tell me, {asked.lower()[:-1]} in this {who.lower()}?")

# %% [markdown]
# How four of them look beside their originals:

# %%
for fault, victim in (("other case", clean[3]), ("other punctuation", clean[4]), ("other unit", sized), ("other words", signs)):
    copy = planted[fault][0]
    print(f"{victim['question']} -> {victim['reference']}\n    {copy['question']} -> {copy['reference']}")

# %% [markdown]
# **The same picture again**, in another size, recompressed, brighter, and without 5% of its width and height. Neither the
# files nor their pixels are equal to the original's.

# %%
from PIL import ImageEnhance


def picture_of(number):
    return open_image(SOURCE / clean[number]["images"][0])


picture_of(5).resize((96, 96)).save(SOURCE / "resized.png")
picture_of(6).save(SOURCE / "recompressed.jpg")
ImageEnhance.Brightness(picture_of(7)).enhance(1.2).save(SOURCE / "brighter.png")
picture_of(8).crop((2, 1, 63, 62)).save(SOURCE / "cropped.png")
for number, file in enumerate(("resized.png", "recompressed.jpg", "brighter.png", "cropped.png"), start=5):
    plant(file.split(".")[0], "a changed copy of its picture", clean[number], images=[file])

# %% [markdown]
# **What no row shows by itself.** Two answers to one question about one picture; and a patient of test who has another picture in train.

# %%
plant("contradiction, one", "with another answer", spare[1])
plant("contradiction, other", "with another answer", spare[1], reference="something else")
plant("patient in two splits", "tied by group", spare[2], group=clean[-1]["group"])

# %% [markdown]
# **What a benchmark holds.** An exam of two questions. We hide the text of the first in a longer training question, and give the picture of the
# second, which is recompressed there, to a training row.

# %%
from medix_lite.files import write_jsonl

BENCHMARK.mkdir(exist_ok=True)
exam = "Which nerve is most often injured when the surgical neck of the humerus breaks?"
open_image(SOURCE / spare[3]["images"][0]).save(BENCHMARK / "theirs.jpg")
theirs = {"id": "exam-2", "question": "Name the abnormality.", "reference": "?", "modality": "OTHER", "images": ["theirs.jpg"]}
write_jsonl(BENCHMARK / "samples.jsonl", [{"id": "exam-1", "question": exam, "reference": "axillary nerve"}, theirs])
plant("benchmark question", "benchmark by text", clean[0], question=f"Quiz! {exam} Be brief.", images=[], modality=None)
plant("benchmark picture", "benchmark by picture", spare[3])

# %% [markdown]
# **What is no fault, but must be known**: a question that is not in English. It is kept, and marked.

# %%
german = "Welche Veränderung ist auf diesem Bild des Patienten zu sehen?"
plant("in German", "kept, language de", spare[4], question=german)

# %% [markdown]
# ## 6. Watch each stage find them
# Clean and spoilt rows go into one file, and one call curates it, with the benchmark at its side.

# %%
from medix_lite.curation.curate import curate
from medix_lite.files import read_jsonl
from medix_lite.samples import read_samples

write_jsonl(SOURCE / "samples.jsonl", [*clean, *(row for row, _ in planted.values())])
OUT = PLANTED / "curated"
shutil.rmtree(OUT, ignore_errors=True)
sizes = {"train": 10**6, "test": 10**6}
found = curate(f"folder:{SOURCE}", OUT, sizes=sizes, seed=seed, image_size=None, benchmarks=[f"folder:{BENCHMARK}"])
print({name: found["counts"][name] for name in ("in", "kept", "rejected")}, "and", found["leaks"], "leaks")

# %% [markdown]
# What was said of each fault? The second column is the reason as it stands in `rejected.jsonl`.

# %%
kept = {s.id: s for split in sizes for s in read_samples(OUT / f"samples_{split}.jsonl")}
rejected = read_jsonl(OUT / "rejected.jsonl")
said = {row["id"]: row["reason"].replace(f"{SOURCE}/", "") for row in rejected}
said |= {name: f"kept, language {getattr(kept[name], 'language', 'en')}" for name in planted if name in kept}
for fault, (row, expected) in planted.items():
    print(f"{fault:22} {said[row['id']][:90]}")
    assert expected in said[row["id"]], fault

# %% [markdown]
# Every fault is found, for its own reason, and the German question is kept. The other half of the proof: no clean row is lost.

# %%
lost = [row["id"] for row in clean if row["id"] not in kept]
print(f"{len(lost)} of {len(clean)} clean rows lost; {len(planted)} rows planted")
assert not lost
assert len(kept) + len(rejected) == len(clean) + len(planted)

# %% [markdown]
# Two rules are worth knowing. Of copies the *first* stays, and test comes before train: a measured sample is never lost to one that
# trains. Of a contradiction *both* sides go, because nobody knows which is wrong. `clusters.jsonl` and `leaks.jsonl` say who copied
# whom and what leaked where:

# %%
for row in read_jsonl(OUT / "clusters.jsonl") + read_jsonl(OUT / "leaks.jsonl"):
    print(row)

# %% [markdown]
# The hard stages deserve a closer look, one by one: near copies of pictures and words, leaks, licences, options, DICOM.
#
# ## 7. The same picture, or one that looks alike?
# A *perceptual hash* turns a picture into 256 bits that survive resizing and recompression; copies differ in few bits. But so may two
# patients. Of thirty normal phantom X-rays, take the two that the hash finds most alike, and a true copy of the first: recompressed, and
# without a margin.

# %%
from itertools import combinations

from medix_lite.curation.pictures import BROAD, NEAR, broad_difference, perceptual_hashes
from medix_lite.tiny_world.phantoms import draw

normal = [PIL.Image.fromarray(draw("X_RAY", None, None, number)) for number in range(30)]
hashes = [int(perceptual_hashes(picture)[0], 16) for picture in normal]
pairs = sorted(((hashes[a] ^ hashes[b]).bit_count(), a, b) for a, b in combinations(range(30), 2))
_, a, b = pairs[0]
normal[a].crop((2, 1, 63, 62)).save(PLANTED / "copy.jpg", quality=80)
for number, picture in enumerate(normal):
    picture.save(PLANTED / f"normal-{number}.png")

# %% [markdown]
# What decides is `broad_difference`: of the second picture the part that fits best is laid over the first, brightness and contrast fitted too, and
# what still differs is blurred. Between a picture and its copy only fine grain is left, which blurring removes; two patients differ in the broad as
# well. The number is that rest, in units of what harsh compression does to the same picture.

# %%
first, other, copied = (str(PLANTED / name) for name in (f"normal-{a}.png", f"normal-{b}.png", "copy.jpg"))
trio = []
for name, file in (("the first", first), ("another patient", other), ("the copy", copied)):
    bits = (hashes[a] ^ int(perceptual_hashes(open_image(file))[0], 16)).bit_count()
    question, number = f"{name}: {bits} bits", f"broad difference {broad_difference(file, first):.2f}"
    trio.append(Sample(id=name, question=question, reference=number, modality="X_RAY", images=[file]))
look_alikes = figures.save(figures.gallery(trio, columns=3), FIGURES / "look_alikes.png")
display(open_image(look_alikes).quantize(256))

# %% [markdown]
# By this hash alone the stranger would be the copy. So each picture has ten hashes, of the whole and of nine crops, which find it in a
# copy that lacks a margin. And hashes only *propose* pairs, by few bits; pixels decide.

# %%
bits = [(int(view, 16) ^ int(perceptual_hashes(open_image(copied))[0], 16)).bit_count() for view in perceptual_hashes(normal[a])]
print("bits between the copy and each view of the first:", bits)
assert broad_difference(copied, first) <= BROAD < broad_difference(other, first)

# %% [markdown]
# How often does the limit err on normal X-rays?

# %%
proposed = [(str(PLANTED / f"normal-{a}.png"), str(PLANTED / f"normal-{b}.png")) for bits, a, b in pairs if bits <= NEAR]
merged = sum(broad_difference(*pair) <= BROAD for pair in proposed)
print(f"limit {BROAD}: {merged} of {len(proposed)} pairs of different pictures that the hash proposes would be taken for copies")

# %% [markdown]
# No limit is perfect, and 124 pairs are too few to see an error that happens once in a thousand. So a row is rejected as a copy only if its
# question and answer are the same as well; else the two pictures must merely stay in one split.
#
# ## 8. The same question in other words?
# Take the words that carry content, and compare two questions by the share of words that they have in common: the *Jaccard similarity*.
# All pairs of 50,000 questions would be over a billion comparisons. *MinHash* keeps 64 numbers of each question instead: for each
# of 64 hash functions the smallest hash of its words. The chance that two questions have the same smallest hash is their Jaccard
# similarity; and rows that share a few of these numbers are found by sorting, without looking at all pairs.

# %%
import numpy as np

from medix_lite.curation.duplicates import SAME_WORDS, content_words, fingerprint_of, hash_of, words_of


def jaccard(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b)


def signature(words: set[str], n: int = 64) -> np.ndarray:
    return np.array([min(hash_of(str(function), word) for word in words) for function in range(n)])


# %% [markdown]
# The lines above against the library's tested signature, on the same questions:

# %%
original = "Is there a small pleural effusion with a meniscus at the base of the left lung on this frontal chest radiograph?"
reworded = "On this frontal chest radiograph, at the left lung base: is there a small pleural effusion with a meniscus? Please say."
others = [reworded, original.replace("left", "right"), "Is there a nodule in the left lung on this frontal chest radiograph?"]
others += ["How many parasites do you see in this blood smear?"]
questions = [Sample(id="demo", question=text, reference="yes") for text in (original, *others)]
prints = [fingerprint_of(sample) for sample in questions]
kept_numbers = [np.frombuffer(bytes.fromhex(each["words"]), "<u4") for each in prints]
words = [content_words(words_of(sample.question)) for sample in questions]

# %% [markdown]
# Each question against the original: the exact similarity, both estimates, and whether what turns an answer round is the same.

# %%
for i, text in enumerate(others, start=1):
    by_hand, library = np.mean(signature(words[0]) == signature(words[i])), np.mean(kept_numbers[0] == kept_numbers[i])
    alike = "turns same" if prints[0]["turns"] == prints[i]["turns"] else "turns differ"
    print(f"exact {jaccard(words[0], words[i]):.2f}  by hand {by_hand:.2f}  library {library:.2f}  {alike:12}  {text}")
    assert max(abs(estimate - jaccard(words[0], words[i])) for estimate in (by_hand, library)) < 0.2  # three standard errors

# %% [markdown]
# The second line shares nearly all its words with the original, and asks about the other lung. That is why the library also hashes what
# turns an answer round (sides, numbers, negation, the reference, the options), and calls two questions the same only if that is
# identical and the words agree to this share:

# %%
SAME_WORDS

# %% [markdown]
# ## 9. Does it hold a benchmark's question?
# Here similarity is the wrong measure: a question hidden in a long text is a small part of it. *Containment* asks how much of the
# benchmark's question stands in the text, counted in runs of five words.

# %%
from medix_lite.curation.leakage import CONTAINED, TextIndex, shingles

index = TextIndex([("exam-1", exam, [])])
for text in (
    f"Case 12. A fall on the shoulder. {exam} Explain in one line.",
    "Which nerve runs around the surgical neck of the humerus?",
):
    share = len(shingles(exam) & shingles(text)) / len(shingles(exam))
    leaks = list(index.leaks(Sample(id="mine", question=text, reference="axillary nerve")))
    print(f"{share:.2f} of the question: {'leak' if leaks else 'no leak'}   {text}")
    assert bool(leaks) == (share >= CONTAINED)

# %% [markdown]
# The first holds all of it; the second is about the same nerve, and may stay. A rewording of a benchmark question would pass as well:
# containment finds copied text, not copied knowledge.
#
# ## 10. May these sources be mixed?
# A data set made of several inherits all their licences. Where two of them each demand that the whole be
# under their own terms, or one is unknown, the mix is refused:

# %%
from medix_lite.curation.licences import licence_of_mix
from medix_lite.files import InputError

for licences in (["mit", "apache-2.0"], ["mit", "cc-by-nc-4.0"], ["cc-by-sa-4.0", "cc-by-nc-4.0"], ["mit", "unknown"]):
    try:
        print(licences, "->", licence_of_mix(licences))
    except InputError as error:
        print("refused:", error)

# %% [markdown]
# Where they may be mixed, the strictest is the licence of the mix; of two that are merely permissive neither covers the other, hence
# "other". This is bookkeeping, not legal advice.
#
# ## 11. May its options be taken away?
# RL with open answers needs open questions, and exams have options. Some stand without them, many do not: without the options there
# would be several right answers, and the policy would learn which one the judge happens to like.

# %%
from medix_lite.curation.mcq import Choice, why_not_open

choices = [
    Choice("Which nerve innervates the diaphragm?", ["Vagus nerve", "Phrenic nerve", "Median nerve", "Ulnar nerve"], 1),
    Choice("Which bacterium is the most common cause of pneumonia?", ["Pneumococcus", "Legionella", "Klebsiella"], 0),
    Choice("Which nerve is spared in all of the following?", ["Vagus nerve", "Phrenic nerve", "Both", "Neither"], 0),
]
for choice in choices:
    print(f"{choice.question:58} {why_not_open(choice) or 'open'}")
assert [why_not_open(choice) is None for choice in choices] == [True, False, False]

# %% [markdown]
# The second would need to say where, in whom and by which count. The rules are a list of patterns, `data/mcq.yaml`, strict on
# purpose: a question left out costs little. What they turn down is rejected with its reason, as any other row.
#
# ## 12. DICOM
# Hospitals store pictures as DICOM: pixels behind a header that names the patient. Only the pixels and the modality leave the reader; a file
# that says that text is burned into its pixels is refused.

# %%
import io

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

header = pydicom.Dataset()
header.PatientName, header.Modality = "Nobody^Anna", "DX"
header.SOPClassUID, header.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
header.file_meta = pydicom.dataset.FileMetaDataset()
header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
header.set_pixel_data(draw("X_RAY", "pleural effusion", "left", 1)[..., 0], "MONOCHROME2", 8)

# %% [markdown]
# The same file twice: the second time it says that text is burned in.

# %%
from medix_lite.curation.dicom import read_dicom

for burned_in in ("NO", "YES"):
    header.BurnedInAnnotation = burned_in
    header.save_as(file := io.BytesIO(), enforce_file_format=True)
    print("the file holds the name:", b"Anna" in file.getvalue())
    try:
        picture, tag = read_dicom(file.getvalue(), "made here")
        print("what comes out:", tag, picture.size, picture.mode, picture.info)
    except InputError as error:
        print("refused:", error)

# %% [markdown]
# A picture and a tag; the name has no way through. But nobody looked for a name in the pixels: this is no promise of
# de-identification.
#
# ## 13. What training may see
# The reward will read the reference and the tag. The trainer sees even less: an id, the prompt, the picture. The `facts` of a
# phantom are what was drawn. RL and the judge never read them; the *oracle* does, a program that checks answers against them (notebook
# 04), and so did the warm-up before RL. Real data have none.

# %%
from medix_lite.responses import build_prompt

sample = next((s for s in splits["train"] if s.images), splits["train"][0])
print(build_prompt(sample, run.profile.prompt_style, run.profile.max_prompt_chars))
print("\nfields that hold the truth:", [name for name in ("reference", "references", "facts") if getattr(sample, name)])

# %% [markdown]
# ## 14. The card
# What a stranger must know before using the data. It stands in `data/README.md`, beside Parquet files that `datasets.load_dataset` reads.

# %%
Markdown((run.folder / "data" / "README.md").read_text().split("---", 2)[2])

# %% [markdown]
# ## 15. Real files
# With the parameter `real_data`, the same call curates blood smears (BCCD) and questions on abstracts (PubMedQA's expert set), and holds
# them against a benchmark's own file, MIRAGE's PubMedQA test set, where that lies beside them. Who has a network gets the
# first two by `medix-lite fetch bccd --out FOLDER/bccd`, and likewise `pubmedqa`.

# %%
from pathlib import Path

REAL, sizes = Path(real_data).expanduser().resolve(), dict.fromkeys(splits, 10**6)
sources = [f"bccd:{REAL / 'bccd'}", f"pubmedqa:{REAL / 'pubmedqa'}"]
exams = [f"mcq:{file}" for file in REAL.glob("mirage/rawdata/pubmedqa/data/test_set.json") if real_data]
if real_data:
    real = curate(sources, run.folder / "real", sizes=sizes, seed=seed, image_size=run.profile.image_size, benchmarks=exams)
    print(real["counts"], real["licence"])
else:
    print("not given: medix-lite run --notebooks 01 -p real_data=FOLDER --out runs/real curates BCCD and PubMedQA from FOLDER")

# %% [markdown]
# How many pictures made how many questions, what was rejected, and what leaked from where?

# %%
if real_data:
    samples = [s for split in sizes for s in read_samples(run.folder / "real" / f"samples_{split}.jsonl")]
    smears, abstracts = [s for s in samples if s.images], [s for s in samples if not s.images]
    used, rejected = len({s.group for s in smears}), real["counts"]["rejected"]
    print(f"{len(smears)} questions from {used} of {used + rejected} pictures; {real['reasons']}")
    print(f"{len(abstracts)} questions on abstracts; {Counter(s.reference for s in abstracts)}")
    print("leaks by split:", Counter(row["split"] for row in read_jsonl(run.folder / "real" / "leaks.jsonl")))

# %% [markdown]
# On the files as published (`tests/test_curation.py` holds the counts), 20 of the 364 smears are rejected, because their boxes are
# incomplete: none for red cells, or none for white ones. And 500 leaks are found, all of them in test: PubMedQA's
# official test questions *are* the benchmark. There they may stay; in train or probe each would have been rejected.

# %% [markdown]
# ## Exercises
# **Exercise 1.** If 60% of yes/no references are "no", a policy that always says no is right in 60% without looking. What is the share of "yes" among
# the yes/no questions of *this* train split?

# %% tags=["exercise"]
yes_no = [s for s in splits["train"] if s.reference in ("yes", "no")]
my_share = ...  # a number from 0 to 1, computed from yes_no

# %% jupyter={"source_hidden": true} tags=["solution"]
my_share = sum(s.reference == "yes" for s in yes_no) / max(1, len(yes_no))

# %% tags=["check"]
assert my_share is not ..., "my_share is still `...`: count the references in yes_no"
assert 0 <= my_share <= 1, "a share lies from 0 to 1: divide by the number of yes/no questions"
said = Counter(s.reference for s in yes_no)
assert abs(my_share - said["yes"] / max(1, said.total())) < 0.006, "count the 'yes' in yes_no and divide by len(yes_no)"
print(f"right: {my_share:.3f} of {said.total()}; on PubMedQA's 500 test questions 'yes' to all scores 0.552")

# %% [markdown]
# On the phantoms it is close to a half, on purpose. On PubMedQA "yes" to everything beats every published MediX-R1 row (0.472, 0.482, 0.490).
#
# **Exercise 2.** Somebody mirrored a picture and kept its question and answer. Is the mirrored picture taken for a copy of the first (section 7)?

# %% tags=["exercise"]
from PIL import ImageOps

sided = next(row for row in clean if row["reference"] in ("left", "right"))
ImageOps.mirror(open_image(SOURCE / sided["images"][0])).save(PLANTED / "mirrored.png")
my_copy = ...  # True if you think that it is taken for a copy, else False

# %% jupyter={"source_hidden": true} tags=["solution"]
my_copy = False

# %% tags=["check"]
assert my_copy is not ..., "my_copy is still `...`: True or False?"
difference = broad_difference(str(SOURCE / sided["images"][0]), str(PLANTED / "mirrored.png"))
assert bool(my_copy) == (difference <= BROAD), f"the broad difference is {difference:.2f}, and the limit {BROAD}"
print(f"right: broad difference {difference:.2f}, limit {BROAD}; its reference still says {sided['reference']!r}")

# %% [markdown] tags=["solution"]
# So it is kept, with a reference that names the wrong side (`plant("mirrored", "kept", sided, images=[str(PLANTED / "mirrored.png")])`, and run
# section 6 again). A wrong reference is the fault that curation does not see: neither row nor picture shows it, and only somebody who looks will find it.

# %% [markdown]
# ## Quiz
# Say your answer aloud, then open it.
#
# <details><summary>Two questions about one picture: one in train, one in test. What is wrong?</summary>
#
# The picture leaks. Groups (picture or patient) never cross splits.
# </details>
#
# <details><summary>A model scores 0.48 on PubMedQA's yes/no/maybe. Praise it?</summary>
#
# Always "yes" scores 0.552 there.
# </details>
#
# ## What you learned
# - `in = kept + rejected`, and each rejected row has a reason.
# - Groups never cross splits, nor do copies; what stands in a benchmark does not train.
# - Hashes propose, pixels decide; shared words are not enough where a side or a number turns the answer round.
# - A check is worth what it finds when you plant a fault, and what it leaves alone.
# - The commonest answer is a baseline; know it before you praise a model.
#
# **Differs from MediX-R1:** its 51,335 training rows are on the Hub as they are, and no check of them is published. Here each lost row has its
# reason, copies and leaks are searched by words and by pixels, and groups never cross splits.
#
# **Next:** [02 · The composite reward](02_composite_reward.ipynb)
