"""Does `analyze replay` predict the speedup that a real run then measures?

Each round runs, on the embedded pair, both branches, the baseline, and the method at each setting,
then compares prediction and measurement. The ratio predicted / measured should be near 1; answers
must agree exactly. Rounds are interleaved, so that a machine that slows down slows all alike.

    python benchmarks/replay_speedup.py
    OMP_NUM_THREADS=1 python benchmarks/replay_speedup.py --clock cpu    # on a busy machine
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from speceyes_plugins.engines.transformers import engine
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.core.run.info import hardware
from speceyes_cli.host.manager import Host, build_host

SETTINGS = {
    "min > 0.98": ("--threshold", "0.98"),
    "min > 0.95, K = 32": ("--threshold", "0.95", "--top-k", "32"),
    "log > 0.6": ("--gate", "log", "--threshold", "0.6"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=60, help="samples of each split")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu counts a thread's own seconds: use it with OMP_NUM_THREADS=1",
    )
    arguments = parser.parse_args()
    if arguments.clock == "cpu":
        engine.time = SimpleNamespace(perf_counter=time.thread_time)
    print("command:", " ".join(["python", *sys.argv]))
    print("machine:", hardware(), "python", platform.python_version(), commit())
    host = build_host()
    ratios: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, ratio, text in one_round(host, Path(folder), arguments.limit):
                ratios[name].append(ratio)
                print(f"round {number + 1}  {name:20} {text}", flush=True)
    for name, found in ratios.items():
        low, middle, high = min(found), statistics.median(found), max(found)
        print(f"{name:20} predicted / measured: {middle:.3f} [{low:.3f}, {high:.3f}]")


def one_round(host: Host, folder: Path, limit: int) -> list[tuple[str, float, str]]:
    def speceyes(*words: str) -> str:
        done = CliRunner().invoke(build_app(host), list(words), obj=host)
        assert done.exit_code == 0, done.output
        return done.stdout

    def evaluate(name: str, *words: str) -> str:
        out = folder / name
        speceyes("eval", "--limit", str(limit), "--out", str(out), "--json", *words)
        return str(out)

    both = evaluate("both", "--both-branches")
    evaluate("baseline", "--method", "baseline")
    rows = []
    for place, (name, words) in enumerate(SETTINGS.items()):
        real = evaluate(f"real-{place}", *words)
        found = json.loads(speceyes("analyze", "replay", both, "--check", real, "--json"))
        predicted, measured = found["speedup_predicted"], found["speedup_measured"]
        ratio = predicted / measured
        text = f"predicted {predicted:.3f}  measured {measured:.3f}  ratio {ratio:.3f}"
        rows.append((name, ratio, text))
    return rows


def commit() -> str:
    words = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
