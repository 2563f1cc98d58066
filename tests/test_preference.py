"""Blind preference: sides that hide the models, ratings that last, and shares that follow from them."""

import json
import time

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from test_cli import assert_one_clear_line, medix

from medix_lite.evaluation.preference import CHOICES, make_study, preference_widget, rate, ratings_of, summarise
from medix_lite.files import InputError, append_jsonl, read_json, read_jsonl


@pytest.fixture
def files(tmp_path):
    """Two responses files: 40 questions in common, and one more in each."""
    for name in ("ours", "theirs"):
        known = {"question": "What is <b>seen</b>?", "reference": "flu", "source": "mine"}
        rows = [known | {"id": str(n), "response": f"<answer>{name} {n}</answer>"} for n in [*range(40), f"only {name}"]]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"


@pytest.fixture
def study(files, tmp_path):
    assert make_study(tmp_path / "study", *files, n=30, seed=3) == 30
    return tmp_path / "study"


def test_pairs_hide_who_wrote_which_and_the_key_knows(files, study, tmp_path):
    pairs, key = read_jsonl(study / "pairs.jsonl"), read_json(study / "key.json")
    assert key["models"] == ["ours", "theirs"]
    assert sum(key["left"].values()) == 15, "either is left equally often"
    for pair in pairs:
        number = pair["id"].removesuffix("#0")
        sides = [f"<answer>{name} {number}</answer>" for name in ("ours", "theirs")]
        assert [pair["left"], pair["right"]] == (sides[::-1] if key["left"][pair["id"]] else sides)
        assert set(pair) == {"id", "question", "reference", "images", "left", "right"}
    make_study(tmp_path / "again", *files, n=30, seed=3)
    assert (tmp_path / "again" / "pairs.jsonl").read_bytes() == (study / "pairs.jsonl").read_bytes()
    make_study(tmp_path / "other", *files, n=30, seed=4)
    assert (tmp_path / "other" / "pairs.jsonl").read_bytes() != (study / "pairs.jsonl").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        make_study(study, *files)
    with pytest.raises(InputError, match="have the same name"):
        make_study(tmp_path / "new", files[0], files[0])
    again = [row | {"question": "Another?"} for row in read_jsonl(files[1])]
    files[1].write_text("".join(json.dumps(row) + "\n" for row in again))
    with pytest.raises(InputError, match="no question in common"):
        make_study(tmp_path / "new", *files)
    files[1].write_text(json.dumps({"id": "elsewhere", "response": "x", "question": "?", "reference": "y"}) + "\n")
    with pytest.raises(InputError, match="no question in common"):
        make_study(tmp_path / "new", *files)


def test_shares_follow_from_the_ratings(study):
    with pytest.raises(InputError, match="nobody has rated"):
        summarise(study)
    left = read_json(study / "key.json")["left"]
    for number, (pair, who) in enumerate(left.items()):  # ours is better in 18, theirs in 6, no difference in 6
        winner = 0 if number < 18 else 1 if number < 24 else None
        rate(study, "ann", pair, "left")  # a slip, put right at once
        rate(study, "ann", pair, "tie" if winner is None else "left" if winner == who else "right", "because")
    found = summarise(study)
    assert {name: part["value"] for name, part in found["preferred"].items()} == {"ours": 0.6, "theirs": 0.2, "tie": 0.2}
    assert found["ahead"]["value"] == pytest.approx(0.4)
    assert found["ahead"]["ci95"][0] > 0
    assert (found["kappa"], found["raters"]) == (None, {"ann": 30})
    assert found["left"]["n"] == 24
    assert found["ahead"]["p"] < 0.05
    assert read_jsonl(study / "ratings_ann.jsonl")[-1]["reason"] == "because"


def test_agreement_of_raters_and_a_side_that_is_preferred(study):
    pairs = list(read_json(study / "key.json")["left"])
    rng = np.random.default_rng(0)
    chosen = {rater: rng.choice(CHOICES, len(pairs), p=[0.7, 0.1, 0.2]).tolist() for rater in ("ann", "bob")}
    for rater, choices in chosen.items():
        for pair, choice in zip(pairs, choices, strict=True):
            rate(study, rater, pair, choice)
    found = summarise(study)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(chosen["ann"], chosen["bob"]), abs=1e-4)
    assert found["left"]["ci95"][0] > 0.5
    for pair, choice in zip(pairs, chosen["ann"], strict=True):
        rate(study, "bob", pair, choice)
    assert summarise(study)["kappa"] == 1
    for rater in chosen:
        for pair in pairs:
            rate(study, rater, pair, "tie")
    assert summarise(study)["kappa"] is None, "all say the same"
    append_jsonl(study / "ratings_ann.jsonl", [{"id": "of another study", "choice": "left"}])
    with pytest.raises(InputError, match=r"not in key\.json"):
        summarise(study)
    append_jsonl(study / "ratings_ann.jsonl", [{"id": pairs[0], "choice": "both"}])
    with pytest.raises(InputError, match="each row needs an 'id'"):
        summarise(study)


