"""How an endpoint is told of tools, and how calls and their results travel.

Servers differ. OpenAI, and vLLM or SGLang started with a parser for the model's calls, take `tools`
and give calls apart. vLLM without a parser refuses them (400, "--enable-auto-tool-choice") unless
`tool_choice` is "none": then its template tells of them, and calls come in the text. Others take no
tools, or drop them: they are told in the system turn. Some take a picture in a tool's message, some
refuse or drop it there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal, NamedTuple

from PIL import Image

from speceyes_cli.plugin import Message, Picture, Tool, ToolCall
from speceyes_plugins.engines.openai.client import EndpointError
from speceyes_plugins.engines.tool_texts import results_turn, spell_out

Telling = Literal["calls", "text", "system"]
"""`tools` with calls apart, `tools` with calls in the text, or tools in the system turn."""
CountPrompt = Callable[[Mapping[str, Any]], int | None]
"""Asks with these fields for one token; gives the tokens of the prompt, where they are told."""

TAKES_NONE = (400, 404, 405, 422, 500, 501)
"""Statuses with which servers refuse tools; llama.cpp has 500."""
MARKED = Tool(
    "look_closer",
    "Show a part of the picture in more detail.",
    {"type": "object", "properties": {"part": {"type": "string"}}, "required": ["part"]},
)
CALL = ToolCall(MARKED.name, '{"part": "the sky"}', "call_1")
QUESTION = Message("user", ("Is the sky blue?",))
SIDE = 448
MARKS = 2
"""Tokens that may stand around a picture, and stay where it is left out."""
FOLLOWS = "The picture follows."


class ToolForm(NamedTuple):
    """What one endpoint takes."""

    telling: Telling
    pictures: bool
    """A tool's message may hold pictures."""

    @property
    def sentence(self) -> str:
        """It in a few words."""
        told = {
            "calls": "tools by its own interface",
            "text": "tools by its chat template, calls in the text",
            "system": "tools in the system turn",
        }[self.telling]
        if self.telling != "calls" or self.pictures:
            return told
        return f"{told}, their pictures in a turn of the user"


IN_SYSTEM = ToolForm("system", pictures=False)


def find_form(ask: CountPrompt, write: Callable[[Message], dict[str, Any]]) -> ToolForm:
    """Try the forms from the best on; `write` gives a message as requests carry it.

    Raises `EndpointError` for what has nothing to do with tools.
    """
    plain = ask({"messages": [write(QUESTION)]})
    tools = {"messages": [write(QUESTION)], "tools": [MARKED.as_json()]}
    if _adds(ask, tools, plain):
        return ToolForm("calls", _takes_picture(ask, write))
    if _adds(ask, {**tools, "tool_choice": "none"}, plain):
        return ToolForm("text", pictures=False)
    return IN_SYSTEM


def _adds(ask: CountPrompt, fields: Mapping[str, Any], without: int | None, marks: int = 0) -> bool:
    """Whether the request is taken, and its prompt longer than the one without and the marks."""
    try:
        found = ask(fields)
    except EndpointError as error:
        if error.status in TAKES_NONE:
            return False
        raise
    return found is None or without is None or found > without + marks


def _takes_picture(ask: CountPrompt, write: Callable[[Message], dict[str, Any]]) -> bool:
    """Whether a tool's message with a picture is taken, and the picture is seen."""
    called = [QUESTION, Message("assistant", (), (CALL,))]
    gray = Picture("gray", lambda: Image.new("RGB", (SIDE, SIDE), "gray"))
    prompts = []
    for content in ((FOLLOWS,), (FOLLOWS, gray)):
        messages = [*called, Message("tool", content, call_id=CALL.id)]
        prompts.append([write(message) for message in messages])
    words, shown = ({"messages": one, "tools": [MARKED.as_json()]} for one in prompts)
    try:
        plain = ask(words)
    except EndpointError as error:
        if error.status in TAKES_NONE:
            return False
        raise
    return _adds(ask, shown, plain, MARKS)


def tool_fields(tools: Sequence[Tool], form: ToolForm) -> dict[str, Any]:
    """What a request says of the tools beside its messages."""
    if not tools or form.telling == "system":
        return {}
    told: dict[str, Any] = {"tools": [tool.as_json() for tool in tools]}
    return told if form.telling == "calls" else {**told, "tool_choice": "none"}


def in_form(
    messages: Sequence[Message], tools: Sequence[Tool], form: ToolForm
) -> tuple[Message, ...]:
    """The conversation as the endpoint takes it.

    A result whose call stands in the text is a turn of the user: an endpoint knows no such call.
    """
    if form.telling == "system":
        return spell_out(messages, tools)
    return tuple(_with_results(messages, form))


def _with_results(messages: Sequence[Message], form: ToolForm) -> Iterator[Message]:
    for is_result, group in groupby(messages, lambda one: one.role == "tool"):
        turns = list(group)
        if not is_result:
            yield from turns
        elif not all(one.call_id for one in turns):
            yield results_turn(turns)
        elif form.pictures:
            yield from turns
        else:
            yield from _pictures_after(turns)


def _pictures_after(results: Sequence[Message]) -> Iterator[Message]:
    """The results' texts, then one turn of the user with all of their pictures."""
    pictures: list[Picture] = []
    for one in results:
        texts = [part for part in one.content if isinstance(part, str)]
        shown = [part for part in one.content if isinstance(part, Picture)]
        pictures += shown
        yield replace(one, content=(*texts, FOLLOWS) if shown else tuple(texts))
    if pictures:
        yield Message("user", tuple(pictures))


def read_calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of an answering message; raises `EndpointError` for any other form of them."""
    given = message.get("tool_calls") or []
    if not isinstance(given, list):
        raise EndpointError("it gave tool calls in an unknown form")
    return tuple(_read_call(one, place) for place, one in enumerate(given))


def _read_call(given: Any, place: int) -> ToolCall:
    function = given.get("function") if isinstance(given, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not isinstance(function, Mapping):
        raise EndpointError("it gave a tool call without a name")
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
    known = given.get("id")
    return ToolCall(name, arguments, known if isinstance(known, str) and known else f"call_{place}")
