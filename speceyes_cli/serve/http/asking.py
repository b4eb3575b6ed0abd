"""From a question to its record: pictures, the sample, its policy, the queue."""

from __future__ import annotations

import asyncio
import logging
import uuid
from functools import partial

from speceyes_cli.core.agents import Policy
from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import ContextLengthError, PictureError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.token_limit import within_tokens
from speceyes_cli.core.run.records import ErrorNote
from speceyes_cli.core.samples import Sample
from speceyes_cli.serve.conversations import make_sample
from speceyes_cli.serve.http.errors import ApiError, closed
from speceyes_cli.serve.http.metrics import Metrics
from speceyes_cli.serve.http.requests import ChatQuestion
from speceyes_cli.serve.live import Live, watched
from speceyes_cli.serve.pictures.decoding import data_url, is_fetched
from speceyes_cli.serve.pictures.kept import KeptPictures
from speceyes_cli.serve.pictures.reader import PictureReader
from speceyes_cli.serve.queue import AnsweredRequest, QueueClosedError, RequestQueue
from speceyes_cli.serve.service import Service

log = logging.getLogger(__name__)


class Asking:
    """Gets questions answered."""

    def __init__(self, service: Service, queue: RequestQueue, metrics: Metrics) -> None:
        self._service = service
        self._queue = queue
        self._metrics = metrics
        self._reader = PictureReader(service.limits)
        self._kept = KeptPictures()

    async def answer(
        self, question: ChatQuestion, gate: Gate, live: Live | None
    ) -> AnsweredRequest:
        """The question's record; raises `ApiError` when there is no answer."""
        pictures = await self._pictures(question)
        sample = make_sample(uuid.uuid4().hex, question.turns, pictures)
        start = partial(self._start, sample, gate, question.max_tokens, live)
        try:
            future = self._queue.submit(sample, gate, start)
            answered = await asyncio.wrap_future(future)
        except QueueClosedError:
            raise closed() from None
        except asyncio.CancelledError:
            future.cancel()
            if not self._queue.is_open:
                raise closed() from None
            raise
        self._metrics.note_answer(answered)
        if answered.record.error is not None:
            raise _failed(answered.record.error)
        return answered

    async def fetched(self, question: ChatQuestion) -> dict[str, str]:
        """The conversation's pictures that lie behind an address, as data URLs by their addresses.

        All of its pictures are held to the operator's limits; raises `ApiError`.
        """
        try:
            found = await self._encoded(question)
            return {url: data_url(found[url]) for url in found if is_fetched(url)}
        except PictureError as error:
            raise _unusable(error) from None

    async def _pictures(self, question: ChatQuestion) -> dict[str, Picture]:
        """Each picture of the conversation, decoded, by its address."""
        found: dict[str, Picture] = {}
        try:
            for address, data in (await self._encoded(question)).items():
                found[address] = self._kept.picture(data)
                await self._reader.open(found[address])
        except PictureError as error:
            raise _unusable(error) from None
        return found

    async def _encoded(self, question: ChatQuestion) -> dict[str, bytes]:
        """Each picture's file by its address; raises `ApiError` and `PictureError`."""
        count, limits = len(question.addresses), self._service.limits
        if count > limits.pictures:
            told = f"The conversation has {count} pictures; {limits.pictures} at most."
            raise ApiError(400, told, "messages")
        found: dict[str, bytes] = {}
        held = 0
        for address in dict.fromkeys(question.addresses):
            found[address] = await self._reader.read(address)
            held += len(found[address])
            if held > limits.picture_bytes:
                most = f"{limits.picture_bytes:,}"
                raise PictureError(f"the pictures together have more than {most} bytes")
        return found

    def _start(
        self, sample: Sample, gate: Gate, max_tokens: int | None, live: Live | None
    ) -> Policy:
        policy = self._service.start(sample, gate)
        if max_tokens is not None:
            policy = within_tokens(policy, max_tokens)
        return policy if live is None else watched(policy, live, gate, sample.pictures)


def _unusable(error: PictureError) -> ApiError:
    text = f"The picture cannot be used: {error}".rstrip(".")
    return ApiError(400, f"{text}.", "messages", "invalid_image")


def _failed(failure: ErrorNote) -> ApiError:
    if failure.kind == ContextLengthError.__name__:
        return ApiError(400, failure.text, "messages", "context_length_exceeded")
    log.warning("a question failed in %s: %s: %s", failure.phase, failure.kind, failure.text)
    told = f"The question failed in phase {failure.phase!r} ({failure.kind})."
    return ApiError(500, told, code="failed")
