"""A conversation as its messages have it, brought to turns that every chat template can render."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.messages import (
    AssistantMessage,
    ChatMessage,
    ImagePart,
    OtherPart,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

LONGEST_TEXT = 400_000
"""Characters of a conversation: about 100,000 tokens; how many a model reads is its own to say."""


class Address(NamedTuple):
    """Where a picture is: a data URL, or one of http(s)."""

    url: str


class Turn(NamedTuple):
    """One turn, its words and pictures in the order in which they were written."""

    role: Literal["user", "assistant"]
    content: tuple[str | Address, ...]

    @property
    def text(self) -> str:
        """Its words."""
        return "\n".join(part for part in self.content if isinstance(part, str)).strip()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its pictures."""
        return tuple(part.url for part in self.content if isinstance(part, Address))


class Conversation(NamedTuple):
    """The turns, what is said by the system put before the question's words."""

    turns: tuple[Turn, ...]
    only_large: str | None
    """The field that only the large model itself can read; None where the cascade can."""


def read_turns(messages: Sequence[ChatMessage]) -> Conversation:
    """The conversation; raises `ApiError` for one without a question.

    Turns of one speaker that follow each other are joined, since templates may refuse them. What
    a tool gave back is a turn of the user's, in the tags in which Qwen's own templates put it.
    """
    only_large = None
    system: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        strange = _strange(message, place)
        only_large = only_large or strange
        if isinstance(message, SystemMessage):
            _refuse_pictures(message, place, "The system's messages")
            system += _words(message.content)
        else:
            _append(turns, _turn(message, place))
    if only_large is None and not isinstance(messages[-1], UserMessage | SystemMessage):
        only_large = f"messages[{len(messages) - 1}]"
    if only_large is None:
        _check(turns, system)
        turns[-1] = _with_system(turns[-1], system)
    return Conversation(tuple(turns), only_large)


def _check(turns: Sequence[Turn], system: Sequence[str]) -> None:
    if not turns or turns[-1].role != "user" or not turns[-1].text:
        raise ApiError(400, "There is no question: the last message must hold one.", "messages")
    texts = [part for turn in turns for part in turn.content if isinstance(part, str)]
    length = sum(map(len, [*texts, *system]))
    if length > LONGEST_TEXT:
        told = f"The text has {length:,} characters; {LONGEST_TEXT:,} at most."
        raise ApiError(400, told, "messages", "context_length_exceeded")


def _append(turns: list[Turn], turn: Turn) -> None:
    if turns and turns[-1].role == turn.role:
        turn = Turn(turn.role, (*turns.pop().content, *turn.content))
    turns.append(turn)


def _with_system(turn: Turn, system: Sequence[str]) -> Turn:
    """The question with the system's words before its first ones."""
    if not system:
        return turn
    first = next(i for i, part in enumerate(turn.content) if isinstance(part, str))
    return Turn(turn.role, (*turn.content[:first], *system, *turn.content[first:]))


def _turn(message: ChatMessage, place: str) -> Turn:
    if isinstance(message, AssistantMessage):
        _refuse_pictures(message, place, "The assistant's messages")
        calls = [_call(call) for call in message.tool_calls or ()]
        if message.function_call is not None:
            calls.append(_call(ToolCall(function=message.function_call)))
        return Turn("assistant", tuple(_joined([*_words(message.content), *calls])))
    content = tuple(_content(message.content))
    if isinstance(message, ToolMessage):
        content = ("<tool_response>", *content, "</tool_response>")
    return Turn("user", content)


def _joined(texts: Sequence[str]) -> Iterator[str]:
    whole = "\n".join(text for text in texts if text)
    if whole:
        yield whole


def _call(call: ToolCall) -> str:
    """A call in the form in which Qwen's own templates write it."""
    if call.function is None:
        return ""
    inside = f'{{"name": "{call.function.name}", "arguments": {call.function.arguments}}}'
    return f"<tool_call>\n{inside}\n</tool_call>"


def _content(parts: Sequence[Part]) -> Iterator[str | Address]:
    for part in parts:
        if isinstance(part, ImagePart):
            yield Address(part.image_url.url)
        elif isinstance(part, TextPart) and part.text:
            yield part.text


def _words(parts: Sequence[Part]) -> list[str]:
    texts = (
        part.text if isinstance(part, TextPart) else part.refusal
        for part in parts
        if isinstance(part, TextPart | RefusalPart)
    )
    return [text for text in texts if text]


def _strange(message: ChatMessage, place: str) -> str | None:
    """The first part that is neither words nor a picture."""
    for number, part in enumerate(message.content):
        if isinstance(part, OtherPart):
            return f"{place}.content[{number}]"
    return None


def _refuse_pictures(message: SystemMessage | AssistantMessage, place: str, whose: str) -> None:
    for number, part in enumerate(message.content):
        if isinstance(part, ImagePart):
            told = f"{whose} cannot hold pictures; put them into the user's."
            raise ApiError(400, told, f"{place}.content[{number}]", "invalid_value")
