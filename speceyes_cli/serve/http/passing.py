"""Requests that the large model's endpoint answers by itself: they go there as they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from speceyes_cli.core.chat import Forwarding, ForwardingError
from speceyes_cli.serve.http.answers import event
from speceyes_cli.serve.http.asking import Asking
from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.requests import ChatQuestion
from speceyes_cli.serve.http.streams import HEARTBEAT, HEARTBEAT_SECONDS, failure, first_of
from speceyes_cli.serve.live import Chunk, Live

ROUTE = "passed"
HEADERS = {"X-SpecEyes-Route": ROUTE}


def reason_to_pass(question: ChatQuestion, engine: Forwarding | None) -> str | None:
    """The field for which the request is passed on; None: the cascade answers it.

    Raises `ApiError` for what the cascade cannot answer and nobody else is there to.
    """
    field = question.only_large
    if engine is not None:
        return field or ("temperature" if question.samples else None)
    if field is None:
        return None
    if field.startswith("messages"):
        told = f"{field}: words and pictures are read here, and the last message is the user's."
        raise ApiError(400, told, field, "unsupported_value")
    raise ApiError(
        400,
        f"{field!r} is not supported by this endpoint: its large model cannot serve it alone.",
        field,
        "unsupported_parameter",
    )


async def pass_on(
    question: ChatQuestion, engine: Forwarding, asking: Asking, live: Live
) -> Mapping[str, Any]:
    """The completion, or of a stream the last chunk; each is told to `live`. Raises `ApiError`.

    Pictures are held to this endpoint's own limits, and those behind an address are fetched here:
    the other endpoint may reach what the client may not.
    """
    fetched = await asking.fetched(question)
    body = {name: value for name, value in question.body.items() if name != "speceyes"}
    body["messages"] = [_message(message, fetched) for message in body["messages"]]
    last: dict[str, Any] = {}

    def emit(chunk: Mapping[str, Any]) -> None:
        told = {**chunk, "model": question.model}
        choices = told.get("choices")
        ends = isinstance(choices, list) and any(c.get("finish_reason") for c in choices)
        if ends or not question.stream:
            told["speceyes"] = {"route": ROUTE, "reason": _reason(question)}
        last.update(told)
        live.tell(Chunk(told))
        live.speak()

    future = engine.forward(body, emit)
    try:
        await asyncio.wrap_future(future)
    except ForwardingError as error:
        raise ApiError(error.status, str(error), error.param, "passed") from None
    except asyncio.CancelledError:
        future.cancel()
        raise
    return last


async def relayed(work: asyncio.Future[Any], live: Live) -> AsyncIterator[str]:
    """The other endpoint's stream as it comes, comments in between."""
    while True:
        ended = work.done()  # before what is taken: while it is sent more may come
        for told in live.take():
            if isinstance(told, Chunk):
                yield event(told.body)
        if ended:
            break
        if not await first_of(work, live.changed(), HEARTBEAT_SECONDS):
            yield HEARTBEAT
    try:
        work.result()
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the client is told
        yield failure(error)
        return
    yield "data: [DONE]\n\n"


def _reason(question: ChatQuestion) -> str:
    return question.only_large or "temperature"


def _message(message: Mapping[str, Any], fetched: Mapping[str, str]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_part(part, fetched) for part in content]}


def _part(part: Mapping[str, Any], fetched: Mapping[str, str]) -> Mapping[str, Any]:
    """The part, what it names by an address brought into it or refused."""
    for name, value in part.items():
        url = value.get("url") if isinstance(value, Mapping) else value
        if not name.endswith("_url") or not isinstance(url, str):
            continue
        if url in fetched and part.get("type") == "image_url":
            held = value if isinstance(value, Mapping) else {}
            return {**part, name: {**held, "url": fetched[url]}}
        if url[:5].lower() != "data:":
            told = f"A part's {name} must be a data URL (data:...;base64,...)."
            raise ApiError(400, told, "messages", "invalid_value")
    return part
