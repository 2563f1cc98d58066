"""The oracle: true in every surface form, never by a hedge, a contradiction or a false extra."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medix_lite.modalities import MODALITIES
from medix_lite.tiny_world.lexicon import findings, load_lexicon
from medix_lite.tiny_world.oracle import Truth, check_answer, check_reasoning, grade_report
from medix_lite.tiny_world.questions import generate

LEXICON = load_lexicon()
RIGHT, WRONG, HEDGED = (True, False), (False, False), (False, True)


class Forms(dict):
    """`{glioma}` is the first form of a concept, `{pleural_effusion}` too."""

    def __missing__(self, key):
        return (LEXICON.get(key) or LEXICON[key.replace("_", " ")]).policy[0]


def say(template: str) -> str:
    return template.format_map(Forms())


def picture(family, finding, truth=None, side=None, size_mm=None, count=None, **more):
    """Facts of a picture of `finding` (None: a normal MRI)."""
    modality = LEXICON[finding].modality if finding else "MRI_SCAN"
    truths = {"side": side, "size": size_mm, "count": count, "report": None, "summary": None}
    facts = {"family": family, "modality": modality, "finding": finding, "side": side, "size_mm": size_mm, "count": count}
    return facts | {"truth": truth or truths.get(family, finding or "normal"), "age": "adult", "sex": "woman"} | more


def verdict(facts, text, options=None):
    truth = check_answer(facts, text, options)
    assert truth.why
    assert truth.score in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert truth.correct == (truth.score == 1.0)
    return truth.correct, truth.hedged


GLIOMA = picture("finding", "glioma", side="left", size_mm=20)
MALARIA = picture("finding", "malaria", count=3)
NORMAL = picture("finding", None)
SIDE = picture("side", "glioma", side="left", size_mm=20)
SIZE = picture("size", "glioma", side="left", size_mm=20)
TWELVE = picture("size", "melanoma", size_mm=12)
FORTY_FIVE = picture("size", "meningioma", side="right", size_mm=45)
COUNT = picture("count", "malaria", count=3)
ONE = picture("count", "malaria", count=1)
YES = picture("yes_no", "glioma", "yes", side="left", size_mm=20, target="glioma")
NO = picture("yes_no", "meningioma", "no", side="left", size_mm=20, target="glioma")
NO_NORMAL = picture("yes_no", None, "no", target="glioma")
LUNG = {"family": "knowledge", "target": "pneumonia", "truth": LEXICON["pneumonia"].organ}
CHOICE = picture("multiple_choice", "glioma", side="left", size_mm=20)
OPTIONS = [say(o) for o in ("{meningioma}", "{glioma}", "{normal}", "{arachnoid_cyst}")]

CASES = [
    # The finding, with true extras and true denials.
    (GLIOMA, "{glioma}", RIGHT),
    (GLIOMA, "{glioma} on the left", RIGHT),
    (GLIOMA, "this {MRI_SCAN} shows a {glioma}, 2 cm, on the left", RIGHT),
    (GLIOMA, "a 20mm {glioma} in the left {brain}", RIGHT),
    (GLIOMA, "one {glioma}", RIGHT),
    (GLIOMA, "a single {glioma}", RIGHT),
    (GLIOMA, "{glioma}, no {meningioma}", RIGHT),
    (GLIOMA, "{glioma}, not {meningioma}", RIGHT),
    (GLIOMA, "{glioma} not {meningioma}", RIGHT),
    (GLIOMA, "it is not {meningioma} but {glioma}", RIGHT),
    (GLIOMA, "no {meningioma}, a {glioma} on the left", RIGHT),
    (GLIOMA, "{glioma} rather than {meningioma}", RIGHT),
    (GLIOMA, "no {meningioma}, {arachnoid_cyst} or {ischaemic_stroke}. {glioma} on the left.", RIGHT),
    (GLIOMA, "neither {meningioma} nor {arachnoid_cyst}: {glioma}", RIGHT),
    (GLIOMA, "no {meningioma} on the right; {glioma} on the left", RIGHT),
    (GLIOMA, "{meningioma} is absent, {glioma} is present", RIGHT),
    (GLIOMA, "no doubt a {glioma}", RIGHT),
    (GLIOMA, "{glioma}, otherwise normal", RIGHT),
    (GLIOMA, "the {glioma} is not large", RIGHT),
    (GLIOMA, "{glioma} on the left, not on the right", RIGHT),
    (GLIOMA, "there is no earlier study. {glioma}.", RIGHT),
    (GLIOMA, "abnormal: {glioma}", RIGHT),
    (GLIOMA, "a 30 year old with {glioma}", RIGHT),
    (GLIOMA, "grade 4 {glioma}", RIGHT),
    (GLIOMA, "{glioma} without calcification on the left", RIGHT),
    (GLIOMA, "{glioma}; the right hemisphere is spared", RIGHT),
    (GLIOMA, "<answer>{glioma}, 20 mm</answer>", RIGHT),
    # Denials, contradictions and false extras.
    (GLIOMA, "{meningioma}", WRONG),
    (GLIOMA, "{normal}", WRONG),
    (GLIOMA, "no {glioma}", WRONG),
    (GLIOMA, "not a {glioma}", WRONG),
    (GLIOMA, "no sign of any {glioma}", WRONG),
    (GLIOMA, "it isn't {glioma}", WRONG),
    (GLIOMA, "{glioma} is absent", WRONG),
    (GLIOMA, "{glioma}: absent", WRONG),
    (GLIOMA, "{glioma} and is absent", WRONG),
    (GLIOMA, "no 20 mm {glioma} on the left", WRONG),
    (GLIOMA, "there is no evidence that this is {glioma}", WRONG),
    (GLIOMA, "{glioma} has been excluded", WRONG),
    (GLIOMA, "{glioma} is not seen", WRONG),
    (GLIOMA, "{glioma} is not seen on the left", WRONG),
    (GLIOMA, "{glioma} is ruled out", WRONG),
    (GLIOMA, "negative for {glioma}", WRONG),
    (GLIOMA, "absence of {glioma}", WRONG),
    (GLIOMA, "anything but {glioma}", WRONG),
    (GLIOMA, "{meningioma} and {glioma} are absent", WRONG),
    (GLIOMA, "no {meningioma}, {arachnoid_cyst} or {glioma}", WRONG),
    (GLIOMA, "no {meningioma} or a {glioma}", WRONG),
    (GLIOMA, "{glioma}, no {glioma}", WRONG),
    (GLIOMA, "{glioma}, {meningioma}", WRONG),
    (GLIOMA, "{glioma} and {normal}", WRONG),
    (GLIOMA, "{glioma} and {meningitis}", WRONG),
    (GLIOMA, "{glioma} on the right", WRONG),
    (GLIOMA, "{glioma} on both sides", WRONG),
    (GLIOMA, "{glioma} on the left and the right", WRONG),
    (GLIOMA, "{glioma} not on the left", WRONG),
    (GLIOMA, "{glioma}, 30 mm", WRONG),
    (GLIOMA, "{glioma}, 20 cm", WRONG),
    (GLIOMA, "2 {glioma}", WRONG),
    (GLIOMA, "{glioma} on this {CT_SCAN}", WRONG),
    (GLIOMA, "{glioma} of the {lung}", WRONG),
    (NORMAL, "no abnormalities", RIGHT),
    (NORMAL, "no significant abnormality", RIGHT),
    (NORMAL, "not abnormal", RIGHT),
    (NORMAL, "normal, no other abnormality", RIGHT),
    (GLIOMA, "no abnormalities", WRONG),
    (GLIOMA, "{glioma}, no other abnormality", RIGHT),
    (NORMAL, "{normal}", RIGHT),
    (NORMAL, "{normal}, no {glioma}", RIGHT),
    (NORMAL, "{normal} {brain}", RIGHT),
    (NORMAL, "{glioma}", WRONG),
    (NORMAL, "{normal} on the left", WRONG),
    (NORMAL, "{normal}, 20 mm", WRONG),
    (NORMAL, "{normal} and abnormal", WRONG),
    (NORMAL, "no {glioma}", HEDGED),
    (MALARIA, "{malaria}, 3 cells", RIGHT),
    (MALARIA, "{malaria}, 2 cells", WRONG),
    (MALARIA, "{malaria} on the left", WRONG),
    (MALARIA, "{malaria}, 12 mm", WRONG),
    # Hedges.
    *(
        (GLIOMA, text, HEDGED)
        for text in (
            "possibly {glioma}",
            "{glioma} or {meningioma}",
            "{glioma}, or {normal}",
            "either {glioma} or {meningioma}",
            "maybe {glioma}",
            "suspicious for {glioma}",
            "cannot exclude {glioma}",
            "can't rule out {glioma}",
            "{glioma} cannot be excluded",
            "{glioma} cannot be completely ruled out",
            "{glioma} is not excluded",
            "{glioma}, not sure",
            "rule out {glioma}",
            "{glioma} versus {meningioma}",
            "differential: {glioma}",
            "one of these: {glioma}",
            "hard to say, {glioma}",
            "no idea, {glioma}",
            "could be {glioma}",
            "I doubt that it is a {glioma}",
            "? {glioma}",
            "{glioma}?",
            "something abnormal",
            "abnormal",
            "on the left",
            "a lesion",
            "?!",
            "yes",
        )
    ),
    # Side.
    (SIDE, "left", RIGHT),
    (SIDE, "Left.", RIGHT),
    (SIDE, "left-sided", RIGHT),
    (SIDE, "on the left", RIGHT),
    (SIDE, "on the left, not on the right", RIGHT),
    (SIDE, "not on the right but on the left", RIGHT),
    (SIDE, "not right, left", RIGHT),
    (SIDE, "neither right nor anywhere else, left", RIGHT),
    (SIDE, "a {glioma} on the left, 20 mm", RIGHT),
    (SIDE, "left, without {meningioma}", RIGHT),
    (SIDE, "right", WRONG),
    (SIDE, "left and right", WRONG),
    (SIDE, "bilateral", WRONG),
    (SIDE, "both", WRONG),
    (SIDE, "not left", WRONG),
    (SIDE, "left, not left", WRONG),
    (SIDE, "a {meningioma} on the left", WRONG),
    (SIDE, "left, no {glioma}", WRONG),
    (SIDE, "left, 45 mm", WRONG),
    (SIDE, "not right", HEDGED),
    (SIDE, "not right or left", WRONG),
    (SIDE, "neither left nor right", WRONG),
    (SIDE, "left or right", HEDGED),
    (SIDE, "on one side", HEDGED),
    (SIDE, "{glioma}", HEDGED),
    (SIDE, "probably left", HEDGED),
    # Size.
    (SIZE, "20 mm", RIGHT),
    (SIZE, "20mm", RIGHT),
    (SIZE, "20-mm", RIGHT),
    (SIZE, "2 cm", RIGHT),
    (SIZE, "2.0 centimetres", RIGHT),
    (SIZE, "two centimeters", RIGHT),
    (SIZE, "twenty millimetres", RIGHT),
    (SIZE, "0.02 m", RIGHT),
    (SIZE, "20,0 mm", RIGHT),
    (SIZE, "about 21 mm", RIGHT),
    (SIZE, "22 mm", RIGHT),
    (SIZE, "18 millimeter", RIGHT),
    (SIZE, "20 x 20 mm", RIGHT),
    (SIZE, "it measures 20 mm (2 cm)", RIGHT),
    (SIZE, "the {glioma} on the left is 20 mm", RIGHT),
    (SIZE, "20 mm, not 30 mm", RIGHT),
    (SIZE, "23 mm", WRONG),
    (SIZE, "17 mm", WRONG),
    (SIZE, "20 cm", WRONG),
    (SIZE, "2 mm", WRONG),
    (SIZE, "200 mm", WRONG),
    (SIZE, "20 mm and 30 mm", WRONG),
    (SIZE, "10-20 mm", WRONG),
    (SIZE, "10 to 20 mm", WRONG),
    (SIZE, "20", WRONG),
    (SIZE, "twenty", WRONG),
    (SIZE, "20 mm on the right", WRONG),
    (SIZE, "20 mm {meningioma}", WRONG),
    (SIZE, "20 mm, 2 lesions", WRONG),
    (SIZE, "not 20 mm", WRONG),
    (SIZE, "20 mm or 30 mm", HEDGED),
    (SIZE, "less than 22 mm", HEDGED),
    (SIZE, "up to 20 mm", HEDGED),
    (SIZE, "measurable", HEDGED),
    (SIZE, "several mm", HEDGED),
    (SIZE, "large", HEDGED),
    (TWELVE, "1.2 cm", RIGHT),
    (TWELVE, "12 mm {melanoma}", RIGHT),
    (TWELVE, "12 mm on the left", WRONG),
    (TWELVE, "twelve millimetres", RIGHT),
    (TWELVE, "12.5 mm", RIGHT),
    (FORTY_FIVE, "4.5 cm", RIGHT),
    (FORTY_FIVE, "five mm", WRONG),
    # Count.
    (COUNT, "3", RIGHT),
    (COUNT, "three", RIGHT),
    (COUNT, "Three.", RIGHT),
    (COUNT, "3 lesions", RIGHT),
    (COUNT, "there are three cells with {malaria}", RIGHT),
    (COUNT, "exactly 3", RIGHT),
    (COUNT, "3, not 4", RIGHT),
    (COUNT, "4", WRONG),
    (COUNT, "3.5", WRONG),
    (COUNT, "30", WRONG),
    (COUNT, "one", WRONG),
    (COUNT, "twenty-three", WRONG),
    (COUNT, "3 and 4", WRONG),
    (COUNT, "2-3", WRONG),
    (COUNT, "2 to 3", WRONG),
    (COUNT, "3 mm", WRONG),
    (COUNT, "3 {leukaemia}", WRONG),
    (COUNT, "3 on the left", WRONG),
    (COUNT, "3, each 12 mm", WRONG),
    (COUNT, "3 or 4", HEDGED),
    (COUNT, "about 3", HEDGED),
    (COUNT, "at least 3", HEDGED),
    (COUNT, "more than 2", HEDGED),
    (COUNT, "several", HEDGED),
    (COUNT, "a few", HEDGED),
    (COUNT, "some", HEDGED),
    (COUNT, "many", HEDGED),
    (ONE, "one", RIGHT),
    (ONE, "a single cell", RIGHT),
    (ONE, "1", RIGHT),
    (ONE, "two", WRONG),
    (ONE, "one of these", HEDGED),
    # Yes or no.
    (YES, "yes", RIGHT),
    (YES, "YES!", RIGHT),
    (YES, "yes, a {glioma} on the left", RIGHT),
    (YES, "yes, {glioma}, no {meningioma}", RIGHT),
    (YES, "there is a {glioma}", RIGHT),
    (YES, "yes, no doubt", RIGHT),
    (YES, "no", WRONG),
    (YES, "yes and no", WRONG),
    (YES, "yes, no", WRONG),
    (YES, "yes, no {glioma}", WRONG),
    (YES, "yes, {glioma} is absent", WRONG),
    (YES, "yes, a {glioma} on the right", WRONG),
    (YES, "yes, {meningioma}", WRONG),
    (YES, "no {glioma}", WRONG),
    (YES, "{glioma}", HEDGED),
    (YES, "yes or no", HEDGED),
    (YES, "possibly yes", HEDGED),
    (YES, "on the left", HEDGED),
    (NO, "no", RIGHT),
    (NO, "No.", RIGHT),
    (NO, "no, there is no {glioma}", RIGHT),
    (NO, "there is no {glioma}", RIGHT),
    (NO, "no {glioma} is seen", RIGHT),
    (NO, "no evidence of {glioma}", RIGHT),
    (NO, "{glioma} is absent", RIGHT),
    (NO, "no, it is a {meningioma}", RIGHT),
    (NO, "no it is a {meningioma} on the left", RIGHT),
    (NO, "no, {meningioma}, 20 mm", RIGHT),
    (NO, "no, no {glioma} or {arachnoid_cyst}", RIGHT),
    (NO, "no {glioma} but a {meningioma}", RIGHT),
    (NO, "yes", WRONG),
    (NO, "no, there is {glioma}", WRONG),
    (NO, "no, it is {arachnoid_cyst}", WRONG),
    (NO, "no, {normal}", WRONG),
    (NO, "no {meningioma}", WRONG),
    (NO, "no, {meningioma} on the right", WRONG),
    (NO, "{meningioma}", HEDGED),
    (NO_NORMAL, "no", RIGHT),
    (NO_NORMAL, "no, {normal}", RIGHT),
    (NO_NORMAL, "{normal}", RIGHT),
    (NO_NORMAL, "no, {meningioma}", WRONG),
    (NO_NORMAL, "no, on the left", WRONG),
    # Knowledge.
    (LUNG, "{lung}", RIGHT),
    (LUNG, "{pneumonia} is found in the {lung}", RIGHT),
    (LUNG, "the {lung}, not the {pleura}", RIGHT),
    (LUNG, "the {lung} on both sides", RIGHT),
    (LUNG, "{pleura}", WRONG),
    (LUNG, "{lung} and {pleura}", WRONG),
    (LUNG, "{lung}, as in {pneumothorax}", WRONG),
    (LUNG, "not the {lung}", WRONG),
    (LUNG, "the {lung} on the left", WRONG),
    (LUNG, "{lung} or {pleura}", HEDGED),
    (LUNG, "an organ", HEDGED),
    (LUNG, "{pneumonia}", HEDGED),
    (LUNG, "not the {pleura}", HEDGED),
]


@pytest.mark.parametrize(("facts", "template", "expected"), CASES, ids=[f"{f['family']}: {t}" for f, t, _ in CASES])
def test_answers(facts, template, expected):
    truth = check_answer(facts, say(template))
    assert verdict(facts, say(template)) == expected, truth


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("B", RIGHT),
        ("b", RIGHT),
        ("(B)", RIGHT),
        ("B.", RIGHT),
        ("it is B", RIGHT),
        ("option B", RIGHT),
        ("the answer is B", RIGHT),
        ("B. {glioma}", RIGHT),
        ("B) {glioma} on the left", RIGHT),
        ("B {glioma}", RIGHT),
        ("{glioma}", RIGHT),
        ("a {glioma}", RIGHT),
        ("A {glioma}", RIGHT),
        ("A. {glioma}", WRONG),
        ("A", WRONG),
        ("B. {meningioma}", WRONG),
        ("A, B", WRONG),
        ("B and A", WRONG),
        ("B. {glioma} on the right", WRONG),
        ("{meningioma}", WRONG),
        ("B or C", HEDGED),
        ("A or B", HEDGED),
        ("possibly B", HEDGED),
        ("Z", HEDGED),
        ("one of these", HEDGED),
    ],
)
def test_options(template, expected):
    assert verdict(CHOICE, say(template), OPTIONS) == expected, check_answer(CHOICE, say(template), OPTIONS)


def test_no_answer_is_wrong():
    for text in (None, "", "  \n"):
        assert check_answer(GLIOMA, text) == Truth(False, False, "there is no answer", 0.0)


def test_every_form_is_true_and_near_misses_are_not():
    for concept in LEXICON.values():
        near = [LEXICON[name] for name in concept.near_misses]
        if concept.kind == "organ":
            facts = [
                {"family": "knowledge", "target": c.name, "truth": c.organ} for c in LEXICON.values() if c.organ == concept.name
            ][:2]
        elif concept.kind == "side":
            facts = [picture("side", "glioma", side=concept.name, size_mm=20)]
        elif concept.modality or concept.name == "normal":
            finding = None if concept.name == "normal" else concept.name
            side = "left" if concept.sided else None
            size, count = (concept.sizes or [None])[0], 2 if concept.counted else None
            facts = [picture(family, finding, side=side, size_mm=size, count=count) for family in ("finding", "multiple_choice")]
        else:
            continue
        for fact in facts:
            for form in concept.forms("all"):
                for text in (form, form.upper(), f"{form}.", f"it is {form}", f"the {form}"):
                    assert verdict(fact, text) == RIGHT, (fact, text, check_answer(fact, text))
                assert verdict(fact, f"possibly {form}") == HEDGED, form
                assert verdict(fact, f"{form} or {near[0].policy[0]}" if near else f"maybe {form}") == HEDGED, form
                if concept.kind == "finding" and concept.name != "normal":
                    assert verdict(fact, f"no {form}") == WRONG, form
            for form in (form for other in near for form in other.forms("all")):
                assert not verdict(fact, form)[0], (fact, form)
                assert not verdict(fact, f"{concept.policy[0]}, {form}")[0], (fact, form)


def test_every_recorded_extra_is_true_with_every_finding():
    for concept in findings():
        side = "right" if concept.sided else None
        for size in concept.sizes or [None]:
            for count in range(1, 5) if concept.counted else [None]:
                facts = picture("finding", concept.name, side=side, size_mm=size, count=count)
                text = f"{LEXICON[concept.modality].policy[0]}: {concept.policy[0]}"
                text += f" on the {side}" * bool(side) + f", {size} mm" * bool(size) + f", {count} {concept.counted}" * bool(count)
                assert verdict(facts, text) == RIGHT, text
                grade = grade_report(facts | {"family": "report"}, text)
                assert (grade.score, grade.missing) == (5, []), grade
                assert not verdict(facts, text + (", 300 mm" if size else ", 9"))[0]


def test_references_are_true():
    for split in ("train", "test"):
        for sample, _ in generate(800, split, 5, pictures=False):
            assert check_answer(sample.facts, sample.reference, sample.options).correct, sample
            if sample.facts["family"] == "yes_no":
                assert not check_answer(sample.facts, "no" if sample.facts["truth"] == "yes" else "yes").correct
            if sample.options:
                assert check_answer(sample.facts, f"{sample.option_label()}. {sample.reference}", sample.options).correct


def test_modalities_are_named_by_their_tags():
    assert {c.name for c in LEXICON.values() if c.kind == "modality"} <= set(MODALITIES)


REPORT = picture("report", "glioma", side="left", size_mm=20)
COUNTED = picture("report", "malaria", count=3)
BARE = picture("report", "psoriasis")
NORMAL_REPORT = picture("report", None)
NORMAL_EYE = picture("report", None, side="left") | {"modality": "FUNDUS_PHOTOGRAPHY"}


@pytest.mark.parametrize(
    ("facts", "template", "score"),
    [
        (REPORT, "{glioma} on the left, 20 mm", 5),
        (REPORT, "{MRI_SCAN}: {glioma} on the left, 2 cm. No {meningioma}.", 5),
        (REPORT, "There is {glioma} on the left, 20 mm. There is no earlier study. No {meningioma}, {arachnoid_cyst} or cyst.", 5),
        (REPORT, "{glioma} on the left", 4),
        (REPORT, "{glioma}", 3),
        (REPORT, "{glioma} on the right, 20 mm", 3),
        (REPORT, "{glioma} on the left, 45 mm", 3),
        (REPORT, "{glioma} on the left, 20 mm, two lesions", 4),
        (REPORT, "{glioma} on the left, 20 mm, and {meningioma}", 4),
        (REPORT, "{glioma} on the left, 20 mm, and {meningioma} and {arachnoid_cyst}", 3),
        (REPORT, "{CT_SCAN}: {glioma} on the left, 20 mm", 4),
        (REPORT, "{meningioma} on the left, 20 mm", 1),
        (REPORT, "on the left, 20 mm", 2),
        (REPORT, "possibly {glioma} on the left, 20 mm", 2),
        (REPORT, "{glioma} or {meningioma} on the left, 20 mm", 2),
        (REPORT, "{glioma}, possibly on the left, 20 mm", 4),
        (REPORT, "{glioma} on the left or right, 20 mm", 4),
        (REPORT, "{glioma} on the left, 20 mm; no {glioma}", 1),
        (REPORT, "{normal}", 0),
        (REPORT, "{glioma} on the left, 20 mm, {normal}", 4),
        (REPORT, "", 0),
        (REPORT, None, 0),
        (REPORT, "nothing of note", 0),
        (COUNTED, "{malaria}, 3 cells", 5),
        (COUNTED, "{malaria}, 4 cells", 2),
        (COUNTED, "{malaria}, several cells", 3),
        (BARE, "{psoriasis}", 5),
        (BARE, "{psoriasis} on the left", 4),
        (BARE, "{psoriasis}, 12 mm, 3 plaques, on the left", 2),
        (NORMAL_REPORT, "{normal}", 5),
        (NORMAL_REPORT, "{MRI_SCAN}: {normal}. No {glioma}.", 5),
        (NORMAL_REPORT, "{normal} on the left, 12 mm", 3),
        (NORMAL_REPORT, "possibly {normal}", 0),
        (NORMAL_REPORT, "{normal}, {glioma}", 4),
        (NORMAL_EYE, "{normal}", 5),
        (NORMAL_EYE, "{normal}, left eye", 5),
        (NORMAL_EYE, "{normal}, right eye", 4),
    ],
)
def test_reports(facts, template, score):
    text = template if template is None else say(template)
    grade = grade_report(facts, text)
    assert grade.score == score, grade
    assert grade == grade_report(facts | {"family": "summary"}, text)
    if text:
        truth = check_answer(facts, text)
        assert (truth.score, truth.correct, truth.why) == (score / 5, score == 5, grade.why)


def test_a_grade_says_what_is_covered_missing_invented_and_contradicted():
    grade = grade_report(REPORT, say("{glioma} and {meningitis} on the right, 3 lesions"))
    assert (grade.covered, grade.missing) == (["glioma"], ["left side", "20 mm"])
    assert (grade.invented, grade.contradicted) == (["meningitis", "count 3"], ["right side"])
    assert grade.why == ("0 of 5: covered glioma; missing left side, 20 mm; invented meningitis, count 3; contradicted right side")
    assert check_answer(REPORT, say("possibly {glioma}")).hedged
    assert check_answer(REPORT, "hello").hedged
    assert not check_answer(REPORT, say("{meningioma}")).hedged


def test_reasons_are_one_sentence():
    assert check_answer(GLIOMA, say("{glioma} on the right")).why == "it is false: contradicted right side"
    assert check_answer(GLIOMA, say("{glioma}, {meningioma}, 30 mm")).why == (
        "it is false: invented meningioma; contradicted 30 mm"
    )
    assert check_answer(SIZE, "20").why == "it is false: invented count 20"


@pytest.mark.parametrize(
    ("facts", "thinking", "answer", "faults"),
    [
        (GLIOMA, "this {MRI_SCAN} shows {glioma} on the left.", "{glioma}", []),
        (GLIOMA, "it could be {meningioma}. it is a {glioma}, 2 cm.", "{glioma}", []),
        (GLIOMA, "no {meningioma} on the right. {glioma}.", "{glioma}", []),
        (GLIOMA, None, None, []),
        (
            GLIOMA,
            "this {MRI_SCAN} shows {meningioma} on the right.",
            "{glioma}",
            ["claims a finding that is not there", "claims the wrong side", "answer contradicts the reasoning"],
        ),
        (GLIOMA, "this {CT_SCAN} shows {glioma}", "{glioma}", ["claims the wrong modality"]),
        (GLIOMA, "{glioma}, 45 mm, 3 lesions", "{glioma}", ["claims the wrong size", "claims the wrong count"]),
        (MALARIA, "{malaria}, 3 cells", "{malaria}", []),
        (MALARIA, "{malaria}, 4 cells", "{malaria}", ["claims the wrong count"]),
        (COUNT, "I count 3", "4", ["answer contradicts the reasoning"]),
        (SIDE, "it is on the left", "right", ["answer contradicts the reasoning"]),
        (YES, "no {glioma} is seen", "yes", ["answer contradicts the reasoning"]),
        (NO, "I look for {glioma}; I see {meningioma}", "no", []),
        (NORMAL, "it is {normal}", "{normal}", []),
        (LUNG, "{pneumonia} is of the {lung}", "{lung}", []),
        (LUNG, "{pneumonia} is of the {lung}", "{pleura}", ["answer contradicts the reasoning"]),
        (REPORT, "{glioma} on the right", "{glioma} on the left, 20 mm", ["claims the wrong side"]),
        (NO, "shows {glioma}", "yes", ["claims a finding that is not there"]),
        (NO, "shows {glioma}", "no", ["claims a finding that is not there", "answer contradicts the reasoning"]),
        (NO, "shows {meningioma}, not {glioma}", "no", []),
        (NO, "shows {meningioma}, not {glioma}", "yes", ["answer contradicts the reasoning"]),
    ],
)
def test_reasoning(facts, thinking, answer, faults):
    assert check_reasoning(facts, thinking and say(thinking), answer and say(answer)) == faults


SOME = [facts for facts, _, _ in CASES] + [CHOICE, REPORT, COUNTED, BARE, NORMAL_REPORT, NORMAL_EYE]
WORDS = sorted(
    {word for _, template, _ in CASES for word in re.findall(r"\w+|[^\w\s]", say(template))}
    | {form for c in LEXICON.values() for form in c.forms("all")}
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))


@given(st.sampled_from(SOME), TEXTS)
@settings(max_examples=500, deadline=None)
def test_the_oracle_never_raises(facts, text):
    options = OPTIONS if facts is CHOICE else None
    assert check_answer(facts, text, options).why
    assert 0 <= grade_report(facts | {"family": "report"}, text).score <= 5
    check_reasoning(facts, text, text)


@pytest.mark.parametrize(
    "text", ["〇1", "①", "٣ mm", "½", "1e999 mm", "9" * 5000, "\ud800", "İ", "'s", ".", "1,", ".5.5.", "x1x", "no", "or", "?"]
)
def test_odd_texts_do_not_raise(text):
    for facts in (SIZE, COUNT, YES, CHOICE, LUNG):
        assert not check_answer(facts, text, OPTIONS if facts is CHOICE else None).correct


@given(st.sampled_from(CASES), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
@settings(max_examples=500, deadline=None)
def test_case_a_full_stop_and_an_opening_change_no_verdict(case, change):
    facts, template, expected = case
    text = say(template)
    for other in (change(text), f"{text}.", f" {text}\n", f"it is {text}"):
        if other.startswith("it is") and (re.match(r"\W|(no|yes|there|this|is|it|a|neither|not|one)\b", text) or "earlier" in text):
            continue
        assert verdict(facts, other) == expected, (other, check_answer(facts, other))


@given(st.sampled_from([g for g in findings() if g.sided]), st.sampled_from(["left", "right"]), st.data())
@settings(max_examples=200, deadline=None)
def test_a_false_extra_makes_a_true_answer_wrong_and_a_true_denial_does_not(concept, side, data):
    facts = picture("finding", concept.name, side=side, size_mm=(concept.sizes or [None])[-1])
    other = data.draw(st.sampled_from([c for c in LEXICON.values() if c.kind in ("finding", "disease") and c is not concept]))
    form, own = data.draw(st.sampled_from(other.forms("all"))), data.draw(st.sampled_from(concept.forms("all")))
    assert verdict(facts, f"{own}; {form}") == WRONG
    assert verdict(facts, f"{form}. {own}") == WRONG
    if other.name != "normal":
        assert verdict(facts, f"{own}; no {form}") == RIGHT
        assert verdict(facts, f"no {form}. {own} on the {side}") == RIGHT


@pytest.mark.parametrize(
    "unit", ["no ", "{glioma} or ", "nor {glioma} ", "1 ", "not ", "a) ", "? ", "- ", "x", "9", "maybe ", "can't be ", ", "]
)
def test_long_texts_take_no_longer_than_their_length(unit):
    text = say(unit) * (200_000 // len(unit))
    start = time.perf_counter()
    assert check_answer(GLIOMA, text, OPTIONS).why
    grade_report(REPORT, text)
    assert time.perf_counter() - start < 2
