"""A turn's tool calls, whether an endpoint gave them apart or they stand in the text."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import product

from speceyes_cli.plugin import Answer, Reply, ToolCall, ToolError, one_line
from speceyes_plugins.agents.tags import after_thought, all_tagged, last_tagged
from speceyes_plugins.agents.tolerant_json import UnreadableError, read_value
from speceyes_plugins.agents.tool_calls import Call, CallError, read_call

__all__ = ["CallWatch", "ToolNames", "ended", "read_calls"]

log = logging.getLogger(__name__)

MAX_NAME = 100
ONE_LETTER = 0.93
"""`difflib`'s ratio of a name with one letter missing, wrong or too many."""
QUIET_TURNS = 10


class ToolNames:
    """The names of an agent's tools, and how models write them."""

    def __init__(self, names: Sequence[str], aliases: Mapping[str, str]) -> None:
        """`aliases` are further ways to write a name, in small letters only."""
        self.names = tuple(names)
        self._forms = {form: name for form, name in aliases.items() if name in names}
        for name in names:
            for left_out in product(("image_", ""), ("_tool", "")):
                shorter = name
                for part in left_out:
                    shorter = shorter.replace(part, "")
                self._forms[_letters(shorter)] = name

    def meant(self, said: str | None) -> tuple[str, tuple[str, ...]]:
        """The tool that a call names and what was mended; raises `CallError`, "unknown_tool".

        Mended are another case or other signs, a shorter name, and one wrong letter.
        """
        if said in self.names:
            return said, ()
        listed = ", ".join(self.names)
        if said is None:
            if len(self.names) == 1:
                return self.names[0], ("no tool named",)
            raise CallError("unknown_tool", f"The call names no tool; known: {listed}.")
        close = get_close_matches(_letters(said), self._forms, n=1, cutoff=ONE_LETTER)
        if not close:
            shown = one_line(said, 60)
            raise CallError("unknown_tool", f"There is no tool {shown!r}; known: {listed}.")
        name = self._forms[close[0]]
        return name, (f'"{one_line(said, 60)}" for "{name}"',)


def read_calls(reply: Reply, names: ToolNames, arguments: frozenset[str]) -> list[Call | CallError]:
    """Every call of a reply in its order, one that cannot be read as its error.

    `arguments` are the names by which a call that names no tool is known. What stands in a thought
    that has ended is no call.
    """
    if reply.calls:
        *earlier, last = reply.calls
        whole = reply.finish == "stop"  # else the token limit cut the last one
        return [*map(_given, earlier), _given(last, complete=whole)]
    said = after_thought(reply.text)
    said = reply.text if said is None else said
    tagged = all_tagged(said, "tool_call")
    if tagged:
        return [_read(one.content, arguments, complete=one.closed) for one in tagged]
    if any(name in said for name in names.names):
        found = _read(said, arguments, complete=reply.finish == "stop")
        if isinstance(found, Call) and found.name is not None:
            return [found._replace(mends=("a call without tags", *found.mends))]
    return []


def ended(reply: Reply, reminder: str, most: int) -> Answer | ToolError:
    """The answer of a turn that calls no tool; the model is reminded where there is none.

    `most` is how many tokens it may write: a reply that was cut there is no answer.
    """
    if reply.finish == "length":
        return ToolError("too_long", f"The reply was cut off after {most} tokens. {reminder}")
    behind = after_thought(reply.text)
    answer = last_tagged(reply.text if behind is None else behind, "answer")
    said = answer.content if answer is not None else behind or ""
    if not said.strip():
        return ToolError("no_action", reminder)
    return Answer(said.strip(), "large")


class CallWatch:
    """Tells, once, that the first turns of a run called no tool: the model may not know how."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._turns = 0
        self._settled = False

    def turn(self, *, called: bool) -> None:
        """A turn has ended, with a call or without."""
        if self._settled:
            return
        self._turns += 1
        self._settled = called or self._turns >= QUIET_TURNS
        if not called and self._settled:
            log.warning(
                "speceyes: none of the first %d turns of the agent %s called a tool: its model may "
                "not have been trained to call any",
                QUIET_TURNS,
                self._agent,
            )


def _read(text: str, arguments: frozenset[str], *, complete: bool) -> Call | CallError:
    try:
        return read_call(text, arguments, complete=complete)
    except CallError as error:
        return error


def _given(call: ToolCall, *, complete: bool = True) -> Call | CallError:
    """A call whose name the endpoint has read, and whose arguments nobody has."""
    if not call.arguments.strip():
        return Call(call.name, {}, ())
    try:
        read = read_value(call.arguments, complete=complete)
    except UnreadableError as error:
        return CallError("bad_json", f"The arguments are not valid JSON: {error}.")
    return Call(call.name, read.value, read.mends)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name[:MAX_NAME].lower().rpartition(".")[2])
