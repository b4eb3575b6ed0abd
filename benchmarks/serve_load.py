"""`speceyes serve` under load: steady clients, ten times its capacity, killed clients, a stop.

    python benchmarks/serve_load.py [--seconds 120] [--clients 32] [--requests N]
                                         [-- OPTIONS OF serve]

Starts the real program on the embedded pair, drives it with the real OpenAI client, and prints what
came back and what the server's memory did. Exits 1 when a step misses what it must show.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import collections
import io
import itertools
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
import openai

OVERLOAD = 10
QUICK_S = 1.0
"""The median 429 may take this long."""
MOST_GROWTH = 1.25
"""Memory at the end of the steady step, against its first quarter."""


def bodies(count: int) -> list[dict[str, Any]]:
    """Requests about different pictures of the needle benchmark."""
    from speceyes_cli.core.samples import question_text
    from speceyes_cli.host.manager import build_host
    from speceyes_cli.host.specs import DataSource

    dataset = build_host().datasets.get("needle")
    splits = zip(*(dataset.open(split, DataSource()) for split in dataset.splits), strict=True)
    made = []
    for sample in itertools.islice(itertools.chain.from_iterable(splits), count):
        out = io.BytesIO()
        sample.picture.open().save(out, "PNG")
        url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": question_text(sample)},
        ]
        made.append({"model": "speceyes", "messages": [{"role": "user", "content": content}]})
    return made


class Server:
    """The program, and what the system and /metrics say of it."""

    def __init__(self, options: list[str], python: str = sys.executable) -> None:
        command = [python, "-P", "-m", "speceyes_cli", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        for line in self.process.stderr:
            print(f"  {line.rstrip()}")
            if found := re.search(r"served at (http://\S+)/v1", line):
                self.url = found.group(1)
                return
        raise SystemExit("the server did not start")

    def memory_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def inside(self) -> int:
        return int(self.metric("speceyes_live") + self.metric("speceyes_waiting"))

    def client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=600
        )


class Tally:
    """Statuses and seconds of requests."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)

    async def send(self, client: openai.AsyncOpenAI, body: dict[str, Any]) -> None:
        began = time.perf_counter()
        try:
            await client.chat.completions.create(**body)
            status = "200"
        except openai.APIStatusError as error:
            status = str(error.status_code)
        except openai.APIError as error:
            status = type(error).__name__
        self.statuses[status] += 1
        self.seconds[status].append(time.perf_counter() - began)

    def percentile(self, status: str, share: float) -> float:
        ordered = sorted(self.seconds[status])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def spread(self, status: str) -> str:
        shares = {"median": 0.5, "p95": 0.95, "most": 1.0}
        return ", ".join(f"{name} {self.percentile(status, s):.3f} s" for name, s in shares.items())


class Driven(NamedTuple):
    """What steady clients met, and the most memory in the first and in the last quarter, in MB."""

    tally: Tally
    early: float
    late: float
    seconds: float

    @property
    def is_flat(self) -> bool:
        """Whether memory grew by less than a start may take."""
        return self.late < MOST_GROWTH * self.early

    def told(self) -> str:
        return f"memory {self.early:.0f} MB in the first quarter, {self.late:.0f} MB in the last"


