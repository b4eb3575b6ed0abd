"""`speceyes serve` of this commit against another one, under the same clients.

    python benchmarks/serve_versus.py BASE [--repeats 3] [--seconds 60] [--clients 32]
                                           [--pictures 400] [-- OPTIONS OF serve]

Installs BASE and the commit that is checked out each into a copy of this environment, starts the
real program of either in turn on the embedded pair, and drives both with the same requests: whole
answers first, for the rate; then, of this commit, streams, for the time to their first byte and to
the first word of a thought. No two of the first `--pictures` requests share a picture.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import itertools
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from serve_load import Driven, Server, bodies, drive, read_arguments
from versus import environments, spread

FIRST_SHARE = 1 / 3
"""Of a streamed answer's time, the most that its first byte may take in the median."""
RATIO = 1.5


@dataclass
class Rates:
    """What several servings of one build gave."""

    rates: list[float] = field(default_factory=list)
    """Answers a second."""
    processor: list[float] = field(default_factory=list)
    """Milliseconds of the server's processor time for an answer."""
    median: list[float] = field(default_factory=list)
    """Seconds to an answer."""
    memory: list[float] = field(default_factory=list)
    """MB at the end."""

    def note(self, driven: Driven, processor: float) -> None:
        answers = driven.tally.statuses["200"]
        self.rates.append(answers / driven.seconds)
        self.processor.append(1000 * processor / max(1, answers))
        self.median.append(driven.tally.percentile("200", 0.5))
        self.memory.append(driven.late)


@dataclass
class Streamed:
    """Times of one streamed answer, in seconds."""

    first: float = 0.0
    thought: float | None = None
    whole: float = 0.0
    route: str = ""


async def stream(client: Any, body: dict[str, Any]) -> Streamed:
    began, told = time.perf_counter(), Streamed()
    async with await client.chat.completions.create(**body, stream=True) as events:
        async for chunk in events:
            now = time.perf_counter() - began
            told.first = told.first or now
            delta = chunk.choices[0].delta if chunk.choices else None
            thinks = delta is not None and (delta.model_extra or {}).get("reasoning_content")
            if thinks and told.thought is None:
                told.thought = now
            told.route = (chunk.model_extra or {}).get("speceyes", {}).get("route", told.route)
    told.whole = time.perf_counter() - began
    return told


async def streams(
    server: Server, asked: list[dict[str, Any]], clients: int, seconds: float
) -> list[Streamed]:
    """Clients that stream, each its next request when it has its answer."""
    end, numbers, found = time.perf_counter() + seconds, itertools.count(), list[Streamed]()
    async with server.client() as client:

        async def one() -> None:
            while time.perf_counter() < end:
                found.append(await stream(client, asked[next(numbers) % len(asked)]))

        await asyncio.gather(*(one() for _ in range(clients)))
    return found


def tell_streams(found: list[Streamed]) -> bool:
    counts = collections.Counter(one.route for one in found)
    print(f"streams: {len(found)} answers, by route {dict(counts)}")
    fell_back = [one for one in found if one.route == "large"]
    shares = [one.first / one.whole for one in fell_back]
    thoughts = [one.thought / one.whole for one in fell_back if one.thought is not None]
    if not shares:
        return False
    print(f"  that fell back: {spread([one.whole for one in fell_back])} s to the end")
    print(f"  first byte after this share of it    {spread(shares)}")
    if thoughts:
        print(f"  first thought after this share of it {spread(thoughts)}")
    return statistics.median(shares) <= FIRST_SHARE


async def measure(options: argparse.Namespace) -> bool:
    asked = bodies(options.pictures)
    found = {"base": Rates(), "now": Rates()}
    fine = True
    with environments(options.base) as made:
        for repeat in range(options.repeats):
            for name in ("base", "now"):
                server = Server(options.serve, str(made[name]))
                try:
                    await drive(server, asked[:64], options.clients, options.seconds / 6)
                    before = server.cpu_seconds()
                    driven = await drive(server, asked, options.clients, options.seconds)
                    found[name].note(driven, server.cpu_seconds() - before)
                    print(f"{name}: {dict(driven.tally.statuses)}, {driven.told()}")
                    if name == "now" and repeat == options.repeats - 1:
                        told = await streams(server, asked, options.clients, options.seconds)
                        fine &= tell_streams(told)
                finally:
                    server.process.kill()
                    server.process.wait()
    base, now = found["base"], found["now"]
    ratios = [b / a for a, b in zip(base.rates, now.rates, strict=True)]
    for what, one, other in (
        ("answers a second", base.rates, now.rates),
        ("processor ms an answer", base.processor, now.processor),
        ("median seconds", base.median, now.median),
        ("memory, MB", base.memory, now.memory),
    ):
        print(f"{what:24} base {spread(one)}   now {spread(other)}")
    print(f"{'ratio':24} {spread(ratios)}")
    return fine and statistics.median(ratios) >= RATIO


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="a commit")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=400)
    raise SystemExit(0 if asyncio.run(measure(read_arguments(parser))) else 1)


if __name__ == "__main__":
    main()
