"""One endpoint: the `openai` client on an event loop of its own, paced; errors become sentences.

Retries are the client's, with its backoff and jitter; there is no second layer of them.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar

from speceyes_cli.plugin import one_line

Result = TypeVar("Result")

CONNECT_SECONDS = 10.0
CUT_EVERY = 1.0
"""Seconds between two cuts of the pace: refusals of one burst count once."""
SHOWN = 300
"""Characters of a server's own words that are kept."""


class EndpointError(Exception):
    """The endpoint did not answer as it should; the text is a clause without the address's key."""

    def __init__(self, text: str, status: int | None = None, said: str = "") -> None:
        super().__init__(text)
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
        self._key = key
        self._seconds = limits.seconds
        self._loop = asyncio.new_event_loop()
        self.pace = Pace(concurrency)
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=key or "none",  # servers without a key ignore it; the client wants one
            max_retries=limits.retries,
            timeout=openai.Timeout(limits.seconds, connect=CONNECT_SECONDS),
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [self._notice]}),
        )
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def complete(self, body: Mapping[str, Any], retries: int | None = None) -> Completion:
        """POST /chat/completions; raises `EndpointError`."""
        return self._run(lambda: self._complete(body, retries))

    def models(self) -> list[dict[str, Any]]:
        """GET /models; raises `EndpointError`."""
        listed = self._run(self._models).body.get("data")
        return [item for item in listed if isinstance(item, dict)] if listed else []

    def close(self) -> None:
        """Close every connection and end the loop."""
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _complete(self, body: Mapping[str, Any], retries: int | None) -> Completion:
        known = {"model": body["model"], "messages": body["messages"]}
        extra = {name: value for name, value in body.items() if name not in known}
        client = self._client if retries is None else self._client.with_options(max_retries=retries)
        async with self.pace:
            began = time.monotonic()
            request = client.chat.completions.with_raw_response.create(**known, extra_body=extra)
            raw = await asyncio.wait_for(request, self._seconds)
            self.pace.speed_up()
            return Completion(self._json(raw), time.monotonic() - began)

    async def _models(self) -> Completion:
        client = self._client.with_options(max_retries=1)
        return Completion(self._json(await client.models.with_raw_response.list()), 0.0)

    async def _notice(self, response: Any) -> None:
        if response.status_code == 429:  # noqa: PLR2004 - too many requests
            self.pace.slow_down(time.monotonic())

    def _run(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        openai = self._openai
        try:
            return asyncio.run_coroutine_threadsafe(call(), self._loop).result()
        except (TimeoutError, openai.APITimeoutError):
            raise EndpointError("it did not answer in time") from None
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            said = self._clean(str(cause) or type(cause).__name__)
            raise EndpointError(f"it cannot be reached ({said})") from None

    def _json(self, raw: Any) -> dict[str, Any]:
        response = raw.http_response
        try:
            body = json.loads(response.content)
        except ValueError:
            raise EndpointError(_no_json(response), response.status_code) from None
        if not isinstance(body, dict):
            raise EndpointError("it answered with JSON of another form", response.status_code)
        return body

    def _status_error(self, error: Any) -> EndpointError:
        status = error.status_code
        body = error.body
        if isinstance(body, Mapping):
            said = str(body.get("message") or body.get("detail") or body)
        else:
            said = "" if _is_page(error.response) else str(body or "")
        said = self._clean(said)
        if status in (401, 403):
            return EndpointError(f"it refuses the key (status {status})", status, said)
        if not said and _is_page(error.response):
            return EndpointError(f"{_no_json(error.response)} (status {status})", status)
        return EndpointError(f"it answered {status}: {said or 'nothing more'}", status, said)

    def _clean(self, text: str) -> str:
        """On one line, and without the key, which some servers repeat."""
        return one_line(text.replace(self._key, "***") if self._key else text, SHOWN)


def _no_json(response: Any) -> str:
    what = "a web page" if _is_page(response) else "something"
    return f"it answered with {what} that is no JSON: a proxy or a login may stand before it"


def _is_page(response: Any) -> bool:
    start = response.content[:200].lstrip().lower()
    return (
        start.startswith((b"<!doctype", b"<html"))
        or b"text/html" in response.headers.get("content-type", "").lower().encode()
    )
