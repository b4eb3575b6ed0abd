"""From the body of a chat completion to a question within its conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core
from pydantic import ConfigDict, Field, ValidationError

from speceyes_cli.serve.http.complaints import complaint
from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.fields import passing_field, samples
from speceyes_cli.serve.http.messages import ChatMessage, Strict
from speceyes_cli.serve.http.turns import Turn, read_turns

MOST_PARTS = 100_000
"""Members and elements of a body: parsed, each takes twenty times its bytes and more."""
MOST_TOKENS = 2**31 - 1


class Overrides(Strict):
    """What a request may choose for itself, within the operator's limits."""

    threshold: float | None = None
    gate: str | None = None
    trace: bool = False
    """A stream tells every step as it is done, with all that the gate and the tools saw."""


class StreamOptions(Strict):
    """How a stream ends."""

    include_usage: bool = False
    include_obfuscation: bool = False
    continuous_usage_stats: bool = False


class ChatRequest(Strict):
    """The fields that are read; every other one is in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=64)
    speceyes: Overrides = Overrides()


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """What a client wants to know."""

    model: str
    turns: tuple[Turn, ...]
    """The conversation; the last turn is the user's question, unless `only_large` says why not."""
    stream: bool
    include_usage: bool
    overrides: Overrides
    max_tokens: int | None
    """Most tokens of the answer."""
    logprobs: bool
    """The tokens of an accepted draft are wanted with their log-probabilities."""
    samples: bool
    """Other answers than the likeliest are asked for."""
    only_large: str | None
    """The field that only the large model itself can serve; None where the cascade can answer."""
    body: Mapping[str, Any]
    """The request as it was sent."""

    @property
    def text(self) -> str:
        """The question's words."""
        return self.turns[-1].text

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where each picture is, oldest first; not yet looked at."""
        return tuple(address for turn in self.turns for address in turn.addresses)


def read_question(data: bytes) -> ChatQuestion:
    """The question in a request's body; raises `ApiError` naming the first field at fault."""
    return read_chat(read_body(data))


def read_body(data: bytes) -> Any:
    """The JSON of a body; raises `ApiError` for what is none, and for too many parts."""
    if sum(data.count(sign) for sign in b"[{,") > MOST_PARTS:
        raise ApiError(400, f"The body has more than {MOST_PARTS:,} members and elements.")
    try:
        return pydantic_core.from_json(data)
    except ValueError as error:
        raise ApiError(400, f"The body is not JSON that can be read: {error}.") from None


def read_chat(body: Any) -> ChatQuestion:
    """The question in a chat completion's JSON; raises `ApiError`."""
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise complaint(error, body) from None
    extra = request.model_extra or {}
    only_large = passing_field(extra, ChatRequest.model_fields)
    if request.speceyes.trace and not request.stream:
        told = 'speceyes.trace is told by streams only: send "stream": true, or leave it out.'
        raise ApiError(400, told, "speceyes.trace", "invalid_value")
    conversation = read_turns(request.messages)
    options = request.stream_options
    limits = [n for n in (request.max_tokens, request.max_completion_tokens) if n is not None]
    return ChatQuestion(
        model=request.model,
        turns=conversation.turns,
        stream=bool(request.stream),
        include_usage=options is not None and options.include_usage,
        overrides=request.speceyes,
        max_tokens=min(limits, default=None),
        logprobs=bool(request.logprobs),
        samples=samples(extra),
        only_large=only_large or conversation.only_large,
        body=body,
    )