def test_questions_of_one_picture_are_resampled_together_and_shown_whole(tmp_path):
    """Ten pictures with five questions each, all answered alike: intervals as wide as ten questions make them."""
    for name in ("ours", "theirs"):
        known = {
            "question": "Which?",
            "reference": "flu",
            "references": ["influenza"],
            "source": "mine",
            "options": ["cold", "flu"],
        }
        rows = [known | {"id": f"{n}-{k}", "group": str(n), "response": f"{name} B"} for n in range(10) for k in range(5)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_study(tmp_path / "study", tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl")
    pairs, left = read_jsonl(tmp_path / "study" / "pairs.jsonl"), read_json(tmp_path / "study" / "key.json")["left"]
    assert (pairs[0]["question"], pairs[0]["reference"]) == ("Which?\nA. cold\nB. flu", "flu | influenza")
    for pair in pairs:
        ours = "right" if left[pair["id"]] else "left"
        rate(tmp_path / "study", "ann", pair["id"], ours if int(pair["id"].partition("-")[0]) < 5 else "tie")
    low, high = summarise(tmp_path / "study")["preferred"]["ours"]["ci95"]
    assert low <= 0.2
    assert high >= 0.8


def test_bad_ratings_are_refused(study):
    pair = read_jsonl(study / "pairs.jsonl")[0]["id"]
    with pytest.raises(InputError, match="rater"):
        preference_widget(study, "../ann")
    for wrong in ((pair, "both"), ("of another study", "left")):
        with pytest.raises(InputError, match="has no pair"):
            rate(study, "ann", *wrong)
    assert not list(study.glob("ratings_*"))


def test_the_widget_keeps_each_rating_and_goes_on_after_a_reload(study):
    ids = [pair["id"] for pair in read_jsonl(study / "pairs.jsonl")]
    head, _, sides, reason, buttons = preference_widget(study, "ann").children
    assert "&lt;b&gt;seen&lt;/b&gt;" in head.value, "what a model or a data set wrote is no markup"
    assert "&lt;answer&gt;" in sides.children[0].value
    reason.value = "clearer"
    buttons.children[0].click()
    buttons.children[1].click()
    assert "1 of 30" in head.value, "the second click of a double-click rates nothing"
    time.sleep(0.6)
    buttons.children[1].click()
    with (study / "ratings_ann.jsonl").open("a") as handle:
        handle.write('{"id": "torn')
    head, _, _, _, buttons = preference_widget(study, "ann").children
    assert "2 of 30" in head.value
    buttons.children[2].click()
    for pair in ids[3:29]:
        rate(study, "ann", pair, "right")
    head, _, _, _, buttons = preference_widget(study, "ann").children
    buttons.children[2].click()
    assert "30 of 30" in head.value
    assert all(button.disabled for button in buttons.children)
    assert list(ratings_of(study, "ann").items()) == list(zip(ids, ["left", "tie", *["right"] * 28], strict=True))
    assert read_jsonl(study / "ratings_ann.jsonl")[0]["reason"] == "clearer"


def test_the_command_makes_a_study_and_sums_it_up(files, tmp_path):
    def prefer(*arguments):
        return medix("prefer", tmp_path / "made", *arguments)

    assert "12 pairs" in prefer("--a", files[0], "--b", files[1], "--n", "12").stdout
    assert_one_clear_line(prefer(), "nobody has rated yet")
    for pair in read_jsonl(tmp_path / "made" / "pairs.jsonl"):
        rate(tmp_path / "made", "ann", pair["id"], "tie")
    assert "'tie': {'value': 1.0" in prefer().stdout
    alone = prefer("--a", files[0])
    assert alone.returncode == 2
    assert_one_clear_line(alone, "needs both --a and --b")
