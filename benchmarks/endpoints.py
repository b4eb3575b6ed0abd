"""The remote engine against the local one, and a remote run under load.

    python benchmarks/endpoints.py agree --limit 0
    python benchmarks/endpoints.py load --samples 5000 --delay 2

`agree` runs the embedded benchmark through two servers in vLLM's response shape and in process, and
compares routes, answers and per-token scores. `load` runs the baseline over a server that only
waits, and measures there how busy its places are, and the program's memory as the run goes on. The
servers are processes of their own (`tests/servers/vllm_server.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import read_run

SERVER = Path(__file__).parents[1] / "tests" / "servers" / "vllm_server.py"
PROGRAM = (sys.executable, "-m", "speceyes_cli")
PLACES = 64


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A server process: what it says at its start, and a mapping filled with what it says last."""
    command = [sys.executable, str(SERVER), *arguments]
    last: dict[str, Any] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), last
            out, _ = process.communicate("\n", timeout=60)
            last |= json.loads(out)
        finally:
            process.kill()


def run(*arguments: str) -> None:
    """One run of the program, its output kept away."""
    subprocess.run([*PROGRAM, "eval", *arguments], check=True, capture_output=True)


def choose(role: str, told: dict[str, Any]) -> list[str]:
    """The options that name a served model, with its own picture areas and patches."""
    low, high = (str(area) for area in told["areas"])
    named = [f"--{role}", f"{told['address']}?factor={told['factor']}"]
    return [*named, f"--{role}-min-pixels", low, f"--{role}-max-pixels", high]


def agree(limit: int) -> None:
    """Routes, answers and scores of the same samples, far and near."""
    with tempfile.TemporaryDirectory() as folder:
        far, near = Path(folder, "far"), Path(folder, "near")
        small = server("--model", "embedded", "--role", "small")
        large = server("--model", "embedded-qwen2.5", "--role", "large")
        with small as (first, _), large as (second, _):
            chosen = [*choose("small", first), *choose("large", second)]
            run(*chosen, "--limit", str(limit), "--out", str(far), "--max-errors", "9999")
        run("--limit", str(limit), "--out", str(near), "--max-errors", "9999")
        remote, local = read_run(far)[1], read_run(near)[1]
    pairs = list(zip(remote, local, strict=True))
    routes = sum(a.route == b.route for a, b in pairs)
    answers = sum(a.route == b.route and a.text == b.text for a, b in pairs)
    apart = [gap for a, b in pairs for gap in gaps(a, b)]
    errors = sum(a.route == "error" for a in remote)
    print(f"{len(pairs)} samples, {errors} errors")
    print(
        f"same route: {routes / len(pairs):.2%}; same route and answer: {answers / len(pairs):.2%}"
    )
    print(f"{len(apart)} token scores; largest difference of separability {max(apart):.2e}")


def gaps(a: Record, b: Record) -> list[float]:
    """How far the separabilities of two records' drafts lie apart, token by token."""
    if a.draft is None or b.draft is None:
        return []
    return [
        abs((x.separability or 0.0) - (y.separability or 0.0))
        for x, y in zip(a.draft.tokens, b.draft.tokens, strict=False)
    ]


def load(samples: int, delay: float) -> None:
    """A baseline run with 64 requests allowed, over a server that waits and says one answer."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.jsonl")
        Image.effect_noise((336, 336), 60).convert("RGB").save(Path(folder, "noise.png"))
        row = {"image": "noise.png", "question": "Which?", "options": ["a", "b"], "answer": "A"}
        lines = (json.dumps({"id": str(number), **row}) + "\n" for number in range(samples))
        data.write_text("".join(lines), encoding="utf-8")
        with server("--delay", str(delay), "--places", str(PLACES)) as (told, last):
            command = [
                *(*PROGRAM, "eval", "--method", "baseline", "--agent", "deepeyes"),
                *("--dataset", "jsonl", "--data", str(data), "--out", str(Path(folder, "run"))),
                *("--large", f"{told['address']}?factor=none", "--concurrency", str(PLACES)),
            ]
            began = time.monotonic()
            with subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                memory = list(watch(process))
        took = time.monotonic() - began
        _, records = read_run(Path(folder, "run"))
    assert process.returncode == 0, process.returncode
    answered = sum(record.route == "large" for record in records)
    print(
        f"{answered} of {samples} samples answered in {took:.0f} s, {delay:g} s each at the server"
    )
    share = last["busy_share"]
    told_share = "never filled" if share is None else f"{share:.1%}"
    print(f"busy share of {PLACES} places in the steady state: {told_share} (most {last['most']})")
    shown = [memory[len(memory) * part // 10] for part in (2, 4, 6, 8)] + [memory[-1]]
    print("resident MiB at 20, 40, 60, 80 and 100%:", ", ".join(f"{m:.0f}" for m in shown))


def watch(process: subprocess.Popen[bytes]) -> Iterator[float]:
    """Resident memory of a process in MiB, twice a second until it ends."""
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
            yield int(line.split()[1]) / 1024
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["agree", "load"])
    parser.add_argument("--limit", type=int, default=0, help="samples of each split; 0: all")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--delay", type=float, default=2.0)
    arguments = parser.parse_args()
    print("$", "python", "benchmarks/endpoints.py", *sys.argv[1:])
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores")
    if arguments.part == "agree":
        agree(arguments.limit)
    else:
        load(arguments.samples, arguments.delay)


if __name__ == "__main__":
    main()
