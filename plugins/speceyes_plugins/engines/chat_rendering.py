"""Conversations as text, through the checkpoint's own chat template.

An unfinished assistant turn never goes through the template, since published ones change it:
Qwen3-VL's writes the text alone and leaves the turn's pictures out, and those of Qwen3.5 to Qwen3.8
put an empty closed thought before it and cut the blanks at its end. What comes before the turn is
rendered up to where the model begins to write, and the turn follows as it was written, so that the
model goes on from the very tokens that it read and wrote.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from speceyes_cli.plugin import (
    THOUGHT_BEGIN,
    THOUGHT_END,
    Ask,
    Message,
    Picture,
    Tool,
    ToolCall,
    UsageError,
    chat_pictures,
    first_line,
    without_tokens,
)
from speceyes_plugins.engines.tool_texts import spell_out

log = logging.getLogger(__name__)

MARKS = ("What stands first?", "What stands second?", "What stands third?")
"""Texts of the marked conversation, around its two pictures."""
MARKED_TOOL = Tool("marked_tool", "What is done?", {"type": "object", "properties": {}})
AT_ONCE = ("screen", "draft", "score")
"""Phases whose answer is a word or two: where the template can, it keeps thoughts out."""
THINKING = "enable_thinking"
"""The name by which Qwen's templates are told whether the model thinks before it answers."""
THOUGHT = "reasoning_content"
"""Where templates take an earlier turn's thought: Qwen3.8's finds none in the text."""


class ChatRenderer:
    """Renders asks with one placeholder for each picture."""

    def __init__(self, processor: Any, name: str = "The model") -> None:
        """`processor` is the checkpoint's, with its chat template and tokenizer.

        Raises `UsageError`, which begins with `name`, where the template shows no pictures.
        """
        self._processor = processor
        self._special = special_tokens(processor)
        self._placeholder: str = processor.image_token
        template = template_of(processor)
        self._thinks = THINKING in template
        self._takes_thoughts = THOUGHT in template
        self._shown = self._find_shown(name)

    def render(self, ask: Ask) -> str:
        """The prompt up to where the model goes on.

        Raises what the template raises, and `ValueError` for a picture in an unfinished turn where
        the template does not show how one is written.
        """
        at_once = self._thinks and ask.phase in AT_ONCE and not ask.scored_after
        more = {THINKING: False} if at_once else {}
        messages, tools = ask.messages, ask.tools
        has_tools = bool(tools) or any(one.role == "tool" or one.calls for one in messages)
        if has_tools and not self._tells_tools:
            messages, tools = spell_out(messages, tools), ()
        if not ask.continue_turn:
            return self._whole(messages, tools, **more)
        *before, unfinished = messages
        written = [self._write(part) for part in unfinished.content]
        return self._apply(before, tools, **more) + "".join(written)

    def _whole(self, messages: Sequence[Message], tools: Sequence[Tool], **more: Any) -> str:
        """A conversation without an unfinished turn.

        Where the template leaves out the pictures of assistant turns, those turns are put in as
        they were written: Thyme's hold pictures, and SpecReason has them scored.
        """
        text = self._apply(messages, tools, **more)
        shown, wanted = text.count(self._placeholder), len(chat_pictures(messages))
        if shown == wanted or self._shown is None:
            return text
        marked, held = list(messages), {}
        for place, message in enumerate(messages):
            if message.role == "assistant" and chat_pictures((message,)):
                mark = f"What stands in turn {place}?"
                marked[place] = replace(message, content=(mark,))
                held[mark] = "".join(map(self._write, message.content))
        text = self._apply(marked, tools, **more)
        for mark, written in held.items():
            text = text.replace(mark, written, 1)
        return text

    def rehearse(self, ask: Ask) -> str | None:
        """What the model would not read of this ask, in words; None: it reads all of it.

        A finished assistant turn may lose its thought: templates of models that think leave it out.
        """
        try:
            text = self.render(ask)
        except Exception as error:  # noqa: BLE001 - a template is a program of the checkpoint's
            return f"its chat template refuses the conversation ({first_line(error)})"
        shown, wanted = text.count(self._placeholder), len(chat_pictures(ask.messages))
        if shown != wanted:
            return f"its chat template shows {shown} of the conversation's {wanted} pictures"
        for message in ask.messages:
            if message.role != "assistant" and any(
                self._plain(part).strip() not in text
                for part in message.content
                if isinstance(part, str)
            ):
                return f"its chat template leaves out text of the {message.role} turn"
        return None

    def _apply(self, messages: Sequence[Message], tools: Sequence[Tool] = (), **more: Any) -> str:
        if tools:
            more["tools"] = [tool.as_json() for tool in tools]
        chat = [self._turn(message) for message in messages]
        text: str = self._processor.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, **more
        )
        return text

    @cached_property
    def _tells_tools(self) -> bool:
        """Whether the template shows tools, and a picture within a tool's result."""
        marked = (
            Message("user", (MARKS[0],)),
            Message("assistant", (MARKS[1],)),
            Message("tool", (Picture("marked", _never_opened), MARKS[2])),
        )
        try:
            text = self._apply(marked, (MARKED_TOOL,))
        except Exception as error:
            log.debug("the chat template takes no tools", exc_info=error)
            text = ""
        shown = all(mark in text for mark in (*MARKS, MARKED_TOOL.name, MARKED_TOOL.description))
        tells = shown and text.count(self._placeholder) == 1
        if not tells:
            log.warning(
                "the model's chat template has no form for tools and their pictures: they are told "
                "in Qwen's form, within the system turn and user turns"
            )
        return tells

    def _turn(self, message: Message) -> dict[str, Any]:
        content = [self._part(part) for part in message.content]
        turn: dict[str, Any] = {"role": message.role, "content": content}
        if message.role == "assistant" and self._takes_thoughts:
            turn |= _apart(turn["content"])
        if message.calls:
            turn["tool_calls"] = [_call(call) for call in message.calls]
        if message.call_id:
            turn["tool_call_id"] = message.call_id
        return turn

    def _part(self, part: str | Picture) -> dict[str, str]:
        if isinstance(part, Picture):
            return {"type": "image"}
        return {"type": "text", "text": self._plain(part)}

    def _write(self, part: str | Picture) -> str:
        """A part of an unfinished turn, as it stands in the prompt."""
        if isinstance(part, str):
            return self._plain(part)
        if self._shown is None:
            raise ValueError("it does not show how a picture is written in its place")
        return self._shown

    def _plain(self, text: str) -> str:
        return without_tokens(text, self._special)

    def _find_shown(self, name: str) -> str | None:
        """How the template writes a picture; None where it stands elsewhere or is numbered."""
        picture = Picture("marked", _never_opened)
        content = (MARKS[0], picture, MARKS[1], picture, MARKS[2])
        try:
            text = self._apply([Message("user", content)])
        except Exception as error:
            raise UsageError(
                f"{name} cannot be asked: its chat template refuses a question about two pictures "
                f"({first_line(error)})."
            ) from error
        if text.count(self._placeholder) != 2:  # noqa: PLR2004 - the pictures of `content`
            raise UsageError(f"{name} cannot be asked: its chat template leaves pictures out.")
        found = {text.partition(one)[2].partition(other)[0] for one, other in pairwise(MARKS)}
        [shown, *others] = found
        return None if others or self._placeholder not in shown else shown


