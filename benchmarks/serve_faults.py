"""`speceyes serve` among clients that begin and never finish, beside ordinary ones.

    python benchmarks/serve_faults.py [--seconds 120] [--clients 32] [--drips 8] [--half-open 200]
        [-- OPTIONS OF serve]

Drives the real program on the embedded pair with the real OpenAI client, first undisturbed, then
with clients that drip a request and connections that send none, each of which comes back when it is
closed; then stops it among them. Exits 1 when a step misses what it must show.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import platform
import signal
import sys
import time
from urllib.parse import urlsplit

from serve_load import Server, bodies, drive, read_arguments

MOST_SLOWDOWN = 1.5
"""Of the ordinary clients' median time."""
STOP_SECONDS = 5.0
STOP_GRACE = 2.0
DRIP_S = 0.2
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"


class Crowd:
    """Clients that never finish, and how often they were closed."""

    def __init__(self, url: str, drips: int, half_open: int) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname, parts.port)
        self.closed = 0
        kinds = itertools.cycle([BODY, HEAD + b"X-Half: "])
        self._tasks = [
            *(asyncio.create_task(self._come_back(next(kinds), DRIP_S)) for _ in range(drips)),
            *(asyncio.create_task(self._come_back(b"", None)) for _ in range(half_open)),
        ]

    async def _come_back(self, first: bytes, pause: float | None) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._hold(first, pause)
            self.closed += 1
            await asyncio.sleep(0.05)

    async def _hold(self, first: bytes, pause: float | None) -> None:
        """One connection, until the server closes it."""
        reader, writer = await asyncio.open_connection(*self._place)
        try:
            writer.write(first)
            while not reader.at_eof():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), pause)
                if pause is not None:
                    writer.write(b"x")
                    await writer.drain()
        finally:
            writer.transport.abort()

    async def leave(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def measure(options: argparse.Namespace) -> bool:
    print(f"python {' '.join(sys.argv)}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}")
    asked = bodies(64)
    server = Server(["--stop-seconds", str(STOP_SECONDS), *options.serve])
    try:
        await drive(server, asked, options.clients, min(10.0, options.seconds))  # warm
        calm = (await drive(server, asked, options.clients, options.seconds)).tally
        print(f"undisturbed: {dict(calm.statuses)}, {calm.spread('200')}")
        crowd = Crowd(server.url, options.drips, options.half_open)
        driven = await drive(server, asked, options.clients, options.seconds)
        beset = driven.tally
        print(f"with {options.drips} dripping and {options.half_open} half-open: ", end="")
        print(f"{dict(beset.statuses)}, {beset.spread('200')}; {crowd.closed} were closed")
        print(f"  {driven.told()}")
        slowdown = beset.percentile("200", 0.5) / calm.percentile("200", 0.5)
        print(f"  median {slowdown:.2f} times the undisturbed one")
        began = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(server.process.wait, 120)
        took = time.perf_counter() - began
        await crowd.leave()
        print(f"stopped among them in {took:.2f} s of {STOP_SECONDS:g}, exit code {code}")
    finally:
        server.process.kill()
        server.process.wait()
    return (
        set(calm.statuses) == set(beset.statuses) == {"200"}
        and slowdown < MOST_SLOWDOWN
        and driven.is_flat
        and took < STOP_SECONDS + STOP_GRACE
        and code == 0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--drips", type=int, default=8)
    parser.add_argument("--half-open", type=int, default=200)
    sys.exit(0 if asyncio.run(measure(read_arguments(parser))) else 1)


if __name__ == "__main__":
    main()
