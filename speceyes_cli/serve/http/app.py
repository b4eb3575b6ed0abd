"""The HTTP side: routes, keys, limits, and the way from a request to its answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from speceyes_cli.core.chat import Forwarding
from speceyes_cli.serve.http.answers import ReplyForm, decision_headers, route_headers
from speceyes_cli.serve.http.asking import Asking
from speceyes_cli.serve.http.body import Body, ClientLeftError, Uploads
from speceyes_cli.serve.http.errors import ApiError, closed, error_body, full, own_fault
from speceyes_cli.serve.http.metrics import Metrics
from speceyes_cli.serve.http.passing import HEADERS, pass_on, reason_to_pass, relayed
from speceyes_cli.serve.http.requests import ChatQuestion, read_question
from speceyes_cli.serve.http.response_form import ResponseForm
from speceyes_cli.serve.http.responses import read_response_question
from speceyes_cli.serve.http.streams import (
    HEARTBEAT_SECONDS,
    EventStream,
    Form,
    LateStream,
    late,
    ready,
)
from speceyes_cli.serve.live import Live
from speceyes_cli.serve.page.document import Page
from speceyes_cli.serve.queue import RequestQueue
from speceyes_cli.serve.service import Service, choose_gate

CLIENT_LEFT = 499
Reader = Callable[[bytes], ChatQuestion]
FormMaker = Callable[..., Form]
TOLD = (
    "X-SpecEyes-Route",
    "X-SpecEyes-Confidence",
    "X-SpecEyes-Threshold",
    "X-SpecEyes-Gate",
    "X-SpecEyes-Certified",
    "X-SpecEyes-Seconds",
    "Retry-After",
)
"""Headers that a page of another origin may read."""


def build_endpoint(service: Service, queue: RequestQueue) -> Starlette:
    """The ASGI application."""
    endpoint = ChatEndpoint(service, queue)
    page = Page(service.name, needs_key=service.api_key is not None) if service.page else None
    handlers: dict[Any, Callable[[Request, Any], Any]] = {
        ApiError: endpoint.refuse,
        HTTPException: endpoint.refuse_path,
        Exception: endpoint.own_up,
    }
    return Starlette(
        routes=[
            Route("/v1/chat/completions", endpoint.chat, methods=["POST"]),
            Route("/v1/responses", endpoint.responses, methods=["POST"]),
            Route("/v1/models", endpoint.models),
            Route("/v1/models/{name:path}", endpoint.models),
            Route("/healthz", endpoint.health),
            Route("/health", endpoint.health),  # where routers of models look
            Route("/readyz", endpoint.ready),
            Route("/metrics", endpoint.metrics),
            *([Route("/", page.show)] if page is not None else []),
        ],
        middleware=_middleware(service.origins),
        exception_handlers=handlers,
    )


def _middleware(origins: tuple[str, ...]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(TOLD),
        )
    ]


class ChatEndpoint:
    """One served cascade; its methods are the routes."""

    def __init__(self, service: Service, queue: RequestQueue) -> None:
        self._service = service
        self._queue = queue
        self._metrics = Metrics(queue, service.promise)
        self._asking = Asking(service, queue, self._metrics)
        self._inside = 0
        self._uploads = Uploads(service.limits.body_bytes * max(4, queue.capacity // 4))
        self._started = int(time.time())

    async def chat(self, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        return await self._serve(request, read_question, ReplyForm)

    async def responses(self, request: Request) -> Response:
        """`POST /v1/responses`."""
        return await self._serve(request, read_response_question, ResponseForm)

    async def _serve(self, request: Request, read: Reader, form: FormMaker) -> Response:
        body = Body(request.receive)
        try:
            self._require_key(request)
            response = await self._asked(request, body, read, form)
        except ApiError:
            await body.discard()
            raise
        except asyncio.CancelledError:  # by the server, whose stop has taken its time
            raise closed() from None
        except ClientLeftError:
            self._metrics.note_cancelled()
            response = Response(status_code=CLIENT_LEFT)
        self._metrics.note_response(response.status_code)
        return response

    async def _asked(self, request: Request, body: Body, read: Reader, form: FormMaker) -> Response:
        self._require_room()
        with self._uploads.one() as upload:
            data = await body.read(request.headers, self._service.limits.body_bytes, upload)
            question = read(data)
            del data
        self._require_room()
        place = Place(self)
        try:
            self._require_model(question.model)
            engine = self._queue.forwarding
            if form is not ReplyForm:
                engine = None  # what is passed on is passed on as it came
            if reason_to_pass(question, engine) is not None and engine is not None:
                return await self._pass_on(question, engine, body, place)
            return await self._answer(question, body, place, form)
        finally:
            place.leave_unless_held()

    async def _answer(
        self, question: ChatQuestion, body: Body, place: Place, make_form: FormMaker
    ) -> Response:
        gate = choose_gate(question, self._service)
        live = Live(traces=question.overrides.trace) if question.stream else None
        work = asyncio.ensure_future(self._asking.answer(question, gate, live))
        place.hold(work)
        finished = await self._first(work, body, live)
        head = {"id": uuid.uuid4().hex, "created": int(time.time()), "model": self._service.name}
        form = make_form(head, gate, logprobs=question.logprobs, usage=question.include_usage)
        if not finished and live is not None:
            headers = route_headers("large", live.confidence, gate) if live.speaking else {}
            return LateStream(work, late(form, work, live), headers, self._metrics.note_cancelled)
        answered = work.result()
        headers = decision_headers(answered, gate)
        if live is not None and live.traces:
            return LateStream(work, late(form, work, live), headers, self._metrics.note_cancelled)
        if question.stream:
            events = ready(form, answered)
            return EventStream(events, headers)
        return JSONResponse(form.whole(answered), headers=headers)

    async def _pass_on(
        self, question: ChatQuestion, engine: Forwarding, body: Body, place: Place
    ) -> Response:
        live = Live()
        work = asyncio.ensure_future(pass_on(question, engine, self._asking, live))
        place.hold(work)
        finished = await self._first(work, body, live if question.stream else None)
        if finished:
            work.result()
        self._metrics.note_passed()
        if question.stream:
            return LateStream(work, relayed(work, live), HEADERS, self._metrics.note_cancelled)
        return JSONResponse(work.result(), headers=HEADERS)

    async def _first(self, work: asyncio.Task[Any], body: Body, live: Live | None) -> bool:
        """Wait for the answer, or of a stream for its first event; whether the answer is there."""
        gone = asyncio.ensure_future(body.gone())
        waited: set[asyncio.Future[Any]] = {work, gone}
        if live is not None:
            waited.add(asyncio.ensure_future(live.opening.wait()))
        seconds = None if live is None else HEARTBEAT_SECONDS
        try:
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            left = gone.done() and not work.done()
        except asyncio.CancelledError:
            work.cancel()
            raise
        finally:
            for one in waited - {work}:
                one.cancel()
        if left:
            work.cancel()
            raise ClientLeftError
        return work.done()

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`, and one of them by name."""
        self._require_key(request)
        model = {
            "id": self._service.name,
            "object": "model",
            "created": self._started,
            "owned_by": "speceyes",
            "max_model_len": self._queue.context_length,
        }
        if "name" in request.path_params:
            self._require_model(request.path_params["name"])
            return JSONResponse(model)
        return JSONResponse({"object": "list", "data": [model]})

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /healthz`, `/health`: whether the process can still answer."""
        return _state(self._queue.is_open)

    async def ready(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /readyz`: whether there is room for another request, and no stop to come."""
        return _state(self._queue.is_offered and self._inside < self._queue.capacity)

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /metrics` in Prometheus's text form."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def refuse(self, request: Request, error: ApiError) -> Response:  # noqa: ARG002 - a handler's signature
        """An error in OpenAI's form."""
        self._metrics.note_response(error.status)
        return JSONResponse(error_body(error), error.status, dict(error.headers))

    async def refuse_path(self, request: Request, error: HTTPException) -> Response:
        """No such route, or not with this method."""
        known = (
            "POST /v1/chat/completions and /v1/responses, GET /v1/models, /healthz, /readyz and "
            "/metrics"
        )
        told = f"There is no {request.method} {request.url.path[:100]} here; there are {known}."
        headers = error.headers or {}
        return await self.refuse(request, ApiError(error.status_code, told, headers=headers))

    async def own_up(self, request: Request, error: Exception) -> Response:  # noqa: ARG002 - the traceback is logged
        """A defect of ours; the server logs its traceback."""
        return await self.refuse(request, own_fault())

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
        raise full(f"All {self._queue.capacity} places are taken", self._queue.retry_after())

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

    def hold(self, work: asyncio.Task[Any]) -> None:
        """Keep the place as long as the work lasts."""
        self._held = True
        work.add_done_callback(lambda _: self._endpoint.leave())

    def leave_unless_held(self) -> None:
        """Give it back, if no work was begun."""
        if not self._held:
            self._endpoint.leave()


def _state(fine: bool) -> Response:  # noqa: FBT001 - the one thing to tell
    body = {"status": "ok" if fine else "unavailable"}
    return Response(json.dumps(body), 200 if fine else 503, media_type="application/json")
