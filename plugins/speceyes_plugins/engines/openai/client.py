"""One endpoint: the `openai` client on an event loop of its own, paced; errors become sentences.

Retries are the client's, with its backoff and jitter; there is no second layer of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeVar

from speceyes_cli.plugin import (
    ForwardingError,
    OptionalFields,
    Secrets,
    hide_userinfo,
    one_line,
    open_client,
    proxy_before,
    refuses_key,
    watching,
)
from speceyes_plugins.engines.openai.presence import (
    PresenceWatch,
    ServerGoneError,
    Unanswered,
    opens,
)
from speceyes_plugins.engines.openai.streaming import STREAMED, Assembly
from speceyes_plugins.engines.server_events import EventReader

Result = TypeVar("Result")

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 4.0
"""For a fresh connection that tells whether the server is still there."""
TOLD_AS_THEY_ARE = (400, 413, 422, 429)
"""Statuses that are about the request, and so for whoever sent it."""
NO_SERVICE = (429, 502, 503, 504)
"""Statuses of an overloaded server, or of a gateway whose server is gone."""
OPTIONAL = (
    "repetition_penalty",
    "top_k",
    "include_stop_str_in_output",
    "no_stop_trim",
    "stream_options",
)
"""What requests say beyond OpenAI's interface and can do without."""
CUT_EVERY = 1.0
"""Seconds between two cuts of the pace: refusals of one burst count once."""
SHOWN = 300
"""Characters of a server's own words that are kept."""
KEY_REFUSED = 401
"""What `EndpointError.status` is then, whatever status the server has for it."""
MOST_BYTES = 32 * 2**20
"""Of an answer: a draft of 4,096 tokens with 64 log-probabilities each comes to about 20 MiB, and
parsed JSON takes up to twenty times its bytes."""


class EndpointError(Exception):
    """The endpoint did not answer as it should; the text is a clause without the address's key."""

    def __init__(
        self, text: str, status: int | None = None, said: str = "", *, gone: bool = False
    ) -> None:
        super().__init__(text)
        self.gone = gone
        """Nobody is there any more: every later ask would wait and fail too."""
        self.status = status
        """HTTP status, where there was an answer."""
        self.said = said
        """The server's own words."""


class RetryLimits(NamedTuple):
    """How long an endpoint is waited for."""

    retries: int = 7
    """With the client's backoff, 0.5 s doubling up to 8 s, it may be away for half a minute."""
    seconds: float = 900.0
    """What one request may take in all, retries included: a slow drip ends here."""
    look: float = 120.0
    """The same for a question of the probe: one token of a server that is still warming up."""
    compiling: float = 300.0
    """The same for the first question with log-probabilities, for which vLLM compiles."""
    gone: float = 20.0
    """How long a server may take no fresh connection before the answers that are out are lost."""


LIMITS = RetryLimits()


class Completion(NamedTuple):
    """A JSON answer."""

    body: dict[str, Any]
    seconds: float
    """From sending to the last byte, retries included, waiting for a free place not."""


class Pace:
    """How many requests may be under way: half as many after a 429, one more after a good round.

    For one event loop.
    """

    def __init__(self, most: int) -> None:
        self.limit = float(most)
        self._most = most
        self._busy = 0
        self._cut = -CUT_EVERY
        self._free = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._free:
            await self._free.wait_for(lambda: self._busy < int(self.limit))
            self._busy += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._free:
            self._busy -= 1
            self._free.notify_all()

    def slow_down(self, now: float) -> None:
        """The server is overloaded; `now` is a monotonic time."""
        if now - self._cut >= CUT_EVERY:
            self._cut = now
            self.limit = max(1.0, self.limit / 2)

    def speed_up(self) -> None:
        """A request went well."""
        self.limit = min(float(self._most), self.limit + 1 / self.limit)


