"""Duplicates: copies are found however they were changed, and what turns an answer round keeps rows apart."""

import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from medix_lite.curation.curate import curate
from medix_lite.curation.duplicates import (
    clusters,
    components,
    content_words,
    contradictory,
    fingerprint_of,
    first_with_same,
    hash_of,
    mix,
    reworded,
    words_of,
)
from medix_lite.curation.pictures import BROAD, PLACES, Looking, broad_difference, find_copies, look_at
from medix_lite.curation.splits import CARVED, carve, take
from medix_lite.files import InputError, read_jsonl
from medix_lite.samples import Sample
from medix_lite.tiny_world.questions import make_samples

CASE = "A 63-year-old woman with a cough has a 12 mm nodule in the upper lobe of the left lung; which disease is the most probable?"
BICUBIC = Image.Resampling.BICUBIC


def prints_of(question: str, reference: str = "carcinoma", **fields) -> dict:
    return fingerprint_of(Sample(id="x", question=question, reference=reference, **fields))


def same_words(one: dict, other: dict) -> bool:
    """Whether two questions ask the same up to case, punctuation and units."""
    return one["asked"] == other["asked"]


def is_reworded(one: dict, other: dict) -> bool:
    signatures = np.stack([np.frombuffer(bytes.fromhex(prints["words"]), "<u4") for prints in (one, other)])
    return len(reworded(np.array([one["turns"], other["turns"]], np.uint64), signatures)) == 1


def curated(path: Path, rows: list[dict], **options) -> dict[str, dict]:
    """Rejected rows by id, after curating rows that get an id where they have none."""
    (path / "in").mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"r{number}", "reference": "carcinoma"} | row for number, row in enumerate(rows)]
    (path / "in" / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"sizes": {"train": 10**6}, "seed": 0, "image_size": None} | options
    report = curate(f"folder:{path / 'in'}", path / "out", **settings)
    rejected = {row["id"]: row for row in read_jsonl(path / "out" / "rejected.jsonl")}
    assert report["counts"]["in"] == len(rows) == report["counts"]["kept"] + len(rejected)
    return rejected


@pytest.mark.parametrize(
    "copy",
    [
        CASE,
        CASE.upper(),
        f"  {CASE.replace(' ', '  ')}\n",
        CASE.replace(";", ","),
        CASE.replace("?", " ?!"),
        CASE.replace("12 mm", "12mm"),
        CASE.replace("12 mm", "1.2 cm"),
        CASE.replace("12 mm", "12.0 millimetres"),
        CASE.replace("year-old", "year‑old"),
        CASE.replace("nodule", "“nodule”"),
    ],
)
def test_the_same_words_however_written(copy):
    assert same_words(prints_of(CASE), prints_of(copy))


@pytest.mark.parametrize(
    "copy",
    [
        f"Look at this case: {CASE}",
        CASE.replace("which disease is the most probable", "the most probable disease is which"),
        CASE.replace("upper lobe of the left lung", "left lung's upper lobe"),
        f"Please answer the question. {CASE.replace('12 mm', '1.2 cm')}",
        CASE.replace("which disease is", "name the disease that is"),
    ],
)
def test_the_same_in_other_words(copy):
    one, other = prints_of(CASE), prints_of(copy)
    assert not same_words(one, other)
    assert is_reworded(one, other)


@pytest.mark.parametrize(
    "other",
    [
        CASE.replace("left", "right"),
        CASE.replace("12 mm", "13 mm"),
        CASE.replace("12 mm", "12 cm"),
        CASE.replace("12 mm", "1.2 mm"),
        CASE.replace("63", "36"),
        CASE.replace("with a cough", "without a cough"),
        CASE.replace("has a", "has no"),
        CASE.replace("left lung", "left and right lung"),
    ],
)
def test_another_side_number_or_negation_is_another_question(other):
    assert not same_words(prints_of(CASE), prints_of(other))
    assert not is_reworded(prints_of(CASE), prints_of(other))


def test_another_answer_or_other_options_keep_reworded_questions_apart():
    copy = f"Look: {CASE}"
    assert is_reworded(prints_of(CASE), prints_of(copy))
    assert not is_reworded(prints_of(CASE), prints_of(copy, "sarcoidosis"))
    options = {"options": ["carcinoma", "abscess"]}
    assert is_reworded(prints_of(CASE, **options), prints_of(copy, options=options["options"][::-1]))
    assert not is_reworded(prints_of(CASE, **options), prints_of(copy, options=["carcinoma", "cyst"]))
    assert not same_words(prints_of(CASE, **options), prints_of(CASE))


