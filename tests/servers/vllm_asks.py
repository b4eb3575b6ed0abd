"""Requests as the local engine takes them, and calls taken out of a text as vLLM's parser does."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image
from vllm_behaviour import Behaviour

from speceyes_cli.core.chat import Ask, Message, Picture, Tool, ToolCall

CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


def read_ask(body: Mapping[str, Any], does: Behaviour) -> Ask:
    """The request as the local engine takes it."""
    going_on = does.continues and bool(body.get("continue_final_message"))
    messages = [read_message(message, does) for message in body["messages"]]
    if does.drops:
        messages = [without_pictures(one) if one.role == "assistant" else one for one in messages]
    return Ask(
        role="small",
        messages=tuple(messages),
        tools=tools_of(body, does),
        max_new_tokens=body["max_tokens"],
        stop=tuple(body.get("stop", ())),
        continue_turn=going_on,
    )


def without_pictures(message: Message) -> Message:
    """The turn's texts alone."""
    return replace(message, content=tuple(p for p in message.content if isinstance(p, str)))


def read_message(message: Mapping[str, Any], does: Behaviour) -> Message:
    """One turn."""
    content = message["content"] or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    shown, call = tuple(read_part(part) for part in parts), message.get("tool_call_id", "")
    told = Message(message["role"], shown, calls_of(message), call)
    drops = told.role == "tool" and does.tool_pictures == "dropped"
    return without_pictures(told) if drops else told


def read_part(part: str | Mapping[str, Any]) -> str | Picture:
    """Text, or the picture of a data URL."""
    if isinstance(part, str):
        return part
    if part["type"] == "text":
        return str(part["text"])
    data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return Picture("sent", lambda: Image.open(io.BytesIO(data)))


def tools_of(body: Mapping[str, Any], does: Behaviour) -> tuple[Tool, ...]:
    """The tools of a request that the server's template tells of."""
    told = body.get("tools", ()) if does.tools in ("calls", "text") else ()
    return tuple(Tool(**tool["function"]) for tool in told)


def calls_of(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of an assistant's turn."""
    return tuple(
        ToolCall(call["function"]["name"], call["function"]["arguments"], call["id"])
        for call in message.get("tool_calls") or ()
    )


def uses_tools(body: Mapping[str, Any]) -> bool:
    """Whether a request to a model of more than one token may end in a call."""
    return body["max_tokens"] > 1


def take_calls(choice: dict[str, Any]) -> None:
    """Take the calls out of the text, as a parser for Hermes' form does."""
    message = choice["message"]
    found = CALL.findall(message["content"] or "")
    if not found:
        return
    calls = [json.loads(call) for call in found]
    message["content"] = message["content"].partition("<tool_call>")[0].strip() or None
    message["tool_calls"] = [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for place, call in enumerate(calls)
    ]
    choice["finish_reason"] = "tool_calls"
