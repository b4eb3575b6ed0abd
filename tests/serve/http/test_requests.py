from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.serve.http.errors import ApiError, error_body
from speceyes_cli.serve.http.requests import IGNORED, REFUSED, read_question

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


@given(
    st.sampled_from(["messages", "stream", "stream_options", "speceyes", "model", "tools", "zzz"]),
    JSON,
)
def test_any_field_with_any_value_is_read_or_refused(name: str, value: Any) -> None:
    try:
        told = read_question(body(**{name: value})).text
    except ApiError as error:
        told = f"{error.status} {error.message}"
    assert told == "Why?" or told.startswith("400 ")


@given(st.sampled_from(sorted(IGNORED)), JSON)
def test_standard_fields_that_change_nothing_are_let_pass(name: str, value: Any) -> None:
    assert read_question(body(**{name: value})).picture == "data:,"


@pytest.mark.parametrize("name", REFUSED)
def test_fields_that_would_change_the_answer_are_named(name: str) -> None:
    with pytest.raises(ApiError, match=f"'{name}' is not supported"):
        read_question(body(**{name: {"odd": 1}}))
    for harmless in (None, *REFUSED[name]):
        assert read_question(body(**{name: harmless})).text == "Why?"
