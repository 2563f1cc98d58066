"""The tiny judge behind a real vLLM server: structured output holds a reply to the choices, exactly."""

import pytest
from openai import OpenAI

pytestmark = pytest.mark.slow


def replies(url: str, choices: list[str], n: int) -> list[str | None]:
    """n replies to n questions, sampled at temperature 1 so that only the choices hold them."""
    client = OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)
    return [
        client.chat.completions.create(
            model="judge",
            messages=[{"role": "user", "content": f"Question {i}: same finding? heart attack, myocardial infarction"}],
            max_tokens=16,
            temperature=1.0,
            seed=i,
            extra_body={"structured_outputs": {"choice": choices}},
        )
        .choices[0]
        .message.content
        for i in range(n)
    ]


def test_judge_is_served_by_name(vllm_judge_url: str) -> None:
    client = OpenAI(base_url=vllm_judge_url, api_key="none", max_retries=0, timeout=60)
    assert [model.id for model in client.models.list()] == ["judge"]


# The last pair no judge would say unasked: it shows that the choices do the work, not the training.
@pytest.mark.parametrize("choices", [["YES", "NO"], list("012345"), ["left kidney", "right kidney"]])
def test_structured_output_gives_exactly_a_choice(vllm_judge_url: str, choices: list[str]) -> None:
    assert set(replies(vllm_judge_url, choices, n=16)) <= set(choices)