def test_short_questions_about_different_things_are_not_reworded():
    for one, other in (
        ("Is there an effusion?", "Is there a nodule?"),
        ("5 mm?", "50 mm?"),
        ("What is seen?", "What is the side?"),
    ):
        assert not is_reworded(prints_of(one), prints_of(other))


SIDED = st.sampled_from(["left", "right", "both"])
CASES = st.tuples(SIDED, st.integers(1, 99), st.sampled_from(["mm", "cm", "mg"]), st.booleans())


@given(CASES, CASES)
def test_cases_that_differ_in_what_turns_an_answer_are_never_merged(one, other):
    def ask(case):
        side, size, unit, negated = case
        return prints_of(
            f"Which disease shows {'no' if negated else 'a'} mass of {size} {unit} in the upper lobe on the {side} side?"
        )

    def said(case):  # 2 cm is 20 mm, and both sides are left and right
        side, size, unit, negated = case
        return side, size * (10 if unit == "cm" else 1), unit == "mg", negated

    assert is_reworded(ask(one), ask(other)) == (said(one) == said(other))


@given(st.text(min_size=1, max_size=60))
def test_words_do_not_depend_on_how_they_are_written(text):
    words = words_of(text)
    assert all(word and not word.isspace() for word in words)
    assert words_of(f"  {text}\n") == words
    if text.isascii():
        assert words_of(text.upper()) == words_of(text.lower())
    assert content_words(words) == content_words([*reversed(words), "the"])


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1), st.lists(st.text(), max_size=3))
def test_fingerprints_are_stable_and_never_none(question, reference, options):
    one = prints_of(question, reference, options=options or None)
    assert one == prints_of(question, reference, options=options or None)
    assert min(one["asked"], one["turns"], one["reference"], *one["answers"]) > 0
    assert max(one["asked"], one["turns"], one["reference"], *one["answers"]) < 2**64
    assert same_words(one, prints_of(question, reference, options=options[::-1] or None))
    assert is_reworded(one, one)


@given(st.lists(st.text()), st.lists(st.text()))
def test_a_hash_keeps_parts_apart(one, other):
    assert hash_of("ab", "c") != hash_of("a", "bc")
    if not any("\x1f" in part for part in one + other) and (one or [""]) != (other or [""]):
        assert hash_of(*one) != hash_of(*other)


KEYS = st.lists(st.integers(0, 5), max_size=30).map(lambda keys: np.array(keys, np.uint64))


@given(KEYS, st.randoms(use_true_random=False))
def test_the_first_in_order_stands_for_all_with_its_key(keys, random):
    order = np.array(random.sample(range(len(keys)), len(keys)), np.int64)
    first = first_with_same(keys, order)
    place = {row: number for number, row in enumerate(order.tolist())}
    for row, key in enumerate(keys.tolist()):
        same = [other for other, theirs in enumerate(keys.tolist()) if theirs == key]
        assert first[row] == (min(same, key=place.__getitem__) if key else row)


@given(KEYS)
def test_mixing_keeps_none_none_and_the_rest_different(keys):
    mixed = mix(keys, keys + np.uint64(1))
    assert ((mixed == 0) == (keys == 0)).all()
    assert len(np.unique(mixed)) == len(np.unique(keys))


@given(st.integers(1, 25), st.lists(st.tuples(st.integers(0, 24), st.integers(0, 3)), max_size=40), st.integers(0, 40))
def test_components_join_exactly_what_shares_a_key(n, shared, cut):
    shared = [(row % n, key) for row, key in shared]
    links = [
        (np.array([row for row, _ in part], np.int64), np.array([key for _, key in part], np.uint64))
        for part in (shared[:cut], shared[cut:])
    ]
    found = components(n, links)
    label = list(range(n))  # the same by hand: join two rows again and again until nothing changes
    for part in (shared[:cut], shared[cut:]) * n:
        for row, key in part:
            for other, theirs in part:
                if key == theirs != 0:
                    label[row] = label[other] = min(label[row], label[other])
    assert all((found[a] == found[b]) == (label[a] == label[b]) for a in range(n) for b in range(n))


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=20))
def test_clusters_of_pairs(n, pairs):
    pairs = np.array([(a % n, b % n) for a, b in pairs], np.int64).reshape(-1, 2)
    labels = clusters(n, pairs)
    assert len(labels) == n
    assert all(labels[a] == labels[b] for a, b in pairs)
    assert len(set(labels.tolist())) >= n - len(pairs)