class EndpointClient:
    """Blocking calls, for many threads at once."""

    def __init__(self, url: str, key: str, concurrency: int, limits: RetryLimits = LIMITS) -> None:
        import openai  # noqa: PLC0415 - slow to import

        self.url = url
        self._openai = openai
        self._secrets = Secrets(key)
        self._limits = limits
        self.pace = Pace(concurrency)
        self._fields = OptionalFields(OPTIONAL)
        self._unanswered = Unanswered()
        self._watch = PresenceWatch(lambda: opens(self._fresh_client), limits.gone)
        self._client = open_client(
            url,
            key,
            seconds=limits.seconds,
            connect_seconds=CONNECT_SECONDS,
            most_bytes=MOST_BYTES,
            retries=limits.retries,
            connections=concurrency,
            check=self._notice,
        )
        self._fresh_client = partial(
            open_client,
            url,
            key,
            seconds=LOOK_SECONDS,
            connect_seconds=LOOK_SECONDS,
            most_bytes=MOST_BYTES,
            retries=0,
            connections=1,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def complete(
        self, body: Mapping[str, Any], tell: Callable[[str], None] | None = None
    ) -> Completion:
        """POST /chat/completions; raises `EndpointError`.

        With `tell` the answer is streamed, and its text so far told as it comes.
        """
        limit = self._limits.seconds
        try:
            if tell is None:
                done = self._run(lambda: self._complete(body, self._client, limit))
            else:
                done = self._run(lambda: self._stream(body, limit, tell))
        except EndpointError as error:
            if error.status is None or error.status in NO_SERVICE:
                error.gone |= self._unanswered.given_up()
            raise
        self._unanswered.answered()
        return done

    def look(
        self, body: Mapping[str, Any], retries: int, *, compiles: bool = False
    ) -> Mapping[str, Any]:
        """The answer to a question of the probe, which is waited for less long."""
        client = self._client.with_options(max_retries=retries)
        seconds = self._limits.compiling if compiles else self._limits.look
        most = min(seconds, self._limits.seconds)
        answer: Completion = self._run(lambda: self._complete(body, client, most))
        return answer.body

    @property
    def refused(self) -> frozenset[str]:
        """The fields that the server has refused, which requests leave out."""
        return self._fields.refused

    def models(self) -> list[dict[str, Any]]:
        """GET /models; raises `EndpointError`."""
        listed = self._run(self._models).body.get("data")
        found = listed if isinstance(listed, list) else []
        return [item for item in found if isinstance(item, dict)]

    def forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> Future[None]:
        """See `Forwarding.forward`; nothing is tried again, which is the client's to do."""
        return asyncio.run_coroutine_threadsafe(self._forward(body, emit), self._loop)

    def tells_secret(self, text: str) -> bool:
        """Whether the text holds the key, which must not be kept."""
        return self._secrets.hide(text) != text

    def close(self) -> None:
        """Close every connection and end the loop."""
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _complete(self, body: Mapping[str, Any], client: Any, seconds: float) -> Completion:
        known = {name: body[name] for name in ("model", "messages", "stream") if name in body}
        extra = {name: value for name, value in body.items() if name not in known}

        async def send(kept: dict[str, Any]) -> Any:
            create = client.chat.completions.with_raw_response.create
            return await create(**known, extra_body=kept)

        async with self.pace:
            began = time.monotonic()
            async with asyncio.timeout(seconds):
                raw = await self._watch.during(self._fields.send(send, extra))
            self.pace.speed_up()
            kind = raw.http_response.headers.get("content-type", "")
            streamed = kind.lower().startswith("text/event-stream")
            return Completion({} if streamed else self._json(raw), time.monotonic() - began)

    async def _stream(
        self, body: Mapping[str, Any], seconds: float, tell: Callable[[str], None]
    ) -> Completion:
        whole = Assembly(lambda text: tell(self._secrets.hide(text)))
        with watching(whole.feed):
            done = await self._complete({**body, **STREAMED}, self._client, seconds)
        return done if done.body else done._replace(body=self._secrets.hide_in(whole.body))

    async def _models(self) -> Completion:
        client = self._client.with_options(max_retries=1)
        async with asyncio.timeout(min(self._limits.look, self._limits.seconds)):
            raw = await client.models.with_raw_response.list()
        return Completion(self._json(raw), 0.0)

    async def _forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> None:
        reader = EventReader()
        create = self._client.with_options(max_retries=0).chat.completions.with_raw_response.create
        known = {name: body[name] for name in ("model", "messages", "stream") if name in body}
        extra = {name: value for name, value in body.items() if name not in known}

        async def send() -> Any:
            return await create(**known, extra_body=extra)

        def watch(data: bytes) -> None:
            for event in reader.feed(data):
                emit(self._secrets.hide_in(event))

        async with self.pace:
            with self._handing_on(), watching(watch):
                async with asyncio.timeout(self._limits.seconds):
                    raw: Any = await self._watch.during(send())
                if not body.get("stream"):
                    emit(self._json(raw))

    def _notice(self, response: Any) -> None:
        if response.status_code == 429:  # noqa: PLR2004 - too many requests
            self.pace.slow_down(time.monotonic())

    def _run(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        with self._sentences():
            return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    @contextlib.contextmanager
    def _handing_on(self) -> Iterator[None]:
        """Whatever goes wrong as a `ForwardingError`."""
        try:
            with self._sentences():
                yield
        except EndpointError as error:
            if error.status in TOLD_AS_THEY_ARE:
                raise ForwardingError(error.status or 400, error.said or str(error)) from None
            raise ForwardingError(502, f"The model's endpoint failed: {error}.") from None

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Whatever goes wrong as an `EndpointError`."""
        openai = self._openai
        try:
            yield
        except ServerGoneError:
            raise EndpointError(
                f"it has taken no connection for {self._limits.gone:g} seconds", gone=True
            ) from None
        except (TimeoutError, openai.APITimeoutError):
            raise EndpointError("it did not answer in time") from None
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except openai.APIConnectionError as error:
            raise self._connection_error(error.__cause__ or error) from None
        except openai.OpenAIError as error:
            raise EndpointError(self._clean(str(error))) from None

    def _json(self, raw: Any) -> dict[str, Any]:
        response = raw.http_response
        try:
            # Log-probabilities are thousands of strings, of which the engine keeps the tokens' own,
            # and none that spell a secret (`tells_secret`).
            body = self._secrets.hide_in(json.loads(response.content), but="logprobs")
        except RecursionError:
            raise EndpointError(
                "it answered with JSON that is nested too deeply", response.status_code
            ) from None
        except ValueError:
            raise EndpointError(_no_json(response), response.status_code) from None
        if not isinstance(body, dict):
            raise EndpointError("it answered with JSON of another form", response.status_code)
        return body

    def _connection_error(self, cause: BaseException) -> EndpointError:
        import httpx2  # noqa: PLC0415 - slow to import

        said = self._clean(str(cause) or type(cause).__name__)
        gone = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError)
        proxy = proxy_before(self.url) if gone else None
        through = f" through the proxy {proxy}" if proxy else ""
        return EndpointError(f"it cannot be reached{through} ({said})", gone=gone)

    def _status_error(self, error: Any) -> EndpointError:
        status, response = error.status_code, error.response
        if response.is_redirect:
            where = self._clean(response.headers.get("location", ""))
            return EndpointError(f"it answered {status}: it has moved to {where}", status)
        page = _is_page(response)
        said = self._clean("" if page else words_of(error.body) or response.text)
        if refuses_key(error):
            return EndpointError(f"it refuses the key (status {status})", KEY_REFUSED, said)
        if not said and page:
            return EndpointError(f"{_no_json(response)} (status {status})", status)
        return EndpointError(f"it answered {status}: {said or 'nothing more'}", status, said)

    def _clean(self, text: str) -> str:
        """On one line, and without the key or a password, which some servers repeat."""
        return one_line(self._secrets.hide(hide_userinfo(text)), SHOWN)


def words_of(body: Any) -> str:
    """The sentence in an error's JSON; empty where there is none."""
    if isinstance(body, str):  # vLLM's {"error": "Unauthorized"}
        return body
    words = body if isinstance(body, Mapping) else {}
    found = (words.get(name) for name in ("message", "detail"))
    return next((text for text in found if isinstance(text, str) and text), "")


def _no_json(response: Any) -> str:
    what = "a web page" if _is_page(response) else "something"
    return f"it answered with {what} that is no JSON: a proxy or a login may stand before it"


def _is_page(response: Any) -> bool:
    start = response.content[:200].lstrip().lower()
    return (
        start.startswith((b"<!doctype", b"<html"))
        or b"text/html" in response.headers.get("content-type", "").lower().encode()
    )
