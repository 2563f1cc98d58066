"""What `score` says beside the accuracy: slices, several judges, another model, labels by people, and the zip file."""

import json
from collections import Counter
from zipfile import ZipFile

import numpy as np
import pytest
from test_cli import assert_one_clear_line, medix

from medix_lite.evaluation.files import score_file
from medix_lite.evaluation.grounding import without_sight
from medix_lite.evaluation.score import Measured, slice_scores
from medix_lite.files import InputError, read_json, read_jsonl, render, write_jsonl
from medix_lite.judging.judges import Judge, Voter, judge_answers, make_judge
from medix_lite.profiles import load_profile
from medix_lite.report import examples
from medix_lite.responses import parse_response
from medix_lite.runs import Run
from medix_lite.samples import Sample, open_image
from medix_lite.statistics import METRICS, cohens_kappa, gap
from medix_lite.tiny_world.questions import make_samples

RULES = make_judge("rules")


def rows(n, right, **fields):
    """n rows of a responses file; `right` says which answer rightly, the rest name the other side."""
    asked = {"question": "Which side?", "reference": "left", "source": "sides"} | fields
    return [
        {
            "id": f"q{i}",
            "task": "",
            "response": f"<think>x</think><answer>{'left' if right(i) else 'right'}</answer>",
            "group": f"p{i}",
        }
        | asked
        for i in range(n)
    ]


@pytest.fixture
def file(tmp_path):
    def write(name, some):
        write_jsonl(tmp_path / name, some)
        return tmp_path / name

    return write