async def drive(
    server: Server, asked: list[dict[str, Any]], clients: int, seconds: float, requests: int = 0
) -> Driven:
    """Clients that each send the next request when they have their answer.

    With `requests` they send so many, however long that takes.
    """
    tally, numbers, memory = Tally(), itertools.count(), list[float]()
    began = time.perf_counter()
    end = began + seconds
    sent = 0

    def goes_on() -> bool:
        return sent < requests if requests else time.perf_counter() < end

    async with server.client() as client:

        async def one() -> None:
            nonlocal sent
            while goes_on():
                sent += 1
                await tally.send(client, asked[next(numbers) % len(asked)])

        async def watch() -> None:
            while goes_on():
                memory.append(server.memory_mb())
                await asyncio.sleep(1.0 if requests else seconds / 40)

        await asyncio.gather(watch(), *(one() for _ in range(clients)))
    quarter = max(1, len(memory) // 4)
    took = time.perf_counter() - began
    return Driven(tally, max(memory[:quarter]), max(memory[-quarter:]), took)


async def steady(server: Server, asked: list[dict[str, Any]], options: argparse.Namespace) -> bool:
    clients = options.clients
    driven = await drive(server, asked, clients, options.seconds, options.requests)
    tally = driven.tally
    pace = tally.statuses["200"] / driven.seconds
    print(f"steady: {clients} clients, {driven.seconds:.0f} s: {dict(tally.statuses)}, ", end="")
    print(f"{pace:.2f} answers/s; {tally.spread('200')}")
    print(f"  {driven.told()}")
    print(
        f"  alpha {server.metric('speceyes_alpha'):.3f}, beta {server.metric('speceyes_beta'):.3f}"
    )
    return set(tally.statuses) == {"200"} and driven.is_flat


async def overload(server: Server, asked: list[dict[str, Any]]) -> bool:
    """Ten times what fits, at once from a process of its own; one client beside it is timed."""
    capacity = int(server.metric("speceyes_capacity"))
    before = server.memory_mb()
    crowd = await asyncio.create_subprocess_exec(
        *crowd_of("burst", OVERLOAD * capacity, server), stdout=subprocess.PIPE
    )
    counted = asyncio.create_task(crowd.communicate())
    beside, after = Tally(), Tally()
    async with server.client() as client:
        while server.inside() < capacity / 2 and not counted.done():  # noqa: ASYNC110 - another process is watched
            await asyncio.sleep(0.05)
        while not counted.done():
            await beside.send(client, asked[0])
            await asyncio.sleep(0.05)
        for body in asked[:4]:
            await after.send(client, body)
    statuses = json.loads((await counted)[0])
    print(f"overload: {OVERLOAD * capacity} requests at once, capacity {capacity}: {statuses}")
    print(f"  a client beside them: {dict(beside.statuses)}, 429 after {beside.spread('429')}")
    print(f"  memory {before:.0f} -> {server.memory_mb():.0f} MB; then {dict(after.statuses)}")
    quick = beside.statuses["429"] > 0 and beside.percentile("429", 0.5) < QUICK_S
    return quick and set(statuses) == {"200", "429"} and set(after.statuses) == {"200"}


async def wait_idle(server: Server, seconds: float) -> bool:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if not server.inside():
            return True
        await asyncio.sleep(0.1)
    return False


async def killed(server: Server, clients: int) -> bool:
    victim = subprocess.Popen(crowd_of("drown", clients, server))  # noqa: ASYNC220 - nothing else goes on meanwhile
    while server.inside() < clients / 2:  # noqa: ASYNC110 - another process is watched
        await asyncio.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    began = time.perf_counter()
    idle = await wait_idle(server, 60)
    took = time.perf_counter() - began
    before = server.cpu_seconds()
    await asyncio.sleep(2)
    burnt = server.cpu_seconds() - before
    print(f"killed: {clients} clients; nothing live after {took:.2f} s, ", end="")
    print(f"then {burnt:.2f} s of CPU in 2 s")
    return idle and burnt < 1


async def stopped(server: Server, asked: list[dict[str, Any]]) -> bool:
    tally = Tally()
    async with server.client() as client:
        sent = [asyncio.create_task(tally.send(client, body)) for body in asked[:4]]
        while not server.inside():  # noqa: ASYNC110 - another process is watched
            await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*sent)
    code = server.process.wait(60)
    print(f"stopped with {len(sent)} in flight: {dict(tally.statuses)}, exit code {code}")
    return set(tally.statuses) == {"200"} and code == 0


def crowd_of(what: str, clients: int, server: Server) -> list[str]:
    """The command of a process of clients."""
    words = ["--crowd", what, "--clients", str(clients), "--url", server.url]
    return [sys.executable, __file__, *words]


async def crowd(what: str, url: str, clients: int) -> None:
    """Each client asks once ("burst"), or again and again ("drown"); prints the statuses."""
    asked = bodies(8)
    tally, numbers = Tally(), itertools.count()
    async with openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=600
    ) as client:

        async def one() -> None:
            await tally.send(client, asked[next(numbers) % 8])
            while what == "drown":
                await tally.send(client, asked[next(numbers) % 8])

        await asyncio.gather(*(one() for _ in range(clients)))
    print(json.dumps(tally.statuses))


async def measure(options: argparse.Namespace) -> bool:
    print(f"python {' '.join(sys.argv)}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}, openai {openai.__version__}")
    asked = bodies(64)
    print(f"bodies of {sum(len(json.dumps(b)) for b in asked) / len(asked) / 1024:.0f} KiB")
    server = Server(options.serve)
    try:
        fine = [await steady(server, asked, options)]
        fine.append(await overload(server, asked))
        fine.append(await killed(server, options.clients))
        fine.append(await stopped(server, asked))
    finally:
        server.process.kill()
        server.process.wait()
    return all(fine)


def read_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The benchmark's own options, and as `serve` those of `speceyes serve`, which follow `--`."""
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    parser.usage = f"{parser.format_usage().removeprefix('usage: ').rstrip()} [-- OPTIONS OF serve]"
    return parser.parse_args(given[:end], argparse.Namespace(serve=given[end + 1 :]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=0, help="so many, however long it takes")
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = read_arguments(parser)
    if options.crowd:
        asyncio.run(crowd(options.crowd, options.url, options.clients))
        return
    sys.exit(0 if asyncio.run(measure(options)) else 1)


if __name__ == "__main__":
    main()
