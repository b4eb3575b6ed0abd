"""From the body of a chat completion to one question about one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from speceyes_cli.host.manager import known_names
from speceyes_cli.serve.http.errors import ApiError

LONGEST_TEXT = 32_000
"""Characters of a question: about 8,000 tokens, as much as small models read at all."""

MOST_PARTS = 100_000
"""Members and elements of a body: parsed, each takes twenty times its bytes and more."""

IGNORED = frozenset(
    (
        "temperature",
        "top_p",
        "seed",
        "user",
        "max_tokens",
        "max_completion_tokens",
        "frequency_penalty",
        "presence_penalty",
        "metadata",
        "store",
        "service_tier",
        "reasoning_effort",
        "verbosity",
        "safety_identifier",
        "prompt_cache_key",
        "parallel_tool_calls",
    )
)
"""Standard fields that change nothing here: decoding is greedy and answers are short."""

REFUSED: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "stop": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
}
"""Standard fields that would have to change the answer, and the values that ask for nothing."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TextPart(_Model):
    """Words."""

    type: Literal["text"]
    text: str


class ImageUrl(_Model):
    """Where a picture is."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(_Model):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


def _as_parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatMessage(_Model):
    """What a system or a user says."""

    role: Literal["system", "developer", "user"]
    content: Annotated[list[Part], BeforeValidator(_as_parts)]
    name: str | None = None


class Overrides(_Model):
    """What a request may choose for itself, within the operator's limits."""

    threshold: float | None = None
    gate: str | None = None


class StreamOptions(_Model):
    """How a stream ends."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(_Model):
    """The fields that are read; every other one is in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    model: str
    messages: list[ChatMessage]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    speceyes: Overrides = Overrides()


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """What a client wants to know."""

    model: str
    text: str
    picture: str
    """A URL, not yet looked at."""
    stream: bool
    include_usage: bool
    overrides: Overrides


def read_question(body: bytes) -> ChatQuestion:
    """The question in a request's body; raises `ApiError` naming the first field at fault."""
    if sum(body.count(sign) for sign in b"[{,") > MOST_PARTS:
        raise ApiError(400, f"The body has more than {MOST_PARTS:,} members and elements.")
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _complaint(error) from None
    for name, value in (request.model_extra or {}).items():
        _check_field(name, value)
    parts = [part for message in request.messages for part in message.content]
    pictures = [part.image_url.url for part in parts if isinstance(part, ImagePart)]
    if len(pictures) != 1:
        found = len(pictures) or "none"
        raise ApiError(
            400, f"A question needs exactly one picture; this one has {found}.", "messages"
        )
    if sum(message.role == "user" for message in request.messages) != 1:
        raise ApiError(400, "Send exactly one user message: one question at a time.", "messages")
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart)).strip()
    if not text:
        raise ApiError(400, "There is no question beside the picture.", "messages")
    if len(text) > LONGEST_TEXT:
        raise ApiError(
            400, f"The text has {len(text):,} characters; {LONGEST_TEXT:,} at most.", "messages"
        )
    options = request.stream_options
    return ChatQuestion(
        request.model,
        text,
        pictures[0],
        bool(request.stream),
        options is not None and options.include_usage,
        request.speceyes,
    )


def _check_field(name: str, value: Any) -> None:
    if value is None or name in IGNORED:
        return
    if name not in REFUSED:
        fields = [*ChatRequest.model_fields, *IGNORED]
        nearest = known_names(name, fields).partition("known: ")[0].rstrip(" ?")
        guess = f"; {nearest}?" if nearest else "."
        raise ApiError(400, f"Unknown field {name[:60]!r}{guess}", name[:60], "unknown_parameter")
    if not any(value == harmless for harmless in REFUSED[name]):
        raise ApiError(
            400, f"{name!r} is not supported by this endpoint.", name, "unsupported_parameter"
        )


def _complaint(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is not JSON that can be read: {first['msg']}.")
    place = ".".join(str(step) for step in first["loc"])[:120] or None
    if first["type"] == "extra_forbidden":
        return ApiError(400, f"Unknown field {place!r}.", place, "unknown_parameter")
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return ApiError(400, f"{place or 'The body'}: {first['msg']}.", place, code)
