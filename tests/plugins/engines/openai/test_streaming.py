"""Streams put together, whatever pieces their bytes come in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.engines.openai.streaming import Assembly
from speceyes_plugins.engines.server_events import EventReader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TEXTS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6)


def event(body: Any) -> bytes:
    return f"data: {json.dumps(body)}\r\n\r\n".encode()


def delta(**fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


@given(TEXTS, TEXTS, st.lists(st.integers(1, 30)))
def test_a_stream_comes_to_what_it_says_however_it_is_cut(
    thoughts: list[str], texts: list[str], cuts: list[int]
) -> None:
    data = b": a comment\n\n" + delta(role="assistant", content="")
    data += b"".join(delta(reasoning=one) for one in thoughts)
    data += b"".join(delta(content=one) for one in texts)
    end = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": None}
    data += event({"choices": [end]}) + event({"choices": [], "usage": {"prompt_tokens": 3}})
    data += b"data: [DONE]\n\n"
    told: list[str] = []
    whole = Assembly(told.append)
    whole.feed(b"")
    for cut in [*cuts, len(data)]:
        if data:
            whole.feed(data[:cut])
            data = data[cut:]
    [choice] = whole.body["choices"]
    assert choice["message"]["content"] == "".join(texts)
    assert choice["message"]["reasoning"] == "".join(thoughts)
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", None)
    assert whole.body["usage"] == {"prompt_tokens": 3}
    if "".join(thoughts).strip():
        assert told[-1] == f"<think>{''.join(thoughts)}</think>{''.join(texts)}"


def test_a_stream_that_begins_anew_forgets_what_came_before() -> None:
    whole = Assembly()
    for piece in (b"", delta(content="lost") + b"data: {", b"", delta(content="kept")):
        whole.feed(piece)
    assert whole.message["content"] == "kept"


def test_calls_come_in_pieces() -> None:
    whole = Assembly()
    for name, arguments in (("find", ""), (None, '{"a"'), (None, ": 1}")):
        function = {"name": name, "arguments": arguments}
        whole.feed(delta(tool_calls=[{"index": 1, "id": "x", "function": function}]))
    [call] = whole.body["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "find", "arguments": '{"a": 1}'}


@given(st.lists(JSON | st.fixed_dictionaries({"choices": st.lists(JSON)}), max_size=4), st.binary())
def test_any_events_are_read_or_left_out(bodies: list[Any], junk: bytes) -> None:
    whole = Assembly()
    whole.feed(b"".join(map(event, bodies)) + junk + b"\n")
    assert "choices" in whole.body or "error" in whole.body
    EventReader().feed(junk)


def test_a_call_of_an_odd_place_is_kept_or_left_out() -> None:
    whole = Assembly()
    for place in (-1, 10**9, True, "0", None):
        whole.feed(delta(tool_calls=[{"index": place, "function": {"name": "find"}}]))
    assert len(whole.body["choices"][0]["message"]["tool_calls"]) < 100


@given(JSON)
def test_any_delta_is_read_or_left_out(value: Any) -> None:
    whole = Assembly()
    for name in ("content", "tool_calls", "reasoning"):
        whole.feed(delta(**{name: value}))
    assert whole.body["choices"]
