"""Streams that speak while the agent works."""

from __future__ import annotations

import base64
import io
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_datasets.needle.plugin import make_sample

from speceyes_cli.core.methods.thinking import split_thoughts
from speceyes_cli.core.samples import question_text
from speceyes_cli.serve.http import streams
from tests.serve.conftest import Serve, Served, ask, data_url, eventually, metric
from tests.serve.http.test_conversations import create, said


def needle(seed: int = 0) -> dict[str, Any]:
    """A question of the benchmark that the embedded pair was trained beside."""
    sample = make_sample("direct_attributes", seed)
    out = io.BytesIO()
    sample.picture.open().save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    return ask(question_text(sample).removeprefix("Question: "), url)


def events(served: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    with httpx.stream(
        "POST", f"{served.url}/v1/chat/completions", json={**body, "stream": True}, timeout=60
    ) as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def delta_text(told: list[dict[str, Any]], name: str) -> str:
    return "".join(one["choices"][0]["delta"].get(name) or "" for one in told if one["choices"])


@pytest.mark.parametrize("text", ["dot 1", "dot 2"], ids=["a draft", "a fallback"])
def test_no_proxy_is_to_hold_a_stream_back(serve: Serve, text: str) -> None:
    """nginx fills a buffer first unless the answer says otherwise."""
    url = f"{serve().url}/v1/chat/completions"
    for stream in (True, False):
        told = httpx.post(url, json={**ask(text), "stream": stream}, timeout=30).headers
        assert (told.get("x-accel-buffering") == "no") is stream
        assert (told.get("cache-control") == "no-cache") is stream


def test_the_agents_turns_are_streamed_and_its_crops_are_notes(serve: Serve) -> None:
    told = events(serve(), ask("dot 2"))
    steps = [one["speceyes"]["step"] for one in told if "step" in one.get("speceyes", {})]
    assert steps == ["screen", "draft", "tool"]
    [tool] = [one["speceyes"] for one in told if one.get("speceyes", {}).get("step") == "tool"]
    assert tool["tool"] == "look"
    assert tool["pictures"] == ["crop of picture"]
    thoughts = delta_text(told, "reasoning_content")
    assert "LOOK 16 16 48 48" in thoughts
    assert "[look: crop of picture]" in thoughts
    assert "ANSWER" not in thoughts
    assert delta_text(told, "content") == "blue"
    assert told[-1]["speceyes"]["route"] == "large"
    assert told[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


def test_an_accepted_draft_comes_in_one_piece(serve: Serve) -> None:
    told = events(serve(), ask("dot 1"))
    contents = [one for one in told if one["choices"][0]["delta"].get("content")]
    assert len(contents) == 1
    assert not delta_text(told, "reasoning_content")


def test_a_real_agent_thinks_aloud_before_it_answers(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes", method="baseline")
    body = needle()
    whole = httpx.post(f"{served.url}/v1/chat/completions", json=body, timeout=60).json()
    told = events(served, body)
    kinds = [
        "thought" if one["choices"][0]["delta"].get("reasoning_content") else "other"
        for one in told
        if one["choices"]
    ]
    assert kinds.count("thought") > 4  # in pieces
    assert delta_text(told, "content") == whole["choices"][0]["message"]["content"]
    thoughts = delta_text(told, "reasoning_content")
    assert thoughts.startswith("I see ")
    assert "[image_zoom_in_tool: crop 1 (" in thoughts
    assert "<" not in thoughts


def test_words_alone_are_streamed_to_the_same_answer(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes")
    body = {"model": "speceyes", "messages": [said("user", "What colour is it?")], "max_tokens": 40}
    whole = create(served, *body["messages"], max_tokens=40).choices[0].message.content
    told = events(served, body)
    assert delta_text(told, "content") == whole


def test_the_first_event_comes_long_before_the_answer(serve: Serve) -> None:
    served = serve("scripted?delay=0.3", screen="none")
    began, seen = time.monotonic(), []
    with httpx.stream(
        "POST",
        f"{served.url}/v1/chat/completions",
        json={**ask("dot 2"), "stream": True},
        timeout=60,
    ) as answer:
        assert answer.headers["x-speceyes-route"] == "large"
        assert float(answer.headers["x-speceyes-confidence"]) < 0.98
        seen += [time.monotonic() - began for line in answer.iter_lines() if line]
    assert seen[0] < seen[-1] - 0.3  # a draft, then two turns


def test_a_heartbeat_between_the_steps(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    served = serve("scripted?delay=0.3")
    text = httpx.post(
        f"{served.url}/v1/chat/completions", json={**ask("dot 0"), "stream": True}, timeout=60
    ).text
    after = text.partition('"step": "screen"')[2]
    assert ": at work\n\n" in after


@pytest.mark.parametrize("question", ["dot 0", "dot 1", "dot 2"])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.25, 0.4])
def test_a_client_may_leave_at_any_point(serve: Serve, question: str, seconds: float) -> None:
    served = serve("scripted?delay=0.15")
    place = urlsplit(served.url)
    body = json.dumps({**ask(question), "stream": True}).encode()
    with socket.create_connection((str(place.hostname), int(place.port or 0))) as one:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
        one.sendall(f"{head}\r\n".encode() + body)
        time.sleep(seconds)
    assert eventually(lambda: served.queue.live == 0 and served.queue.waiting == 0)
    assert httpx.get(f"{served.url}/readyz", timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_a_client_that_leaves_its_stream_is_counted(serve: Serve, path: str) -> None:
    served = serve("scripted?delay=0.3", screen="none")
    body = {**ask("dot 2"), "stream": True}
    if path == "responses":
        shown = {"type": "input_image", "image_url": data_url()}
        content = [shown, {"type": "input_text", "text": "dot 2"}]
        body = {
            "model": "speceyes",
            "stream": True,
            "input": [{"role": "user", "content": content}],
        }
    with httpx.stream("POST", f"{served.url}/v1/{path}", json=body, timeout=60) as answer:
        next(answer.iter_lines())
    assert eventually(lambda: served.queue.live == 0)
    told = httpx.get(f"{served.url}/metrics", timeout=60).text
    assert metric(told, "speceyes_cancelled_total") == 1
    assert 'speceyes_answers_total{route="large"}' not in told


def test_a_client_that_reads_its_stream_to_the_end_has_not_left(serve: Serve) -> None:
    served = serve()
    for number in range(3):
        assert events(served, ask(f"dot {number}"))
    told = httpx.get(f"{served.url}/metrics", timeout=60).text
    assert metric(told, "speceyes_cancelled_total") == 0


def test_a_client_that_stops_reading_holds_no_place(serve: Serve) -> None:
    served = serve("scripted?delay=0.05")
    place = urlsplit(served.url)
    body = json.dumps({**ask("dot 2"), "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        one.connect((str(place.hostname), int(place.port or 0)))
        one.sendall(f"{head}\r\n".encode() + body)
        assert eventually(lambda: served.queue.live == 1)
        assert eventually(lambda: served.queue.live == 0)
        assert httpx.get(f"{served.url}/readyz", timeout=30).status_code == 200
        assert delta_text(events(served, ask("dot 1")), "content") == "green"


PIECES = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<tool_call>", "</tool_call>", "<code>", "</code>", "<answer>", "<"]
    )
    | st.text("ab <>/", max_size=4),
    max_size=8,
).map("".join)


@given(PIECES)
def test_thoughts_only_ever_grow_with_their_text(text: str) -> None:
    before = ""
    for end in range(len(text) + 1):
        inside, _ = split_thoughts(text[:end])
        assert inside.startswith(before)
        before = inside


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("<think>a</think>b", "a\n", "b"),
        ("a</think>b", "a\n", "b"),
        ("<think>a", "a", ""),
        ("<think>a</thi", "a", ""),
        ("<think>a < b", "a < b", ""),
        ("<think>a</think><tool_call>{}</tool_call>", "a\n{}\n", ""),
        ("<think>a <code> b</think>c", "a <code> b\n", "c"),
        ("<answer>x</answer>", "", "<answer>x</answer>"),
    ],
)
def test_thoughts_and_calls_are_told_from_the_rest(text: str, inside: str, outside: str) -> None:
    assert split_thoughts(text) == (inside, outside)