def test_a_slice_that_is_worse_off_is_found():
    """Children are rare, and the policy is wrong more often about them: the gap's interval says so; that of the sexes does not."""
    rng = np.random.default_rng(1)
    samples, scores = [], []
    for i in range(1200):
        facts = {"age": "child" if rng.random() < 0.08 else "adult", "sex": str(rng.choice(["female", "male"]))}
        samples.append(Sample(id=str(i), question="What?", reference="x", group=str(i // 2), facts=facts))
        scores.append(float(rng.random() < (0.5 if facts["age"] == "child" else 0.8)))
    ages = slice_scores(samples, scores, "age")
    children = [score for sample, score in zip(samples, scores, strict=True) if sample.facts["age"] == "child"]
    assert ages["child"]["score"]["n"] == ages["child"]["gap"]["n"] == len(children)
    assert ages["child"]["score"]["value"] == pytest.approx(np.mean(children), abs=1e-4)
    assert ages["child"]["gap"]["ci95"][1] < 0 < ages["adult"]["gap"]["ci95"][0]
    assert ages["child"]["gap"]["value"] == -ages["adult"]["gap"]["value"]
    low, high = slice_scores(samples, scores, "sex")["female"]["gap"]["ci95"]
    assert low < 0 < high
    with pytest.raises(InputError, match="no sample has anything in the column 'hospital'"):
        slice_scores(samples, scores, "hospital")


@pytest.mark.slow
def test_intervals_of_gaps_hold_the_truth_in_95_of_100():
    held = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        inside = rng.random(400) < 0.2
        patients = np.repeat(np.arange(200), 2)
        common = rng.normal(0, 0.1, 200)[patients]
        values = np.where(inside, 0.6, 0.7) + common + rng.normal(0, 0.3, 400)
        low, high = gap(values, inside, [str(p) for p in patients], seed=seed)["ci95"]
        held.append(low <= -0.1 <= high)
    print(f"{np.mean(held):.3f}")
    assert 0.93 <= np.mean(held) <= 0.97


def test_gaps_by_hand():
    assert gap([1, 1, 0, 0], [True, True, False, False])["value"] == 1
    assert gap([1, 0, None, np.nan], [True, False, True, False]) | {"ci95": None} == {"value": 1.0, "ci95": None, "n": 1}
    assert gap([1.0, 0.0], [True, True]) == {"value": None, "ci95": [None, None], "n": 2}


def test_another_model_and_several_judges(file, tmp_path):
    mine, theirs = file("mine.jsonl", rows(40, lambda i: i % 4)), file("theirs.jsonl", rows(30, lambda i: i % 2))
    scores = score_file(mine, None, RULES, make_judge("model-only:tiny"), against=theirs, verdicts=tmp_path / "verdicts")
    assert scores["gain"]["n"] == 30
    assert scores["gain"]["value"] == pytest.approx(np.mean([bool(i % 4) - bool(i % 2) for i in range(30)]), abs=1e-4)
    assert scores["gain"]["p"] < 0.05
    ((other, beside),) = scores["other_judges"].items()
    assert other.startswith("tiny@")
    assert beside["accuracy"]["n"] == 40
    assert -1 <= beside["kappa"] <= 1
    assert len(list((tmp_path / "verdicts").glob("theirs--rules*"))) == 1
    names = sorted(path.name for path in (tmp_path / "verdicts").glob("mine--*"))
    assert [name.partition("--")[2][:5] for name in names] == ["rules", "tiny_"]
    assert all(len(read_jsonl(tmp_path / "verdicts" / name)) == 40 for name in names)
    assert score_file(mine, None, RULES, verdicts=tmp_path / "verdicts")["accuracy"] == scores["accuracy"]
    with pytest.raises(InputError, match="no answer in common"):
        score_file(mine, None, RULES, against=file("far.jsonl", [row | {"id": f"x{row['id']}"} for row in rows(3, bool)]))


def test_what_is_wrong_is_said_before_anything_is_judged(file, tmp_path):
    def ask(prompts, template):
        raise AssertionError("nothing is to be judged")

    judge = Judge("never", (Voter(ask),), rules=None)
    mine = file("mine.jsonl", rows(4, bool, local_only=True))
    for bad, message in (
        ({"against": file("far.jsonl", [row | {"id": f"x{row['id']}"} for row in rows(3, bool)])}, "no answer in common"),
        ({"labels": file("labels.jsonl", [{"id": "q1", "label": "good"}])}, "each row needs id, sample_index and a label"),
        ({"slices": ["hospital"]}, "no sample has anything in the column 'hospital'"),
        ({"archive": ("m", tmp_path / "r.zip")}, "may not leave this machine"),
    ):
        with pytest.raises(InputError, match=message):
            score_file(mine, None, judge, **bad)


def test_scores_with_failed_verdicts_go_into_no_leaderboard(file, tmp_path):
    """They are printed and written all the same, and the exit says so; what a judge leaves open by itself is no failure."""
    lost = rows(5, bool)
    lost[2] |= {"response": "", "finish_reason": "error", "error": "HTTP 500"}
    places = ["--leaderboard", tmp_path / "board", "--zip", tmp_path / "r.zip", "--out", tmp_path / "s.json"]
    done = medix("score", "--responses", file("lost.jsonl", lost), "--judge", "rules", *places)
    assert done.returncode == 1
    assert_one_clear_line(done, "1 ended with an error, the first is 'q2'", "neither leaderboard nor zip file")
    assert "unscored: {'value': 0.2" in done.stdout
    assert len(read_json(tmp_path / "s.json")["failed"]) == 1
    assert not (tmp_path / "board").exists()
    assert not (tmp_path / "r.zip").exists()
    (tmp_path / "s.json").unlink()
    open_ = rows(5, bool)
    open_[2]["response"] = "<think>t</think> <answer>a thing unheard of</answer>"
    done = medix("score", "--responses", file("open.jsonl", open_), "--judge", "rules", *places)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "s.json")["failed"] == []
    assert read_json(tmp_path / "s.json")["unscored"]["value"] == 0.2
    assert (tmp_path / "board" / "leaderboard.md").exists()


def test_kappa_by_hand():
    assert cohens_kappa(["YES", "NO", "YES", "NO"], ["YES", "NO", "NO", "NO"]) == 0.5
    assert cohens_kappa(["YES"] * 3, ["YES"] * 3) is None


def test_labels_by_people_put_a_judge_right(file):
    """The judge takes every answer for right; people who read 60 of 400 say that a fifth of them are not."""
    mine = file("mine.jsonl", rows(400, lambda i: True))
    labels = [{"id": f"q{i}", "label": i % 5 != 0} for i in range(60)]
    corrected = score_file(mine, None, RULES, labels=file("labels.jsonl", labels))["corrected"]
    assert (corrected["value"], corrected["n"], corrected["labelled"]) == (0.8, 340, 60)
    assert corrected["ci95"][0] > 0.65
    for bad in (
        [{"id": "q1", "label": 1}],
        [{"id": f"q{i}", "label": 4} for i in range(9)],
        [{"id": f"q{i}", "label": "good"} for i in range(9)],
    ):
        with pytest.raises(InputError, match=r"labels\.jsonl: .*each row needs id, sample_index and a label"):
            score_file(mine, None, RULES, labels=file("labels.jsonl", bad))


def test_the_command_scores_slices_and_zips(file, tmp_path):
    mine = file("mine.jsonl", rows(8, lambda i: i < 6, modality="CT_SCAN"))
    command = ["score", "--responses", str(mine), "--judge", "rules", "--slice", "modality", "--zip", str(tmp_path / "r.zip")]
    result = medix(*command, "--model", "my model/1", "--out", str(tmp_path / "s.json"))
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["slices"]["modality"]["CT_SCAN"]["score"]["value"] == 0.75
    with ZipFile(tmp_path / "r.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    folder = "results/my_model_1/my_model_1"
    assert set(texts) == {f"{folder}.jsonl", f"{folder}_eval.jsonl", f"{folder}_score.txt"}
    first, verdict = (json.loads(texts[f"{folder}{end}"].splitlines()[0]) for end in (".jsonl", "_eval.jsonl"))
    assert (first["id"], first["reference"], first["task"], verdict["verdict"]) == ("q0", "left", "sides", "YES")
    assert "sides: 0.75 [" in texts[f"{folder}_score.txt"]
    assert "judge rules-" in texts[f"{folder}_score.txt"]
    assert_one_clear_line(medix(*command), "exists already")


def test_text_that_may_not_be_shared_is_not_zipped(file, tmp_path):
    mine = file("mine.jsonl", [*rows(2, bool), *({**row, "id": f"m{row['id']}"} for row in rows(1, bool, local_only=True))])
    result = medix("score", "--responses", str(mine), "--judge", "rules", "--zip", str(tmp_path / "r.zip"))
    assert_one_clear_line(result, "'mq0' may not leave this machine")
    assert not (tmp_path / "r.zip").exists()


def test_pictures_that_say_nothing(tmp_path):
    samples = [s for s in make_samples(60, "test", 5, tmp_path / "images") if s.images]
    blank, shuffled = (without_sight(samples, how, tmp_path / "blank") for how in ("blank", "shuffled"))
    for sample, grey in zip(samples, blank, strict=True):
        picture = open_image(grey.images[0])
        assert picture.size == open_image(sample.images[0]).size
        assert len(set(picture.getdata())) == 1
        assert grey.model_copy(update={"images": sample.images}) == sample
    assert sorted(s.images[0] for s in shuffled) == sorted(s.images[0] for s in samples)
    alone = {tag for tag, n in Counter(s.modality for s in samples).items() if n == 1}
    assert all((a.images != b.images) == (a.modality not in alone) for a, b in zip(samples, shuffled, strict=True))
    of = {s.images[0]: s.modality for s in samples}
    assert all(of[s.images[0]] == s.modality for s in shuffled)


def test_the_report_shows_failures_first_and_is_no_program():
    """What a question or an answer says is text; and what may not leave this machine is not in it."""
    evil = "<script>alert(1)</script>"
    samples = [Sample(id=str(i), question=evil, reference="left", options=["left", evil], local_only=i == 0) for i in range(4)]
    responses = [parse_response(f"<think>{evil}</think><answer>{said}</answer>") for said in ("right", "left", evil, "no idea")]
    verdicts = [v.model_copy(update={"error": evil}) for v in judge_answers(RULES, samples, [r.answer for r in responses])]
    measured = Measured(samples, responses, verdicts, {}, *(np.zeros(4),) * 3, [], 0.0)
    found = examples(measured)
    assert [one["sample"].id for one in found][-1] == "1"
    assert "0" not in {one["sample"].id for one in found}
    scores = [one["verdict"].score for one in found]
    assert scores == sorted(scores, key=[0, None, 1].index)
    part = {"score": {"value": 0.5, "ci95": [0.4, 0.6], "n": 3}, "gap": {"value": None, "ci95": [None, None], "n": 3}}
    results = {name: dict.fromkeys(METRICS, part["score"]) | {"n": 3} for name in ("base", "trained", "gain")} | {"seconds": {}}
    run = Run(None, load_profile("tiny-cpu"), "phantoms", 0)
    curation = {"counts": {"splits": {}, "rejected": 0, "in": 0}, "licence": "none"}
    environment = {"platform": "", "cores": 2, "python": "", "versions": {}, "commit": None}
    page = {"run": run, "results": results, "curation": curation, "environment": environment, "figures": {}, "extra": {}}
    html = render("report.html.j2", examples=found, slices={"age": {evil: part}}, **page)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 10
    assert "not known" in html
