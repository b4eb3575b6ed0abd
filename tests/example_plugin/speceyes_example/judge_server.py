"""A judging model on the loopback address that answers by rule, and misbehaves as told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("429", "500", "timeout", "cut", "cut_body", "malformed", "html", "no_choices")
HANG = 5.0
"""Seconds of a fault "timeout"; clients here wait much less."""


def honest(case: dict[str, Any]) -> str:
    """Right where the answer to judge holds the right one."""
    return "1" if case["right answer"] in case["answer to judge"] else "0"


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.contextmanager
def loopback(handle: Handle) -> Iterator[int]:
    """Serve connections on a free port until the block ends; gives the port."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        tasks = {asyncio.current_task()}
        while tasks:
            await asyncio.sleep(0.02)  # who was just accepted has a task then
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.02)  # transports close in a turn after

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass
class JudgeServer:
    """`asked` counts every question that reached it, `answered` those it answered well."""

    models: tuple[str, ...] = ("judge-1",)
    answer: Callable[[dict[str, Any]], str | None] = honest
    fault: Callable[[dict[str, Any], int], str | None] = lambda _case, _times: None
    """What goes wrong with a question that has been asked so many times before; None: nothing."""
    refuses: tuple[str, ...] = ()
    """Fields of a request that it does not know."""
    listing: bytes | None = None
    """The body of the list of models, where it is not a list."""
    delay: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    requests: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _now: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[JudgeServer]:
        """Serve on a free port until the block ends."""
        with loopback(self._serve) as port:
            self.url = f"http://127.0.0.1:{port}/v1"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [h for h in head.lower().splitlines() if h.startswith("content-length:")]
                body = await reader.readexactly(int(length[0].split(":")[1]) if length else 0)
                if not await self._reply(head, body, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()

    async def _reply(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is to be cut."""
        if " /v1/models " in head:
            data = [{"id": model, "object": "model"} for model in self.models]
            listing = json.dumps({"object": "list", "data": data}).encode()
            return await send(writer, self.listing if self.listing is not None else listing)
        request = json.loads(body)
        self.requests.append(request)
        if unknown := [name for name in self.refuses if name in request]:
            refusal = json.dumps({"error": {"message": f"Unknown parameters: {unknown}"}}).encode()
            return await send(writer, refusal, status="400 Bad Request")
        content = request["messages"][-1]["content"]
        case = json.loads(content)
        fault = self.fault(case, self.asked[content])
        self.asked[content] += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(HANG if fault == "timeout" else self.delay)
        finally:
            self._now -= 1
        if fault not in (None, "timeout"):
            return await misbehave(fault, writer)
        self.answered[content] += 1
        return await send(writer, completion(self.answer(case)))


def completion(text: str | None) -> bytes:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


async def misbehave(fault: str, writer: asyncio.StreamWriter) -> bool:
    """Send what is wrong; False when the connection is to be cut."""
    if fault in ("429", "500"):
        return await send(writer, b'{"error": {"message": "busy"}}', status=f"{fault} Busy")
    if fault == "cut":
        return False
    if fault == "cut_body":
        await send(writer, completion("1")[:40], length=500)
        return False
    bodies = {
        "malformed": b'{"choices": [{"index": 0, "mess',
        "html": b"<html><body>Bad gateway</body></html>",
        "no_choices": b'{"choices": []}',
    }
    return await send(writer, bodies[fault])


async def send(
    writer: asyncio.StreamWriter, body: bytes, status: str = "200 OK", length: int | None = None
) -> bool:
    """One response; retries are asked for soon, so that tests take little time."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after-ms: 5\r\n"
    writer.write(f"{head}content-length: {size}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


def any_fault(seed: int, share: float) -> Callable[[dict[str, Any], int], str | None]:
    """Faults of every kind, at random but the same for the same question and try."""

    def fault(case: dict[str, Any], times: int) -> str | None:
        chance = random.Random(f"{seed} {case['answer to judge']} {times}")
        return chance.choice(FAULTS) if chance.random() < share else None

    return fault
