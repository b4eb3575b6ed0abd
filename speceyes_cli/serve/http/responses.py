"""OpenAI's Responses interface, as far as clients use it to ask about pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from speceyes_cli.host.manager import known_names
from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.requests import ChatQuestion, read_body, read_chat

SAME = ("model", "stream", "temperature", "top_p", "top_logprobs", "user", "metadata", "speceyes")
"""Fields that chat completions have too, and mean the same by."""
READ = (*SAME, "input", "instructions", "max_output_tokens", "include")
IGNORED = frozenset(
    (
        "access_programs",
        "max_tool_calls",
        "moderation",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream_options",
        "truncation",
    )
)
REFUSED: Mapping[str, tuple[Any, ...]] = {
    "background": (False,),
    "background_options": (),
    "context_management": ([],),
    "conversation": (),
    "image": (),
    "previous_response_id": (),
    "prompt": (),
    "text": ({}, {"format": {"type": "text"}}),
    "tool_choice": ("auto", "none"),
    "tools": ([],),
}
"""Fields that would have to change the answer, and the values that ask for nothing."""
LOGPROBS = "message.output_text.logprobs"
TEXTS = ("input_text", "output_text", "text")


def read_response_question(data: bytes) -> ChatQuestion:
    """The question in a request's body; raises `ApiError` naming the first field at fault."""
    body = read_body(data)
    if not isinstance(body, Mapping):
        raise ApiError(400, "The body must be an object.")
    for name, value in body.items():
        _check(name, value)
    try:
        question = read_chat(_as_chat(body))
    except ApiError as error:
        param = error.param.replace("messages", "input") if error.param else None
        told = error.message.replace("messages", "input")
        raise replace(error, message=told, param=param) from None
    if question.overrides.trace:
        told = "speceyes.trace is told by the streams of /v1/chat/completions only."
        raise ApiError(400, told, "speceyes.trace", "unsupported_parameter")
    return question


def _check(name: str, value: Any) -> None:
    if value is None or name in READ or name in IGNORED:
        return
    if name not in REFUSED:
        nearest = known_names(name, [*READ, *IGNORED, *REFUSED]).partition("known: ")[0]
        guess = f"; {nearest.rstrip(' ?')}?" if nearest else "."
        told = f"Unknown field {name[:60]!r}{guess}"
        raise ApiError(400, told, name[:60], "unknown_parameter")
    if name == "text" and isinstance(value, Mapping):
        value = {key: item for key, item in value.items() if key != "verbosity"}
    if not any(value == harmless for harmless in REFUSED[name]):
        told = f"{name!r} is not supported here; /v1/chat/completions may."
        raise ApiError(400, told, name, "unsupported_parameter")


def _as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same request as a chat completion's."""
    chat = {name: body[name] for name in SAME if name in body}
    given = body.get("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise ApiError(400, "input must be a text or a list of messages.", "input", "invalid_value")
    messages = [message for item in given for message in _messages(item)]
    if isinstance(instructions := body.get("instructions"), str):
        messages.insert(0, {"role": "system", "content": instructions})
    include = body.get("include")
    wanted = isinstance(include, list) and LOGPROBS in include
    most = body.get("max_output_tokens")
    return {**chat, "messages": messages, "max_completion_tokens": most, "logprobs": wanted}


def _messages(item: Any) -> Iterator[Any]:
    """An item of the input as messages; thoughts that a client sends back are left out."""
    kind = item.get("type", "message") if isinstance(item, Mapping) else None
    match kind:
        case "message":
            content = item.get("content")
            parts = [_part(part) for part in content] if isinstance(content, list) else content
            yield {"role": item.get("role"), "content": parts}
        case "reasoning":
            return
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            yield {"role": "assistant", "tool_calls": [{"function": function}]}
        case "function_call_output":
            output = item.get("output")
            parts = [_part(part) for part in output] if isinstance(output, list) else output
            yield {"role": "tool", "content": parts}
        case _:
            told = f"An item of the input cannot be of the type {str(kind)[:40]!r}."
            raise ApiError(400, told, "input", "invalid_value")


def _part(part: Any) -> Any:
    """A part of a message in chat completions' form."""
    if not isinstance(part, Mapping):
        return part
    kind = part.get("type")
    hints = {k: part[k] for k in ("cache_control", "prompt_cache_breakpoint") if k in part}
    if kind in TEXTS:
        return {"type": "text", "text": part.get("text"), **hints}
    if kind == "input_image":
        if not isinstance(part.get("image_url"), str):
            told = "A picture is sent as image_url, a data URL; files are not kept here."
            raise ApiError(400, told, "input", "invalid_value")
        return {"type": "image_url", "image_url": part["image_url"], **hints}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal")}
    told = f"A part of a message cannot be of the type {str(kind)[:40]!r}."
    raise ApiError(400, told, "input", "invalid_value")