@given(st.dictionaries(st.text(), st.integers(1, 9), max_size=30), st.integers(0, 5))
def test_carving_takes_a_tenth_and_never_all(members, seed):
    gone = carve(members, seed)
    assert gone <= members.keys()
    assert gone == carve(dict(reversed(members.items())), seed)
    total = sum(members.values())
    if len(members) > 1:
        assert members.keys() - gone
        assert len(gone) == len(members) - 1 or sum(members[name] for name in gone) >= CARVED * total
        assert any(sum(members[name] for name in gone - {last}) < CARVED * total for last in gone)
    else:
        assert not gone


@given(st.lists(st.text(), unique=True, max_size=30), st.lists(st.text(), max_size=5), st.integers(0, 40), st.integers(0, 3))
def test_taking_depends_on_seed_and_name_alone(names, more, size, seed):
    taken = take(names, size, seed)
    assert len(taken) == min(size, len(names))
    assert taken <= set(names)
    assert take(names[::-1], size, seed) == taken
    new = [name for name in dict.fromkeys(more) if name not in names]
    assert take(names + new, size, seed) & set(names) <= taken


def test_contradictory_rows_are_those_without_an_answer_in_common():
    asked = np.array([1, 1, 2, 2, 3, 0, 0], np.uint64)
    answers = [(0, "yes"), (1, "no"), (2, "MI"), (2, "infarction"), (3, "infarction"), (4, "yes"), (5, "yes"), (6, "no")]
    rows, keys = np.array([row for row, _ in answers]), np.array([hash_of(answer) for _, answer in answers], np.uint64)
    assert contradictory(asked, (rows, keys)).tolist() == [True, True, *[False] * 5]


def test_copies_among_rows_are_rejected_and_listed(tmp_path):
    rejected = curated(
        tmp_path,
        [
            {"question": CASE},
            {"question": CASE.upper()},
            {"question": f"Look at this case: {CASE}"},
            {"question": CASE.replace("left", "right")},
            {"question": CASE.replace("12 mm", "1.2 cm")},
            {"question": CASE.replace("a cough", "no cough")},
        ],
    )
    assert rejected.keys() == {"r1", "r2", "r4"}
    assert "duplicate of r0: the same pictures and words" in rejected["r1"]["reason"]
    assert "near duplicate of r0: the same in other words" in rejected["r2"]["reason"]
    (cluster,) = read_jsonl(tmp_path / "out" / "clusters.jsonl")
    assert (cluster["kept"], sorted(cluster["copies"])) == ("r0", ["r1", "r2", "r4"])


def test_of_copies_the_measured_one_stays(tmp_path):
    rows = [{"question": CASE, "split": split} for split in ("train", "probe", "test", "test")]
    other = [{"question": f"Which sign is number {n}?", "reference": word} for n, word in enumerate(("Kernig", "Murphy"))]
    rejected = curated(tmp_path, [*rows, *other], sizes={"train": 9, "test": 9})
    assert rejected.keys() == {"r0", "r1", "r3"}
    assert all("duplicate of r2" in row["reason"] for row in rejected.values())


def test_a_question_with_two_answers_loses_both(tmp_path):
    rows = [
        {"question": CASE},
        {"question": CASE.upper(), "reference": "abscess"},
        {"question": "Which enzyme digests starch?", "reference": "amylase"},
        {"question": "Which enzyme digests starch?", "reference": "α-amylase", "references": ["Amylase."]},
    ]
    rejected = curated(tmp_path, rows)
    assert {name: row["reason"] for name, row in rejected.items()} == dict.fromkeys(
        ("r0", "r1"), "the same is asked of the same picture elsewhere, with another answer"
    )


def test_an_id_that_stands_twice_keeps_its_first_row(tmp_path):
    rows = [{"id": "a", "question": "Which sign is this?"}, {"id": "a", "question": "Which bone is this?"}]
    rejected = curated(tmp_path, rows)
    assert rejected.keys() == {"a"}
    assert "stands twice" in rejected["a"]["reason"]


def jpeg(quality: int):
    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return change


CHANGES = {
    "twice the size": lambda picture: picture.resize((128, 128), BICUBIC),
    "three quarters the size": lambda picture: picture.resize((48, 48), BICUBIC),
    "JPEG 90": jpeg(90),
    "JPEG 75": jpeg(75),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.85),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "cropped at the corner": lambda picture: picture.crop((3, 3, 64, 64)),
    "cropped all round": lambda picture: picture.crop((1, 2, 62, 63)),
}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    return [sample.images[0] for sample in make_samples(60, "train", 0, folder) if sample.images][:40]


