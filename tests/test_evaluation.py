"""Statistics, scoring of files, and generation that resumes."""

import json

import numpy as np
import pytest

from medix_lite.evaluation.engines import local_engine
from medix_lite.evaluation.files import join_responses, score_file
from medix_lite.evaluation.generate import generate
from medix_lite.evaluation.score import measure, results
from medix_lite.files import InputError, read_jsonl, write_jsonl
from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import BASE
from medix_lite.models.load import load_policy
from medix_lite.responses import parse_response
from medix_lite.samples import Sample
from medix_lite.statistics import bootstrap, paired_difference
from medix_lite.tiny_world.questions import make_samples


@pytest.mark.slow
def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        score = bootstrap(rng.random(150) < 0.7, seed=trial)
        hits += score["ci95"][0] <= 0.7 <= score["ci95"][1]
    assert 0.89 <= hits / 200 <= 0.99


def test_clusters_widen_the_interval():
    values = np.repeat(np.random.default_rng(1).random(40) < 0.5, 10).astype(float)
    clusters = [str(i // 10) for i in range(400)]
    plain, clustered = bootstrap(values), bootstrap(values, clusters)
    width = lambda score: score["ci95"][1] - score["ci95"][0]  # noqa: E731
    assert width(clustered) > 2 * width(plain)
    assert plain["value"] == clustered["value"]


def test_nothing_to_measure_gives_null():
    assert bootstrap([float("nan")]) == {"value": None, "ci95": [None, None], "n": 0}


def test_paired_difference_is_tighter_than_two_means():
    rng = np.random.default_rng(2)
    before = (rng.random(300) < 0.5).astype(float)
    after = np.where(rng.random(300) < 0.9, before, 1.0)
    gain = paired_difference(after, before)
    assert gain["value"] == pytest.approx((after - before).mean(), abs=1e-4)
    assert gain["ci95"][0] > 0


def responses_file(tmp_path, rows):
    path = tmp_path / "responses.jsonl"
    write_jsonl(path, rows)
    return path


def test_score_a_file_made_elsewhere(tmp_path):
    rows = [
        {"id": "a", "response": "<answer>left</answer>", "question": "Which side?", "reference": "left"},
        {
            "id": "b",
            "response": "<think>x</think><answer>right</answer>",
            "question": "Which side?",
            "reference": "left",
        },
        {
            "id": "c",
            "response": "<think>x</think><answer>purple monkey</answer>",
            "question": "What?",
            "reference": "pneumonia",
        },
    ]
    scores = score_file(responses_file(tmp_path, rows), None, make_judge("rules"))
    assert scores["accuracy"]["value"] == 0.5
    assert scores["accuracy"]["n"] == 2
    assert scores["accuracy_unscored_as_wrong"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["unscored"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["format"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["modality"]["value"] is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a"}], "row 1: needs text fields"),
        ([{"id": "a", "response": "x"}], "no sample with id 'a'"),
        ([{"id": "a", "response": "x", "question": "q", "reference": "r"}] * 2, "stands twice"),
        (
            [{"id": "a", "response": "x", "question": "q", "reference": "r", "modality": "XRAY"}],
            "unknown modality 'XRAY'",
        ),
    ],
)
def test_bad_responses_are_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        join_responses(responses_file(tmp_path, rows), None)


@pytest.fixture(scope="module")
def policy():
    return load_policy()


OPTIONS = {"prompt_style": "compact", "image_size": 64, "max_new_tokens": 24}


def test_generation_resumes_after_a_torn_line(tmp_path, policy):
    samples = make_samples(24, "test", 5, tmp_path / "images")
    ask = {"model_name": "tiny", "revision": "x", "copies": 2}

    def engine(load):
        return local_engine(load, temperature=1.0, batch_size=16, **OPTIONS)

    whole = generate(engine(lambda: policy), samples, tmp_path / "whole.jsonl", **ask)
    assert len(whole) == 48
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_bytes(b"".join(lines[:21]) + lines[21][:30])
    resumed = generate(engine(lambda: policy), samples, tmp_path / "torn.jsonl", **ask)
    assert resumed == whole
    keys = [(row["id"], row["sample_index"]) for row in read_jsonl(tmp_path / "torn.jsonl")]
    assert len(keys) == len(set(keys)) == 48

    # Nothing is missing, so nothing is loaded; and another model's answers are never passed off as this one's.
    assert generate(engine(lambda: 1 / 0), samples, tmp_path / "torn.jsonl", **ask) == whole
    before = (tmp_path / "torn.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds responses of another revision"):
        generate(engine(lambda: policy), samples, tmp_path / "torn.jsonl", **(ask | {"revision": "y"}))
    assert (tmp_path / "torn.jsonl").read_bytes() == before


def test_an_unscored_answer_is_neither_right_nor_wrong():
    samples = [Sample(id="a", question="What?", reference="pneumonia")]
    texts = ["<answer>purple monkey</answer>"] + ["<answer>left</answer>"] * 7
    parsed = [parse_response(text, has_image=False) for text in texts]
    judge = make_judge("rules")
    verdicts = judge_answers(judge, samples * 8, [r.answer for r in parsed], BASE)
    assert verdicts[0].verdict == "UNSCORED"
    greedy = (samples, parsed[:1], verdicts[:1])
    measured = measure(greedy, (samples * 8, [parsed[0]] * 8, [verdicts[0]] * 8), 8)
    assert np.isnan(measured.per_question["judged_accuracy"]).all()
    assert np.isnan(measured.per_question["pass_at_8"]).all()
    assert measured.unscored == 1.0


def test_a_policy_is_as_sure_of_an_answer_as_its_samples_agree_with_it():
    samples = [Sample(id=str(i), question="What?", reference="flu") for i in range(2)]
    said = [["Flu.", "flu", "cold", "flu"], ["cold", "flu", None, "flu"]]  # of each question four sampled answers
    texts = ["" if text is None else f"<think>a</think><answer>{text}</answer>" for copies in said for text in copies]
    sampled = [parse_response(text, has_image=False) for text in texts]
    greedy = [parse_response(f"<think>a</think><answer>{text}</answer>", has_image=False) for text in ("flu", "malaria")]

    def stage(asked, parsed):
        return asked, parsed, judge_answers(make_judge("rules"), asked, [r.answer for r in parsed], BASE)

    measured = measure(stage(samples, greedy), stage([s for s in samples for _ in range(4)], sampled), 4)
    assert measured.agreement.tolist() == [0.75, 0.0]


def test_measure_leaves_truth_null_on_real_data():
    samples = [Sample(id=str(i), question="Is it?", reference="yes") for i in range(4)]
    texts = ["<think>a</think><answer>yes</answer>", "<think>a</think><answer>no</answer>", "", "<answer>yes</answer>"]
    parsed = [parse_response(text, has_image=False) for text in texts]
    stage = (samples, parsed, judge_answers(make_judge("rules"), samples, [r.answer for r in parsed], BASE))
    scores = results(measure(stage, stage, 1), measure(stage, stage, 1), {"train": 1.0})
    assert scores["base"]["true_accuracy"] == {"value": None, "ci95": [None, None]}
    assert scores["base"]["judged_accuracy"]["value"] == 0.5
    assert scores["base"]["format"]["value"] == 0.5
    assert scores["gain"]["judged_accuracy"]["value"] == 0.0
    assert set(scores) == {"base", "trained", "gain", "seconds"}
    json.dumps(scores, allow_nan=False)
