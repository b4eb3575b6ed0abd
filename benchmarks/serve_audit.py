"""What `speceyes serve --audit` costs: the same endpoint with audits and without, in turn.

    python benchmarks/serve_audit.py [--audit 0.02] [--repeats 5] [--seconds 60] [--clients 32]
                                     [--limit 40]

Makes a certificate on the embedded pair (`--limit` samples a split, at a level that so few can
certify), serves it, and drives both endpoints with the same requests. Exits 1 where the median
rate falls by more than `MOST_COST`, or the median answer takes longer by more.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx2 as httpx
from serve_load import Server, bodies, drive
from serve_versus import Rates
from versus import spread

MOST_COST = 0.02
LEVELS = ("--max-loss", "0.3", "--risk", "0.3")


def make_certificate(folder: Path, limit: int) -> Path:
    """A certificate of the embedded pair at the endpoint's own settings."""
    program = [sys.executable, "-P", "-m", "speceyes_cli"]
    run, made = str(folder / "both"), folder / "certificate.json"
    evaluated = [*program, "eval", "--both-branches", "--limit", str(limit), "--out", run]
    subprocess.run(evaluated, check=True, stdout=subprocess.DEVNULL)
    calibrated = [*program, "analyze", "calibrate", run, *LEVELS, "--out", str(made)]
    subprocess.run(calibrated, check=True)
    return made


async def measure(options: argparse.Namespace) -> bool:
    asked = bodies(options.pictures)
    found = {"without": Rates(), "with": Rates()}
    with tempfile.TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder), options.limit)
        for repeat in range(options.repeats):
            for name in ("without", "with") if repeat % 2 else ("with", "without"):
                audit = ["--audit", str(options.audit)] if name == "with" else []
                server = Server(["--certificate", str(certificate), *audit])
                try:
                    await drive(server, asked[:64], options.clients, options.seconds / 6)
                    before = server.cpu_seconds()
                    driven = await drive(server, asked, options.clients, options.seconds)
                    found[name].note(driven, server.cpu_seconds() - before)
                    print(f"{name}: {dict(driven.tally.statuses)}, {driven.told()}")
                    for line in httpx.get(f"{server.url}/metrics").text.splitlines():
                        if line.startswith(("speceyes_audits", "speceyes_promise")):
                            print(f"  {line}")
                finally:
                    server.process.kill()
                    server.process.wait()
    without, audited = found["without"], found["with"]
    for what, one, other in (
        ("answers a second", without.rates, audited.rates),
        ("processor ms an answer", without.processor, audited.processor),
        ("median seconds", without.median, audited.median),
    ):
        print(f"{what:24} without {spread(one)}   with {spread(other)}")
    rate = statistics.median(audited.rates) / statistics.median(without.rates)
    wait = statistics.median(audited.median) / statistics.median(without.median)
    print(f"rate {rate:.3f} times, median answer {wait:.3f} times")
    return rate >= 1 - MOST_COST and wait <= 1 + MOST_COST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audit", type=float, default=0.02)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--limit", type=int, default=40, help="samples a split to certify on")
    raise SystemExit(0 if asyncio.run(measure(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