def copies_among(pictures: list, folder: Path) -> set[tuple[int, ...]]:
    looks = [look_at(str(picture), Looking(folder)) for picture in pictures]
    found = find_copies([(look.path, bytes.fromhex("".join(look.hashes))) for look in looks])
    return {tuple(sorted(pair)) for pair in found.tolist()}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_of_a_picture_is_found(phantoms, tmp_path, change):
    copies = []
    for number, original in enumerate(phantoms[:20]):
        copies.append(tmp_path / f"{number}.png")
        with Image.open(original) as picture:
            CHANGES[change](picture.convert("RGB")).save(copies[-1])
    pairs = copies_among([*phantoms[:20], *copies], tmp_path / "images")
    wrong = {(a, b) for a, b in pairs if b - a != 20}
    assert not wrong
    assert len(pairs) >= 19, f"only {len(pairs)} of 20 found"


def test_the_same_pixels_in_another_format_are_the_same_picture(phantoms, tmp_path):
    for original in phantoms[:5]:
        with Image.open(original) as picture:
            picture.save(tmp_path / "copy.bmp")
        assert look_at(original, Looking(tmp_path)).pixels == look_at(str(tmp_path / "copy.bmp"), Looking(tmp_path)).pixels


def is_copy(first, second):
    """Whether one of two picture files is the other, or a part of it, whatever their hashes say."""
    tried = ((a, b, view) for a, b in ((first, second), (second, first)) for view in range(1 + PLACES**2))
    return any(broad_difference(*way) <= BROAD for way in tried)


def test_different_phantoms_are_not_copies(phantoms, tmp_path):
    assert copies_among(phantoms, tmp_path) == set()
    assert not any(is_copy(a, b) for a, b in pairwise(phantoms))
    assert all(is_copy(picture, picture) for picture in phantoms)


def test_different_blood_smears_are_not_copies(real_data, tmp_path):
    pictures = sorted((real_data / "bccd" / "BCCD" / "JPEGImages").iterdir())[:60]
    with Image.open(pictures[0]) as picture:
        picture.resize((480, 360), BICUBIC).save(tmp_path / "copy.jpg", quality=85)
    assert copies_among([*pictures, tmp_path / "copy.jpg"], tmp_path) == {(0, 60)}


def test_no_picture_and_one_picture_have_no_copies():
    assert find_copies([]).shape == find_copies([("a.png", b"")] * 3).shape == (0, 2)


def test_a_changed_picture_with_the_same_question_is_a_copy(phantoms, tmp_path):
    (tmp_path / "in").mkdir()
    with Image.open(phantoms[0]) as picture:
        picture.save(tmp_path / "in" / "a.png")
        picture.convert("RGB").resize((128, 128), BICUBIC).save(tmp_path / "in" / "b.png")
    shown = {"modality": "CT_SCAN", "question": "Which finding is shown?"}
    rows = [shown | {"images": [f"{name}.png"]} for name in "ab"]
    rows.append(shown | {"images": [phantoms[1]]})
    rows.append(shown | {"images": ["a.png"], "question": "Which organ is shown?", "reference": "liver"})
    rejected = curated(tmp_path, rows)
    assert rejected.keys() == {"r1"}
    assert rejected["r1"]["reason"] == "near duplicate of r0: a changed copy of its picture"


def test_the_same_picture_in_both_orders_is_another_question(phantoms, tmp_path):
    shown = {"modality": "CT_SCAN", "question": "Which of the two shows the finding?"}
    rows = [shown | {"images": images} for images in (phantoms[:2], phantoms[1::-1], phantoms[:1], phantoms[:2])]
    assert curated(tmp_path, rows).keys() == {"r3"}


@pytest.mark.parametrize(
    ("size", "said"),
    [((8, 64), "too few"), ((16, 400), "more than 8 times"), ((15, 15), "too few")],
)
def test_a_picture_of_no_use_is_refused(tmp_path, size, said):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=said):
        look_at(str(tmp_path / "a.png"), Looking(tmp_path))


def test_a_picture_of_one_colour_is_refused(tmp_path):
    Image.new("RGB", (64, 64), (9, 8, 7)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="every pixel is the same"):
        look_at(str(tmp_path / "a.png"), Looking(tmp_path))
