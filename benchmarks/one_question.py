"""How long one client waits for one question, of this commit and of another.

    python benchmarks/one_question.py BASE [--questions 40]

Starts `speceyes serve` of both builds, as benchmarks/versus.py installs them, on the same models,
and of this one with --race, and asks each the same questions one after the other, the first of them
to warm it. Prints median seconds by the route that a question took.
"""

from __future__ import annotations

import argparse
import collections
import signal
import statistics
import sys
import time

import httpx2 as httpx
from serve_load import Server, bodies
from versus import MODELS, environments

WARM = 5


def ask(server: Server, count: int) -> dict[str, list[float]]:
    """Seconds of each question, by its route."""
    seconds: dict[str, list[float]] = collections.defaultdict(list)
    with httpx.Client(timeout=120) as client:
        for number, body in enumerate(bodies(count + WARM)):
            began = time.perf_counter()
            answer = client.post(f"{server.url}/v1/chat/completions", json=body)
            taken = time.perf_counter() - began
            answer.raise_for_status()
            if number >= WARM:
                seconds[answer.headers["X-SpecEyes-Route"]].append(taken)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--questions", type=int, default=40)
    chosen = parser.parse_args()
    print("python", " ".join(sys.argv))
    with environments(chosen.base) as builds:
        for name, build, options in (
            ("base", "base", []),
            ("now", "now", []),
            ("now, --race", "now", ["--race"]),
        ):
            server = Server([*MODELS, *options], str(builds[build]))
            try:
                found = ask(server, chosen.questions)
            finally:
                server.process.send_signal(signal.SIGTERM)
                server.process.wait()
            for route, seconds in sorted(found.items()):
                middle = statistics.median(seconds)
                print(
                    f"{name:12} {route:6} {middle:.4f} s "
                    f"({min(seconds):.4f} to {max(seconds):.4f}, {len(seconds)} questions)"
                )


if __name__ == "__main__":
    main()
