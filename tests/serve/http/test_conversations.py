"""Histories, several pictures and words alone, by the real client."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.serve.conftest import Serve, Served, data_url
from tests.serve.http.test_endpoint import post


def shown(*parts: str) -> list[dict[str, Any]]:
    """A content of words and data URLs."""
    return [
        {"type": "image_url", "image_url": {"url": part}}
        if part.startswith("data:")
        else {"type": "text", "text": part}
        for part in parts
    ]


def said(role: str, *parts: str) -> dict[str, Any]:
    return {"role": role, "content": shown(*parts)}


def create(served: Served, *messages: dict[str, Any], **options: Any) -> Any:
    with served.client() as client:
        return client.chat.completions.create(model="speceyes", messages=messages, **options)


def test_the_question_is_the_last_user_turn_and_earlier_pictures_stay_in_sight(
    serve: Serve,
) -> None:
    served = serve()
    answer = create(
        served,
        said("user", data_url(colour="red"), "What colour is dot 3?"),
        {"role": "assistant", "content": "red"},
        said("user", "And now?"),
    )
    # The number stands in the history alone: screen, draft and agent have all read it.
    assert answer.model_extra["speceyes"]["route"] == "large"
    assert answer.choices[0].message.content == "yellow"


def test_a_history_may_begin_with_the_assistant_and_hold_tool_turns(serve: Serve) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    answer = create(
        serve(),
        {"role": "assistant", "content": "Hello! Show me a picture."},
        said("user", data_url(), "Look."),
        said("user", "Look well."),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "it is about dot 1"},
        {"role": "assistant", "content": "I found it.", "annotations": [], "refusal": None},
        said("user", "What colour is it?"),
    )
    assert answer.choices[0].message.content == "green"


def test_several_pictures_in_a_turn(serve: Serve) -> None:
    pictures = [data_url(colour=colour) for colour in ("red", "green", "blue")]
    answer = create(
        serve(), said("user", "First", pictures[0], "second", pictures[1], pictures[2], "dot 2?")
    )
    assert answer.choices[0].message.content == "blue"


@pytest.mark.parametrize(("words", "route"), [("large", "large"), ("small", "small")])
def test_words_alone_are_answered_by_whom_the_operator_says(
    serve: Serve, words: str, route: str
) -> None:
    served = serve(words=words)
    answer = create(served, {"role": "user", "content": "hi, dot 1"})
    decision = answer.model_extra["speceyes"]
    assert decision["route"] == route
    assert decision["passed_screen"] is None
    assert (decision["confidence"] is None) is (words == "large")
    assert decision["saved"] is None


def test_a_draft_of_words_alone_is_gated(serve: Serve) -> None:
    answer = create(serve(words="small"), {"role": "user", "content": "hi, dot 2"})
    assert answer.model_extra["speceyes"]["route"] == "large"
    assert answer.model_extra["speceyes"]["confidence"] < 0.98


def test_a_connection_test_passes(serve: Serve) -> None:
    with serve("embedded", agent="deepeyes").client() as client:
        model = next(iter(client.models.list())).id
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=8
        )
    assert isinstance(answer.choices[0].message.content, str)
    assert answer.usage
    assert answer.usage.prompt_tokens > 0


@pytest.mark.parametrize(
    ("messages", "told", "place"),
    [
        ([], "at least 1 item", "messages"),
        ([{"role": "oracle", "content": "x"}], "there is no role 'oracle'", "messages[0].role"),
        ([{"content": "x"}], "the role is missing", "messages[0].role"),
        ([{"role": "user"}], "Field required", "messages[0].content"),
        ([said("user", "")], "There is no question", "messages"),
        ([{"role": "system", "content": "Be brief."}], "There is no question", "messages"),
        (
            [said("user", data_url(), "a"), {"role": "assistant", "content": "b"}],
            "the last message is the user's",
            "messages[1]",
        ),
        (
            [said("assistant", "b", data_url()), said("user", "a")],
            "assistant's messages cannot hold pictures",
            "messages[0].content[1]",
        ),
        (
            [said("system", data_url()), said("user", "a")],
            "system's messages cannot hold pictures",
            "messages[0].content[0]",
        ),
        ([said("user", *[data_url()] * 200, "a")], "has 200 pictures; 32 at most", "messages"),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}],
            "words and pictures are read here",
            "messages[0].content[0]",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": 1}]}],
            "valid string",
            "messages[0].content[0].text",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "Field required",
            "messages[0].content[0].image_url.url",
        ),
        (
            [{"role": "user", "content": "x", "cache_kontrol": 1}],
            "Unknown field",
            "messages[0].cache_kontrol",
        ),
    ],
)
def test_a_conversation_that_is_none_is_told_by_its_place(
    serve: Serve, messages: list[Any], told: str, place: str
) -> None:
    refused = post(serve(), {"model": "speceyes", "messages": messages})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert told in error["message"]
    assert error["param"] == place


def test_a_conversation_longer_than_the_context_has_its_own_sentence(serve: Serve) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        create(
            serve("embedded", agent="deepeyes"),
            said("user", data_url(), "What is this?"),
            {"role": "assistant", "content": "a disc " * 5_000},
            said("user", "And now?"),
        )
    assert refused.value.code == "context_length_exceeded"
    assert "reads 4,096 at most" in str(refused.value)


def test_most_tokens_are_kept(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes")
    asked = said("user", data_url((1024, 1024)), "What colour is the dot on the black disc?")
    for most in (1, 3, 20):
        answer = create(served, asked, max_tokens=most, extra_body={"speceyes": {"threshold": 1}})
        agent = answer.model_extra["speceyes"]["usage"]["large"]["completion_tokens"]
        assert agent <= most + 10  # the screen's
        assert answer.choices[0].finish_reason in ("length", "stop")
