"""Questions about phantoms: every reference is true in every surface form, every near miss is not, and no picture stands twice."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from medix_lite.tiny_world.lexicon import findings, load_lexicon
from medix_lite.tiny_world.oracle import check_answer
from medix_lite.tiny_world.questions import FAMILY_SHARES, PAIRED, count_of, generate, make_samples, owner, wording

LEXICON = load_lexicon()
FLIP = {"left": "right", "right": "left", "yes": "no", "no": "yes"}
WORDS = ("zero", "one", "two", "three", "four", "five")


def report(facts, finding, side, size_mm, count):
    """A report in words of its own, from pieces."""
    parts = [finding]
    if side:
        parts.append(f"in the {side} {PAIRED[facts['modality']]}" if facts["modality"] in PAIRED else f"on the {side} side")
    text = " ".join(parts)
    if size_mm:
        text += f", measuring {size_mm} mm"
    return text + (f", {count_of(count, LEXICON[facts['finding']].counted)}" if count else "")


def named(facts):
    """All forms of what the picture shows, and of its near misses."""
    concept = LEXICON[facts["finding"] or "normal"]
    near = concept.near_misses or [c.name for c in findings(facts["modality"])]
    return concept.forms("all"), [form for name in near for form in LEXICON[name].forms("all")]


def answers(sample):
    """Answers that are true of a sample, and answers that are false: near misses, denials, flipped sides, sizes times ten."""
    facts, family = sample.facts, sample.facts["family"]
    truth, side, size, count = facts["truth"], facts.get("side"), facts.get("size_mm"), facts.get("count")
    if family in ("side", "yes_no"):
        right, wrong = [truth, f"{truth}.", truth.upper()], [FLIP[truth], f"{truth} and {FLIP[truth]}", f"possibly {truth}"]
        if family == "side":
            right, wrong = right + list(LEXICON[truth].forms("all")), wrong + list(LEXICON[FLIP[truth]].forms("all"))
            return right, [*wrong, f"not {truth}"]
        for form in LEXICON[facts["target"]].forms("all"):
            says = [f"yes, there is {form}", f"no, there is no {form}"]
            right.append(says[truth == "no"])
            wrong += [says[truth == "yes"], f"{truth}, {form}" if truth == "no" else f"{truth}, no {form}"]
        return right, wrong
    if family == "size":
        right = [f"{truth} mm", f"{truth / 10:g} cm", f"it measures {truth} millimetres", f"{truth}mm"]
        return right, [
            f"{truth * 10} mm",
            f"{truth} cm",
            f"{truth / 10:g} mm",
            str(truth),
            f"not {truth} mm",
            f"{truth} or {truth * 2} mm",
        ]
    if family == "count":
        right = [str(truth), WORDS[truth], f"there are {WORDS[truth]}", count_of(truth, LEXICON[facts["finding"]].counted)]
        return right, [str(truth + 1), WORDS[truth + 1], str(truth * 10), f"not {truth}", f"{truth} or {truth + 1}", "several"]
    if family == "knowledge":
        near = [form for name in LEXICON[truth].near_misses for form in LEXICON[name].forms("all")]
        right = list(LEXICON[truth].forms("all"))
        return right, near + [f"not the {form}" for form in right]
    forms, near = named(facts)
    if family in ("report", "summary"):
        right = [report(facts, form, side if facts["finding"] else None, size, count) for form in forms]
        wrong = [report(facts, form, side, size, count) for form in near]
        if facts["finding"]:
            wrong += [f"no {text}" for text in right]
            wrong += [report(facts, form, FLIP[side], size, count) for form in forms if side]
            wrong += [report(facts, form, side, size * 10, count) for form in forms if size]
            wrong += [report(facts, form, side, size, count * 10) for form in forms if count]
        return right, wrong
    right = [*forms, *(f"it is {form}." for form in forms)]
    wrong = near + [f"possibly {form}" for form in forms] + [f"{forms[0]} or {form}" for form in near]
    if facts["finding"]:
        wrong += [f"no {form}" for form in forms]
        right += [report(facts, form, side, size, None) for form in forms]
        wrong += [report(facts, form, FLIP[side], size, None) for form in forms if side]
        wrong += [report(facts, form, side, size * 10, None) for form in forms if size]
    return right, wrong


def sweep(n, split, seed):
    """Check `n` samples; identical facts and options are checked once. Returns how many answers were checked."""
    seen, checked = set(), 0
    for sample, _ in generate(n, split, seed, pictures=False):
        facts = {k: v for k, v in sample.facts.items() if k not in ("age", "sex", "unseen", "wording", "form", "wrapper")}
        key = repr((sorted(facts.items(), key=str), sample.options))
        assert check_answer(sample.facts, sample.reference, sample.options).correct, sample
        if key in seen:
            continue
        seen.add(key)
        right, wrong = answers(sample)
        for text in right:
            truth = check_answer(sample.facts, text, sample.options)
            assert truth.correct, (text, truth.why, sample)
        for text in wrong:
            truth = check_answer(sample.facts, text, sample.options)
            assert not truth.correct, (text, truth.why, sample)
        checked += len(right) + len(wrong)
    return checked


def test_references_are_true_in_every_form_and_near_misses_are_not():
    assert sweep(3000, "test", 7) > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test"])
def test_references_over_fifty_thousand_samples(split):
    print(f"{sweep(27_000, split, 11)} answers checked")


@pytest.mark.slow
def test_no_picture_is_the_same_in_two_splits():
    owners = {}
    for split in ("warmup", "train", "probe", "test"):
        for sample, picture in generate(2500, split, 0):
            if picture is not None:
                digest = hashlib.sha256(picture.tobytes()).hexdigest()
                assert owners.setdefault(digest, sample.id) == sample.id, sample
    assert len(owners) > 8000


def test_every_family_and_every_concept_is_asked():
    samples = [s for s, _ in generate(6000, "train", 0, pictures=False)]
    counts = Counter(s.facts["family"] for s in samples)
    for family, share in FAMILY_SHARES.items():
        assert counts[family] / len(samples) == pytest.approx(share, abs=0.02)
    shown = Counter(s.facts.get("finding") for s in samples)
    assert {c.name for c in findings()} <= set(shown)
    asked = {s.facts["target"] for s in samples if s.facts["family"] == "knowledge"}
    assert {c.name for c in LEXICON.values() if c.organ} <= asked


def test_patients_suit_their_findings():
    for sample, _ in generate(4000, "test", 3, pictures=False):
        facts = sample.facts
        if facts.get("finding"):
            concept = LEXICON[facts["finding"]]
            assert facts["age"] in concept.ages, sample
            assert facts["sex"] in concept.sexes, sample
        if facts.get("modality") == "MAMMOGRAPHY":
            assert facts["sex"] == "woman", sample


def test_children_are_rare_where_a_policy_learns():
    share = {}
    for split in ("warmup", "train", "test"):
        ages = [s.facts["age"] for s, _ in generate(4000, split, 0, pictures=False) if "age" in s.facts]
        share[split] = ages.count("child") / len(ages)
    assert share["warmup"] < 0.04
    assert share["train"] < 0.04
    assert share["test"] > 0.08


@pytest.mark.slow
def test_splits_by_combination_and_by_wording():
    wordings = {split: [s for s, _ in generate(5000, split, 0, pictures=False)] for split in ("warmup", "train", "probe", "test")}
    for split, samples in wordings.items():
        for sample in samples:
            facts = sample.facts
            expected = split if facts["unseen"] == "combination" else "train"
            assert owner(facts) == expected, sample
            assert (facts["wording"] == 3) == (facts["unseen"] == "wording"), sample
    for split in ("warmup", "train"):
        assert all(s.facts["unseen"] is None for s in wordings[split])
    unseen = Counter(s.facts["unseen"] for s in wordings["test"])
    assert set(unseen) == {"picture", "combination", "wording"}
    assert min(unseen.values()) > 600

    def shown(sample):
        return tuple(sample.facts.get(name) for name in ("modality", "finding", "side", "size_mm", "count", "age", "sex"))

    known = {shown(s) for split in ("warmup", "train") for s in wordings[split] if "modality" in s.facts}
    fresh = {shown(s) for s in wordings["test"] if s.facts["unseen"] == "combination" and "modality" in s.facts}
    assert fresh
    assert not fresh & known, "a combination of test was shown, whatever was asked about it"
    texts = {split: {s.question for s in samples if not s.has_image} for split, samples in wordings.items()}
    for a, b in (("train", "test"), ("warmup", "test"), ("train", "probe"), ("probe", "test")):
        assert not texts[a] & texts[b], f"a text-only question stands in {a} and {b}"


def test_unseen_templates_use_seen_words():
    def words(texts):
        return {word.strip("?.,:").lower() for text in texts for word in text.split() if "{" not in word}

    everything = words(t for templates in wording()["templates"].values() for t in templates[:3])
    for family, templates in wording()["templates"].items():
        assert len(templates) == 4, family
        assert words(templates[3:]) <= everything, (family, words(templates[3:]) - everything)


def test_generation_is_seeded(tmp_path):
    first = [s.model_dump() for s, _ in generate(50, "train", 1, pictures=False)]
    assert first == [s.model_dump() for s, _ in generate(50, "train", 1, pictures=False)]
    assert first != [s.model_dump() for s, _ in generate(50, "train", 2, pictures=False)]
    written = make_samples(20, "train", 1, tmp_path)
    drawn = [picture for _, picture in generate(20, "train", 1)]
    assert [bool(s.images) for s in written] == [picture is not None for picture in drawn]
    assert any(np.ptp(picture) > 0 for picture in drawn if picture is not None)
