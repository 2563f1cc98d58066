"""Responses: any text is read without an error, and a planted answer is found."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medix_lite.modalities import MODALITIES
from medix_lite.responses import Response, build_prompt, parse_response
from medix_lite.samples import Sample

PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<thinking>",
        "</thinking>",
        "<answer>",
        "</answer>",
        "<X_RAY>",
        "<x_ray>",
        "<NOISE>",
        " ",
        "a",
    ]
)
MESS = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)
PLAIN = st.text(st.characters(exclude_characters="<>"), min_size=1).map(str.strip).filter(bool)
MARK = st.sampled_from(["think", "thinking"])


@given(MESS | st.text(st.characters()), st.booleans())
def test_any_text_is_read(text, has_image):
    response = parse_response(text, has_image=has_image)
    assert isinstance(response, Response)
    assert response.modality is None or response.modality in MODALITIES
    assert (response.answer is None) == ("no answer" in response.problems)
    if response.answer is not None:
        assert response.answer in text


@given(st.sampled_from(MODALITIES), MARK, PLAIN, PLAIN)
def test_a_planted_answer_is_found(tag, mark, thinking, answer):
    text = f" <{tag}>\n<{mark}>{thinking}</{mark}> <answer> {answer} </answer>\n"
    assert parse_response(text) == Response(tag, thinking, answer, [])
    text_only = text.replace(f"<{tag}>", "")
    assert parse_response(text_only, has_image=False) == Response(None, thinking, answer, [])


@given(MESS.filter(lambda text: "<" not in text), PLAIN, PLAIN)
def test_a_rehearsed_answer_does_not_count(before, rehearsed, answer):
    first = f"<X_RAY> <think>{before}<answer>{rehearsed}</answer></think> <answer>{answer}</answer>"
    again = f"<X_RAY> <think>a</think><think>b <answer>{rehearsed}</answer></think> <answer>{answer}</answer>"
    reopened = f"<X_RAY> <think>a</think> <think>b <answer>{rehearsed}</answer>"
    assert parse_response(first).answer == answer
    assert parse_response(again).answer == answer
    assert parse_response(reopened).answer is None
    assert "reasoning stands twice" in parse_response(again).problems


@pytest.mark.parametrize(
    ("text", "answer", "problem"),
    [
        ("<think>a</think> <answer>b</answer>", "b", "no modality tag"),
        ("<XRAY> <think>a</think> <answer>b</answer>", "b", "unknown modality tag"),
        ("<x_ray> <think>a</think> <answer>b</answer>", "b", "modality tag not in capitals"),
        ("<X_RAY> <think></think> <answer>b</answer>", "b", "empty reasoning"),
        ("<X_RAY> <think>a <answer>b</answer>", None, "reasoning not closed"),
        ("<X_RAY> a</think> <answer>b</answer>", "b", "reasoning not opened"),
        ("<X_RAY> <answer>b</answer>", "b", "no reasoning"),
        ("<X_RAY> <think>a</think> b", None, "no answer"),
        ("<X_RAY> <think>a</think> <answer> </answer>", "", "empty answer"),
        ("<X_RAY> <think>a</think> <answer>b</answer><answer>c</answer>", "b", "answer stands twice"),
        ("<X_RAY> <think>a</think> so <answer>b</answer>", "b", "text outside the grammar"),
        ("<X_RAY> <think>a</think> <answer>b</answer> bye", "b", "text outside the grammar"),
        ("<X_RAY> well <think>a</think> <answer>b</answer>", "b", "text outside the grammar"),
        ("", None, "no modality tag"),
    ],
)
def test_each_deviation_is_named(text, answer, problem):
    response = parse_response(text)
    assert response.answer == answer
    assert problem in response.problems


def test_short_and_odd_answers_stay_whole():
    for answer in ("B", ".5", "T4:N1", "1:1000", "__", "?", "5 < 6"):
        assert parse_response(f"<CT_SCAN><think>a</think><answer>{answer}</answer>").answer == answer


def test_a_tag_without_an_image_is_named():
    text = "<X_RAY> <think>a</think> <answer>b</answer>"
    assert parse_response(text, has_image=False).problems == ["modality tag without an image"]


@pytest.mark.parametrize("piece", ["<answer>", "</answer>", "<think>", "</think>", "<think></think>", "<", "<A"])
def test_reading_takes_linear_time(piece):
    begin = time.perf_counter()
    parse_response("<X_RAY> <think>a</think> " + piece * 100_000)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("style", ["full", "compact"])
def test_prompts(style):
    question = "Is {this} a <b>mass</b>? 100% {tags}"
    text_only = Sample(id="a", question=question, reference="r", options=["yes", "no {x}"])
    prompt = build_prompt(text_only, style)
    assert question in prompt
    assert "A. yes\nB. no {x}" in prompt
    assert not any(f"<{tag}>" in prompt for tag in MODALITIES)
    prompt = build_prompt(text_only.model_copy(update={"images": ["a.png"]}), style)
    places = [prompt.index(f"<{tag}>") for tag in MODALITIES]
    assert max(places) < prompt.index("<think>") < prompt.index("<answer>") < prompt.index(question)


def test_a_short_prompt_keeps_the_end_of_the_question():
    sample = Sample(id="a", question="Context: " + "long " * 100 + "\nQuestion: Is it?", reference="yes")
    assert build_prompt(sample, max_chars=20).endswith("\nQuestion: Is it?")
    assert build_prompt(sample, max_chars=20).count("long") < 3
    assert sample.question in build_prompt(sample)
