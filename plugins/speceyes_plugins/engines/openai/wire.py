"""Asks as chat-completion requests, and what a server's errors say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from speceyes_cli.plugin import (
    Ask,
    Message,
    Picture,
    hide_userinfo,
    one_line,
    without_tags,
    writable,
)
from speceyes_plugins.engines.openai.client import SHOWN, EndpointError, words_of
from speceyes_plugins.engines.openai.tools import IN_SYSTEM, ToolForm, in_form, tool_fields

GREEDY: Mapping[str, Any] = {"temperature": 0, "repetition_penalty": 1.0, "top_k": 0}
"""vLLM applies the checkpoint's own sampling settings to whatever is not said."""
MOST_TOKENS = 2**31 - 1
"""Beyond any context; a larger count is no count."""
SPECIAL = re.compile(
    r"<\|[A-Za-z0-9_]+\|>|<\uff5c[^<>]+\uff5c>|</?s>|<(?:start|end)_of_(?:turn|image)>"
    r"|<(?:image|video|IMG_CONTEXT|image_soft_token)>"
)
"""Control tokens and picture placeholders of the families that are served: Qwen, Llama, DeepSeek,
Gemma, InternVL. The server's own tokenizer is not at hand."""


def write_ask(
    ask: Ask, model: str, show: Callable[[Picture], str], form: ToolForm = IN_SYSTEM
) -> dict[str, Any]:
    """The request's body; `show` gives the URL of each picture, `form` is that of tools."""
    messages = in_form(ask.messages, ask.tools, form)
    body: dict[str, Any] = {
        "model": model,
        "messages": [write_message(message, show) for message in messages],
        "max_tokens": ask.max_new_tokens,
        **GREEDY,
        **tool_fields(ask.tools, form),
    }
    if ask.stop:
        body |= {
            "stop": list(ask.stop),
            "include_stop_str_in_output": True,  # vLLM's word for it
            "no_stop_trim": True,  # SGLang's
        }
    if ask.gate is not None:
        body |= {"logprobs": True, "top_logprobs": ask.gate.top_k}
    if ask.continue_turn:
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    return body


def write_message(message: Message, show: Callable[[Picture], str]) -> dict[str, Any]:
    """One chat turn; text alone goes as a string, which every server takes."""
    turn: dict[str, Any] = {"role": message.role}
    if all(isinstance(part, str) for part in message.content):
        text = plain("".join(part for part in message.content if isinstance(part, str)))
        turn["content"] = text or (None if message.calls else "")
    else:
        turn["content"] = [_part(part, show) for part in message.content]
    if message.calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    return turn


def plain(text: str) -> str:
    """The text without control tokens: a question must not be able to open a turn of its own."""
    return without_tags(text, lambda tag: SPECIAL.fullmatch(tag) is not None)


class StoppedText(NamedTuple):
    """A reply's text, its stop text included."""

    text: str
    at_stop: bool
    """It ended at a stop text, not at the end of sequence."""


def with_stop(text: str, stops: tuple[str, ...], choice: Mapping[str, Any]) -> StoppedText:
    """The text up to and including its stop text, which some servers cut off.

    vLLM and SGLang tell which it was. llama.cpp, Ollama and OpenAI do not: there it is the closing
    tag of what the text has opened last and not closed.
    """
    found = [text.index(stop) + len(stop) for stop in stops if stop in text]
    if found:
        return StoppedText(text[: min(found)], at_stop=True)
    told = [choice[name] for name in ("stop_reason", "matched_stop") if name in choice]
    cut = next((reason for reason in told if reason in stops), "")
    if not told and choice.get("finish_reason") == "stop":
        cut = _closing(text, stops)
    return StoppedText(text + cut, at_stop=bool(cut) or any(isinstance(one, str) for one in told))


def _closing(text: str, stops: tuple[str, ...]) -> str:
    """The closing tag among the stop texts whose opening tag stands last; empty: none is open."""
    opened = [(text.rfind(stop.replace("</", "<", 1)), stop) for stop in stops if "</" in stop]
    place, stop = max(opened, default=(-1, ""))
    return stop if place >= 0 else ""


def first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first choice of a chat completion, its message's content a text or null.

    Raises `EndpointError` for JSON of any other form, and for an error in the place of an answer: a
    stream that has begun can tell it no other way.
    """
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    content = message.get("content", "") if isinstance(message, Mapping) else 0
    if isinstance(choice, Mapping) and isinstance(content, str | None):
        return choice
    if said := words_of(body.get("error")):
        raise EndpointError(f"it answered with an error: {one_line(hide_userinfo(said), SHOWN)}")
    raise EndpointError("it answered with JSON that is no chat completion")


def piece(token: bytes) -> str:
    """A token's text as records keep it; control tokens, which no text shows, have none."""
    text = writable(token.decode("utf-8", "replace"))
    return "" if SPECIAL.fullmatch(text) else text


def read_count(value: Any) -> int | None:
    """A count of tokens; None for what is none."""
    counts = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if counts else None


def _part(part: str | Picture, show: Callable[[Picture], str]) -> dict[str, Any]:
    if isinstance(part, Picture):
        return {"type": "image_url", "image_url": {"url": show(part)}}
    return {"type": "text", "text": plain(part)}
