"""The messages of a chat completion as OpenAI's interface has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag


class Strict(BaseModel):
    """What a client writes, in which nothing unknown may stand."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Part(Strict):
    cache_control: Any = None
    prompt_cache_breakpoint: Any = None
    uuid: Any = None
    """Hints for caches."""


class TextPart(_Part):
    """Words."""

    type: Literal["text"]
    text: str


class RefusalPart(_Part):
    """Words with which an assistant refused."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(Strict):
    """Where a picture is."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


def _as_address(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class ImagePart(_Part):
    """A picture."""

    type: Literal["image_url"]
    image_url: Annotated[ImageUrl, BeforeValidator(_as_address)]


class OtherPart(BaseModel):
    """Anything else, such as sound or a video."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    type: str


def _kind_of_part(part: Any) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else getattr(part, "type", None)
    return kind if kind in ("text", "refusal", "image_url") else "other"


Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[ImagePart, Tag("image_url")]
    | Annotated[OtherPart, Tag("other")],
    Discriminator(_kind_of_part),
]


def _as_parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _none_as_parts(content: Any) -> Any:
    return [] if content is None else _as_parts(content)


Content = Annotated[list[Part], BeforeValidator(_as_parts)]
OptionalContent = Annotated[list[Part], BeforeValidator(_none_as_parts)]


class _Message(Strict):
    name: str | None = None
    cache_control: Any = None


class SystemMessage(_Message):
    """What the operator of a client says."""

    role: Literal["system", "developer"]
    content: Content


class UserMessage(_Message):
    """What a user says."""

    role: Literal["user"]
    content: Content


class CalledFunction(BaseModel):
    """A function and the JSON text that it was called with."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: str
    arguments: str = "{}"


class ToolCall(BaseModel):
    """One call of a tool."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: str | None = None
    type: str = "function"
    function: CalledFunction | None = None


class AssistantMessage(BaseModel):
    """What a model said; clients send back whatever they were given with it."""

    model_config = ConfigDict(frozen=True, strict=True)

    role: Literal["assistant"]
    content: OptionalContent = []
    tool_calls: list[ToolCall] | None = None
    function_call: CalledFunction | None = None


class ToolMessage(_Message):
    """What a tool of the client's gave back."""

    role: Literal["tool", "function"]
    content: OptionalContent = []
    tool_call_id: str | None = None


ChatMessage = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]