def _apart(content: list[dict[str, str]]) -> dict[str, Any]:
    """An assistant's turn of text with its thought apart; nothing for a turn without one."""
    if any(part["type"] != "text" for part in content):
        return {}
    thought, end, said = "".join(part["text"] for part in content).rpartition(THOUGHT_END)
    if not end:
        return {}
    own = thought.strip().removeprefix(THOUGHT_BEGIN).strip()
    return {THOUGHT: own, "content": [{"type": "text", "text": said.lstrip("\n")}]}


def _call(call: ToolCall) -> dict[str, Any]:
    """A call as templates take it, its arguments an object, or text where they are none."""
    try:
        read = json.loads(call.arguments)
    except ValueError:
        read = None
    arguments = read if isinstance(read, dict) else call.arguments
    function = {"name": call.name, "arguments": arguments}
    return {"type": "function", "id": call.id, "function": function}


def special_tokens(processor: Any) -> frozenset[str]:
    """Every token that a question must not hold: it could open a turn or stand for a picture."""
    named = ("image_token", "video_token", "audio_token", "boi_token", "eoi_token")
    found = {getattr(processor, name, None) for name in named}
    found.update(processor.tokenizer.all_special_tokens)
    added = processor.tokenizer.added_tokens_decoder.values()
    found.update(token.content for token in added if token.special)
    return frozenset(token for token in found if isinstance(token, str) and token)


def template_of(processor: Any) -> str:
    """The checkpoint's chat template; of several the default one, and empty without any."""
    for owner in (processor, processor.tokenizer):
        found = getattr(owner, "chat_template", None)
        if isinstance(found, dict):
            found = found.get("default")
        if isinstance(found, str):
            return found
    return ""


def _never_opened() -> Any:
    raise AssertionError("a rendered picture is not opened")
