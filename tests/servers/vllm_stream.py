"""A chat completion as vLLM sends it: whole, or in chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

PIECE = 4
"""Characters of a chunk."""


def completion(
    model: str, choice: Mapping[str, Any], usage: Mapping[str, int] | None
) -> dict[str, Any]:
    """The outer form of a chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def chunks(told: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[bytes]:
    """Server-sent events: who speaks, the text in pieces, how it ended, the usage, the end."""
    [choice] = told["choices"]
    message = choice["message"]
    yield _event(told, {"delta": {"role": "assistant", "content": ""}})
    for name in ("reasoning", "content"):
        text = message.get(name) or ""
        for start in range(0, len(text), PIECE):
            yield _event(told, {"delta": {name: text[start : start + PIECE]}})
    for place, call in enumerate(message.get("tool_calls") or ()):
        head = {"index": place, "id": call["id"], "type": "function"}
        function = call["function"]
        named = {**head, "function": {"name": function["name"], "arguments": ""}}
        yield _event(told, {"delta": {"tool_calls": [named]}})
        for start in range(0, len(function["arguments"]), PIECE):
            more = {"arguments": function["arguments"][start : start + PIECE]}
            yield _event(told, {"delta": {"tool_calls": [{"index": place, "function": more}]}})
    ending = {name: choice[name] for name in ("finish_reason", "stop_reason") if name in choice}
    yield _event(told, {"delta": {}, **ending})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _data({**_head(told), "choices": [], "usage": told["usage"]})
    yield b"data: [DONE]\n\n"


def _head(told: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: told[name] for name in ("id", "created", "model")}
    return {**named, "object": "chat.completion.chunk"}


def _event(told: Mapping[str, Any], choice: Mapping[str, Any]) -> bytes:
    whole = {"index": 0, "logprobs": None, "finish_reason": None, **choice}
    return _data({**_head(told), "choices": [whole]})


def _data(body: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()
