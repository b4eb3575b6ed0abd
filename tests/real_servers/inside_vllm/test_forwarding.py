"""Requests as clients write them, answered by vLLM's own chat server in this process."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from speceyes_plugins.engines.vllm.engine import VLLMEngine
from speceyes_plugins.engines.vllm.loading import load
from speceyes_plugins.engines.vllm.models import OPTIONS

from speceyes_cli.core.chat import Ask, ForwardingError, Message, Picture
from speceyes_cli.plugin import EngineOptions

TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def engine() -> Iterator[VLLMEngine]:
    values = {one.name: one.default for one in OPTIONS}
    made = load(EngineOptions("vllm:embedded", "large", concurrency=8, options=values))
    yield made
    made.close()


def body(**fields: Any) -> dict[str, Any]:
    out = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    content = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "What colour is it?"},
    ]
    messages = [{"role": "user", "content": content}]
    return {"model": "any", "messages": messages, "max_tokens": 12, **fields}


def forwarded(engine: VLLMEngine, **fields: Any) -> list[Any]:
    told: list[Any] = []
    engine.forward(body(**fields), told.append).result(200)
    return told


def test_several_answers_are_sampled(engine: VLLMEngine) -> None:
    [told] = forwarded(engine, n=2, temperature=0.8, seed=1)
    assert len(told["choices"]) == 2
    assert told["usage"]["prompt_tokens"] > 0


def test_stop_texts_biases_formats_and_tools_are_kept(engine: VLLMEngine) -> None:
    [plain] = forwarded(engine)
    text = plain["choices"][0]["message"]["content"]
    [stopped] = forwarded(engine, stop=[text[3:6]])
    assert stopped["choices"][0]["message"]["content"] == text[:3]
    [formed] = forwarded(engine, response_format={"type": "json_object"})
    assert formed["choices"][0]["message"]["content"].startswith("{")
    [told] = forwarded(engine, tools=[TOOL])
    assert told["usage"]["prompt_tokens"] >= plain["usage"]["prompt_tokens"]


def test_a_stream_comes_to_the_same(engine: VLLMEngine) -> None:
    [whole] = forwarded(engine)
    chunks = forwarded(engine, stream=True)
    deltas = [one["choices"][0]["delta"].get("content") or "" for one in chunks]
    assert "".join(deltas) == whole["choices"][0]["message"]["content"]
    assert len(chunks) > 3


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"n": -1}, "n must be"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [{"role": "user", "content": "x " * 9_000}]}, "maximum context length"),
    ],
)
def test_what_it_refuses_is_told(engine: VLLMEngine, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ForwardingError, match=told) as refused:
        forwarded(engine, **fields)
    assert refused.value.status == 400


def test_a_client_that_leaves_frees_its_place_and_asks_go_on_beside(engine: VLLMEngine) -> None:
    told: list[Any] = []
    asked = body(stream=True, max_tokens=2000, ignore_eos=True)
    future = engine.forward(asked, told.append)
    end = time.monotonic() + 60
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    seen: list[str] = []
    shown = Picture("p", lambda: Image.new("RGB", (200, 200), "red"))
    ask = Ask("large", (Message("user", (shown, "hi")),), 8, watch=seen.append)
    [reply] = engine.generate([ask])
    assert not isinstance(reply, Exception)
    assert seen[-1] == reply.text
    assert reply.prompt_tokens
    future.cancel()
    while engine._thread._running and time.monotonic() < end:
        time.sleep(0.01)
    assert not engine._thread._running
