"""Tools, calls and results as plain chat turns, for what has no form of its own for them.

The form is the one of Hermes that Qwen2.5 and Qwen3 were trained on, word for word as their chat
templates write it (Qwen3-VL's `chat_template.jinja`): a model that knows it reads what it knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from speceyes_cli.plugin import Message, Picture, Tool, ToolCall

BEFORE_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
AFTER_TOOLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def spell_out(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The conversation with its tools in the system turn, its calls and results in tags."""
    turns = [_with_calls(message) for message in messages]
    if tools:
        system = turns.pop(0).content if turns and turns[0].role == "system" else ()
        told = tools_text(tools)
        turns.insert(0, Message("system", (*system, f"\n\n{told}" if system else told)))
    spelled: list[Message] = []
    for is_result, group in groupby(turns, lambda turn: turn.role == "tool"):
        same = list(group)
        spelled += [results_turn(same)] if is_result else same
    return tuple(spelled)


def tools_text(tools: Sequence[Tool]) -> str:
    """What a system turn says of the tools."""
    told = (f"\n{json.dumps(tool.as_json(), ensure_ascii=False)}" for tool in tools)
    return f"{BEFORE_TOOLS}{''.join(told)}{AFTER_TOOLS}"


def call_text(call: ToolCall) -> str:
    """A call in its tags."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'<tool_call>\n{{"name": {name}, "arguments": {call.arguments}}}\n</tool_call>'


def results_turn(results: Sequence[Message]) -> Message:
    """The user turn that shows what the calls of one turn came to."""
    content: list[str | Picture] = []
    for place, result in enumerate(results):
        opening = "\n<tool_response>\n" if place else "<tool_response>\n"
        content += [opening, *result.content, "\n</tool_response>"]
    return Message("user", tuple(content))


def _with_calls(message: Message) -> Message:
    if not message.calls:
        return message
    calls = "\n".join(call_text(call) for call in message.calls)
    said = message.content
    return Message(message.role, (*said, f"\n{calls}" if said else calls))
