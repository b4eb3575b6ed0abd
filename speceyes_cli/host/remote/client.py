"""An HTTP client whose every exchange has one time limit and one size limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import openai

from speceyes_cli.host.remote.watching import WATCHER

ENCODINGS = ("", "identity", "gzip", "deflate")
"""Other content encodings pack so much into a network packet that no limit of bytes would hold."""


class BodyTooLongError(openai.OpenAIError):
    """The answer was longer than it may be; the `openai` client does not ask again after this."""


class LimitedClient(httpx2.AsyncClient):
    """For the `openai` client, whose retries are made around it.

    httpx2's own time limits are for each read: a server that sends a byte now and then is waited
    for without end. Here `seconds` hold from connecting to the last byte, redirects included.
    """

    def __init__(
        self,
        seconds: float,
        most_bytes: int,
        check: Callable[[httpx2.Response], None] = lambda _: None,
        **options: Any,
    ) -> None:
        """`check` sees each whole response, and may raise a `RequestError` to have it repeated."""
        super().__init__(headers={"Accept-Encoding": "gzip, deflate"}, **options)
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._check = check

    async def send(
        self, request: httpx2.Request, *, stream: bool = False, **options: Any
    ) -> httpx2.Response:
        """The whole response, also where a stream is asked for, which is watched meanwhile.

        Raises `ReadTimeout` after `seconds`, `BodyTooLongError`, and what httpx2 raises.
        """
        del stream
        try:
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, stream=True, **options)
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx2.ReadTimeout(
                f"no whole answer within {self._seconds:g} seconds", request=request
            ) from None
        whole = _whole(response, body)
        self._check(whole)
        return whole

    async def _read(self, response: httpx2.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise httpx2.DecodingError(
                "its answer is in a content encoding that was not asked for",
                request=response.request,
            )
        body = bytearray()
        watcher = WATCHER.get() if _is_stream(response) else None
        if watcher is not None:
            watcher(b"")
        async for chunk in response.aiter_bytes():
            body += chunk
            if watcher is not None and chunk:
                watcher(chunk)
            if len(body) > self._most_bytes:
                raise BodyTooLongError(f"its answer has more than {self._most_bytes:,} bytes")
        return bytes(body)


def _is_stream(response: httpx2.Response) -> bool:
    kind = response.headers.get("content-type", "")
    return response.is_success and kind.lower().startswith("text/event-stream")


def _whole(response: httpx2.Response, body: bytes) -> httpx2.Response:
    """The response as one that came unpacked and in UTF-8, whatever its headers say."""
    left = ("content-encoding", "content-length", "transfer-encoding")
    whole = httpx2.Response(
        response.status_code,
        headers=[
            (name, value) for name, value in response.headers.multi_items() if name not in left
        ],
        content=body,
        request=response.request,
    )
    whole.encoding = "utf-8"
    return whole
