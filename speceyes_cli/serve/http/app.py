"""The HTTP side: routes, keys, limits, and the way from a request to its answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.samples import Sample
from speceyes_cli.serve.http.answers import completion, decision_headers, event, events
from speceyes_cli.serve.http.body import Body, ClientLeftError, Uploads
from speceyes_cli.serve.http.errors import ApiError, error_body
from speceyes_cli.serve.http.metrics import Metrics
from speceyes_cli.serve.http.requests import ChatQuestion, read_question
from speceyes_cli.serve.pictures.decoding import NAME, decode
from speceyes_cli.serve.pictures.reader import PictureReader
from speceyes_cli.serve.queue import AnsweredRequest, QueueClosedError, RequestQueue
from speceyes_cli.serve.service import Service, choose_gate

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
"""How often a stream without an answer says that it lives; proxies give up after a minute."""
CLIENT_LEFT = 499


def build_endpoint(service: Service, queue: RequestQueue) -> Starlette:
    """The ASGI application."""
    endpoint = ChatEndpoint(service, queue)
    handlers: dict[Any, Callable[[Request, Any], Any]] = {
        ApiError: endpoint.refuse,
        HTTPException: endpoint.refuse_path,
        Exception: endpoint.own_up,
    }
    return Starlette(
        routes=[
            Route("/v1/chat/completions", endpoint.chat, methods=["POST"]),
            Route("/v1/models", endpoint.models),
            Route("/v1/models/{name}", endpoint.models),
            Route("/healthz", endpoint.health),
            Route("/readyz", endpoint.ready),
            Route("/metrics", endpoint.metrics),
        ],
        exception_handlers=handlers,
    )


class ChatEndpoint:
    """One served cascade; its methods are the routes."""

    def __init__(self, service: Service, queue: RequestQueue) -> None:
        self._service = service
        self._queue = queue
        self._metrics = Metrics(queue)
        self._inside = 0
        self._pictures = PictureReader(service.limits)
        self._uploads = Uploads(service.limits.body_bytes * max(4, queue.capacity // 4))
        self._started = int(time.time())

    async def chat(self, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        body = Body(request.receive)
        try:
            self._require_key(request)
            response = await self._chat(request, body)
        except ApiError:
            await body.discard()
            raise
        except asyncio.CancelledError:  # by the server, whose stop has taken its time
            raise _closed() from None
        except ClientLeftError:
            self._metrics.note_cancelled()
            response = Response(status_code=CLIENT_LEFT)
        self._metrics.note_response(response.status_code)
        return response

    async def _chat(self, request: Request, body: Body) -> Response:
        self._require_room()
        with self._uploads.one() as upload:
            data = await body.read(request.headers, self._service.limits.body_bytes, upload)
            question = read_question(data)
            del data
        self._require_room()
        place = Place(self)
        try:
            self._require_model(question.model)
            gate = choose_gate(question, self._service)
            work = asyncio.ensure_future(self._answer(question, gate))
            place.hold(work)
            finished = await self._first(work, body, question.stream)
        finally:
            place.leave_unless_held()
        reply = HttpReply(f"chatcmpl-{uuid.uuid4().hex}", self._service.name, question, gate)
        if not finished:
            return LateStream(work, reply.late(work))
        answered = work.result()
        headers = decision_headers(answered, gate)
        if question.stream:
            return StreamingResponse(
                reply.now(answered), media_type="text/event-stream", headers=headers
            )
        return JSONResponse(reply.whole(answered), headers=headers)

    async def _first(self, work: asyncio.Task[AnsweredRequest], body: Body, stream: bool) -> bool:  # noqa: FBT001 - the request's own word
        """Wait for the answer, at most a heartbeat for a stream; whether it is there."""
        gone = asyncio.ensure_future(body.gone())
        seconds = HEARTBEAT_SECONDS if stream else None
        try:
            await asyncio.wait({work, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            left = gone.done() and not work.done()
        except asyncio.CancelledError:
            work.cancel()
            raise
        finally:
            gone.cancel()
        if left:
            work.cancel()
            raise ClientLeftError
        return work.done()

    async def _answer(self, question: ChatQuestion, gate: Gate) -> AnsweredRequest:
        """From a question to its record; raises `ApiError` when there is no answer."""
        try:
            data = await self._pictures.read(question.picture)
            sample = Sample(
                uuid.uuid4().hex, "served", Picture(NAME, lambda: decode(data)), question.text
            )
            picture = self._queue.pictures.remember(sample.key, sample.picture)
            sample = replace(sample, picture=picture)
            await self._pictures.open(picture)
            future = self._queue.submit(sample, gate)
        except PictureError as error:
            text = f"The picture cannot be used: {error}".rstrip(".")
            raise ApiError(400, f"{text}.", "messages", "invalid_image") from None
        except QueueClosedError:
            raise _closed() from None
        try:
            answered = await asyncio.wrap_future(future)
        except QueueClosedError:
            raise _closed() from None
        except asyncio.CancelledError:
            future.cancel()
            if not self._queue.is_open:
                raise _closed() from None
            raise
        self._metrics.note_answer(answered)
        failure = answered.record.error
        if failure is not None:
            log.warning(
                "a question failed in %s: %s: %s", failure.phase, failure.kind, failure.text
            )
            raise ApiError(
                500,
                f"The question failed in phase {failure.phase!r} ({failure.kind}).",
                code="failed",
            )
        return answered

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`, and one of them by name."""
        self._require_key(request)
        model = {
            "id": self._service.name,
            "object": "model",
            "created": self._started,
            "owned_by": "speceyes",
        }
        if "name" in request.path_params:
            self._require_model(request.path_params["name"])
            return JSONResponse(model)
        return JSONResponse({"object": "list", "data": [model]})

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /healthz`: whether the process can still answer."""
        return _state(self._queue.is_open)

    async def ready(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /readyz`: whether another request would be let in."""
        return _state(self._queue.is_open and self._inside < self._queue.capacity)

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /metrics` in Prometheus's text form."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def refuse(self, request: Request, error: ApiError) -> Response:  # noqa: ARG002 - a handler's signature
        """An error in OpenAI's form."""
        self._metrics.note_response(error.status)
        return JSONResponse(error_body(error), error.status, dict(error.headers))

    async def refuse_path(self, request: Request, error: HTTPException) -> Response:
        """No such route, or not with this method."""
        known = "POST /v1/chat/completions, GET /v1/models, /healthz, /readyz and /metrics"
        told = f"There is no {request.method} {request.url.path[:100]} here; there are {known}."
        headers = error.headers or {}
        return await self.refuse(request, ApiError(error.status_code, told, headers=headers))

    async def own_up(self, request: Request, error: Exception) -> Response:  # noqa: ARG002 - the traceback is logged
        """A defect of ours; the server logs its traceback."""
        return await self.refuse(request, ApiError(500, "The server made an error; see its log."))

    def _require_key(self, request: Request) -> None:
        key = self._service.api_key
        if key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), key.encode())
        if scheme.lower() != "bearer" or not right:
            raise ApiError(
                401,
                "The API key is missing or wrong: send it as Authorization: Bearer KEY.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _require_room(self) -> None:
        if self._inside < self._queue.capacity:
            return
        raise _full(f"All {self._queue.capacity} places are taken", self._queue.retry_after())

    def _require_model(self, name: str) -> None:
        if name != self._service.name:
            raise ApiError(
                404,
                f"There is no model {name[:80]!r} here; there is {self._service.name!r}.",
                "model",
                "model_not_found",
            )

    def enter(self) -> None:
        """One more request is inside."""
        self._inside += 1

    def leave(self) -> None:
        """One fewer."""
        self._inside -= 1


class Place:
    """One request's place, kept until its work has ended."""

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self._endpoint = endpoint
        self._held = False
        endpoint.enter()

    def hold(self, work: asyncio.Task[AnsweredRequest]) -> None:
        """Keep the place as long as the work lasts."""
        self._held = True
        work.add_done_callback(lambda _: self._endpoint.leave())

    def leave_unless_held(self) -> None:
        """Give it back, if no work was begun."""
        if not self._held:
            self._endpoint.leave()


class HttpReply:
    """How one answer is worded: whole, as events now, or as events when it comes."""

    def __init__(self, key: str, model: str, question: ChatQuestion, gate: Gate) -> None:
        self._about = (key, int(time.time()), model)
        self._question = question
        self._gate = gate

    def whole(self, answered: AnsweredRequest) -> dict[str, Any]:
        """The completion's JSON."""
        return completion(*self._about, answered, self._gate)

    async def now(self, answered: AnsweredRequest) -> AsyncIterator[str]:
        """The events of an answer that is there."""
        usage = self._question.include_usage
        for text in events(*self._about, answered, self._gate, usage=usage):
            yield text

    async def late(self, work: asyncio.Task[AnsweredRequest]) -> AsyncIterator[str]:
        """Comments until the answer is there, then its events; the work ends with the stream."""
        while not work.done():
            yield ": at work\n\n"
            await asyncio.wait({work}, timeout=HEARTBEAT_SECONDS)
        try:
            answered = work.result()
        except ApiError as error:
            yield event(error_body(error))
            return
        async for text in self.now(answered):
            yield text


class LateStream(StreamingResponse):
    """Events of an answer that is not there yet; its work ends with it, whoever ends it."""

    def __init__(self, work: asyncio.Task[AnsweredRequest], content: AsyncIterator[str]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()


def _full(told: str, seconds: int) -> ApiError:
    return ApiError(
        429,
        f"{told}; try again in {seconds} s.",
        code="rate_limit_exceeded",
        headers={"Retry-After": str(seconds)},
    )


def _closed() -> ApiError:
    return ApiError(503, "The server is stopping.", code="stopping", headers={"Retry-After": "5"})


def _state(fine: bool) -> Response:  # noqa: FBT001 - the one thing to tell
    body = {"status": "ok" if fine else "unavailable"}
    return Response(json.dumps(body), 200 if fine else 503, media_type="application/json")
