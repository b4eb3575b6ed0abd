from __future__ import annotations

import json
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import (
    ChatCompletionContentPartImageParam,
    ChatCompletionContentPartTextParam,
    ChatCompletionStreamOptionsParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion_content_part_image_param import ImageURL
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from speceyes_cli.serve.http.errors import ApiError, error_body
from speceyes_cli.serve.http.fields import IGNORED, PASSED
from speceyes_cli.serve.http.messages import ImagePart, ImageUrl, TextPart, UserMessage
from speceyes_cli.serve.http.passing import reason_to_pass
from speceyes_cli.serve.http.requests import ChatRequest, StreamOptions, read_question

PICTURE = {"type": "image_url", "image_url": {"url": "data:,"}}


def body(**fields: Any) -> bytes:
    content = [PICTURE, {"type": "text", "text": "Why?"}]
    plain = {"model": "m", "messages": [{"role": "user", "content": content}]}
    return json.dumps({**plain, **fields}).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        read_question(data)
    assert refused.value.status == 400
    told = error_body(refused.value)["error"]
    assert told["message"]
    assert "\n" not in told["message"]
    assert json.dumps(told).isprintable()


NAMES = ["messages", "stream", "stream_options", "speceyes", "model", "tools", "max_tokens", "zzz"]


@given(st.sampled_from(NAMES), JSON)
def test_any_field_with_any_value_is_read_or_refused(name: str, value: Any) -> None:
    try:
        told = read_question(body(**{name: value})).text
    except ApiError as error:
        told = f"{error.status} {error.message}"
    assert told == "Why?" or told.startswith("400 ")


@given(st.sampled_from(sorted(IGNORED)), JSON)
def test_fields_that_change_nothing_are_let_pass(name: str, value: Any) -> None:
    question = read_question(body(**{name: value}))
    assert question.addresses == ("data:,",)
    assert reason_to_pass(question, None) is None


@pytest.mark.parametrize("name", PASSED)
def test_fields_that_would_change_the_answer_are_named(name: str) -> None:
    with pytest.raises(ApiError, match=f"'{name}' is not supported"):
        reason_to_pass(read_question(body(**{name: {"odd": 1}})), None)
    for harmless in (None, *PASSED[name]):
        question = read_question(body(**{name: harmless}))
        assert question.text == "Why?"
        assert reason_to_pass(question, None) is None


def test_every_field_of_the_newest_client_is_known() -> None:
    """A field that its next version brings is read, let pass or passed on: it must be decided."""
    sent = {*CompletionCreateParamsBase.__annotations__, "stream"}
    assert sent <= {*ChatRequest.model_fields, *IGNORED, *PASSED}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (ChatCompletionUserMessageParam, UserMessage),
        (ChatCompletionContentPartTextParam, TextPart),
        (ChatCompletionContentPartImageParam, ImagePart),
        (ImageURL, ImageUrl),
        (ChatCompletionStreamOptionsParam, StreamOptions),
    ],
)
def test_every_field_of_the_newest_clients_parts_is_known(written: Any, read: Any) -> None:
    assert set(written.__annotations__) <= set(read.model_fields)


def test_every_detail_of_the_newest_client_is_known() -> None:
    hint = ImageURL.__annotations__["detail"]
    told = getattr(hint, "__forward_arg__", "")
    options = (
        get_args(hint) if get_origin(hint) else [w.strip("\"' ") for w in told[8:-1].split(",")]
    )
    assert "original" in options
    for detail in options:
        read_question(
            body(
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "data:,", "detail": detail}},
                            {"type": "text", "text": "Why?"},
                        ],
                    }
                ]
            )
        )


def test_what_vllms_router_adds_to_every_request_is_let_pass() -> None:
    added = {
        "logprobs": False,
        "no_stop_trim": False,
        "ignore_eos": False,
        "continue_final_message": False,
        "skip_special_tokens": True,
        "separate_reasoning": True,
        "stream_reasoning": True,
        "return_hidden_states": False,
        "include_reasoning": True,
    }
    assert reason_to_pass(read_question(body(**added)), None) is None


def test_an_address_may_stand_as_plain_text() -> None:
    content = [{"type": "image_url", "image_url": "data:,x"}, {"type": "text", "text": "Why?"}]
    question = read_question(body(messages=[{"role": "user", "content": content}]))
    assert question.addresses == ("data:,x",)


def test_hints_for_caches_are_let_pass_wherever_they_stand() -> None:
    hint = {"type": "ephemeral"}
    content = [
        {**PICTURE, "uuid": "1", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "text", "text": "Why?", "cache_control": hint},
    ]
    message = {"role": "user", "content": content, "cache_control": hint}
    assert read_question(body(messages=[message], cache_control=hint)).text == "Why?"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"speceyes": {"treshold": 1}}, "speceyes.treshold"),
        ({"messages": 1}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_logprobs": -1}, "top_logprobs"),
    ],
)
def test_a_fault_is_placed_as_the_client_wrote_it(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_question(body(**fields))
    assert refused.value.param == place
    assert "tagged" not in refused.value.message
