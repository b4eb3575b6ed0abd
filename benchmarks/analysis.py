"""Time and peak memory of every analysis on synthetic records, written by the real store.

    python benchmarks/analysis.py --records 10000
    python benchmarks/analysis.py --records 100000 --cases read --beside ../before

Each analysis runs in a process of its own; its time is also given as a multiple of reading the run.
`--beside` names a checkout of another version with its environment in .venv: every case is then
measured there too, on the same folder, which it writes, the two in turn.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
TOKENS = 4
RIVALS = 63
AGENT_RIGHT = 0.8


def write_run(folder: Path, count: int) -> None:
    """A both-branches run of the needle benchmark with `count` drafts of four tokens each."""
    from speceyes_cli.core.run.records import TokenNote
    from speceyes_cli.core.run.store import open_store
    from tests.analysis.conftest import Spec, run_of

    generator = np.random.default_rng(0)
    scores = generator.uniform(0.5, 0.999, count)
    run = run_of(
        [
            Spec(
                float(score),
                bool(generator.random() < score),
                bool(generator.random() < AGENT_RIGHT),
            )
            for score in scores
        ],
        dataset="needle",
    )
    with open_store(folder, run.info, "fresh") as store:
        store._database.execute("PRAGMA synchronous = OFF")
        for record in run.records:
            assert record.draft is not None
            [first] = record.draft.tokens
            gaps = generator.gamma(4.0, 2.0, (TOKENS, RIVALS))
            gaps.sort(axis=1)
            tokens = tuple(
                TokenNote(**{**first.model_dump(), "margin": row[0], "rivals": tuple(row)})
                for row in gaps.tolist()
            )
            draft = record.draft.model_copy(update={"tokens": tokens})
            store.add(record.model_copy(update={"draft": draft}))


def measure(arguments: list[str], checkout: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak GiB of one process."""
    own = checkout == ROOT
    python = sys.executable if own else checkout / ".venv" / "bin" / "python"
    began = time.perf_counter()
    done = subprocess.run(
        [python, __file__, "--inside", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    busy, peak = (float(part) for part in done.stdout.splitlines()[-1].split())
    return time.perf_counter() - began, busy, peak / 2**20


def inside(arguments: list[str]) -> None:
    sys.path.insert(0, str(Path.cwd()))  # the checkout that is measured
    from speceyes_cli.app import build_app
    from speceyes_cli.core.tables.summaries import load_run
    from speceyes_cli.host.manager import build_host

    if arguments[0] == "write":  # apart: a process inherits the peak of the one that starts it
        write_run(Path(arguments[1]), int(arguments[2]))
    elif arguments[0] == "read":
        load_run(Path(arguments[1]))
    else:
        host = build_host()
        words = arguments if arguments[0] in ("gather", "judge") else ["analyze", *arguments]
        build_app(host)(words, obj=host, standalone_mode=False)
    print()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", help="with commas between them; all by default")
    parser.add_argument("--beside", type=Path, help="another checkout, with its .venv")
    options = parser.parse_args()
    print("command:", " ".join(["python", *sys.argv]))
    print("hardware:", platform.machine(), platform.processor(), "| Python", sys.version.split()[0])
    with tempfile.TemporaryDirectory() as place:
        run = Path(place, "run")
        builds = [ROOT, *([options.beside.resolve()] if options.beside else [])]
        measure(
            ["write", str(run), str(options.records)], builds[-1]
        )  # the elder reads no newer run
        cases = {
            "read": ["read", str(run)],
            "gather": ["gather", str(run)],
            "confidence": ["confidence", str(run), "--out", f"{place}/figures"],
            "replay": ["replay", str(run), "--gate", "all"],
            "calibrate": ["calibrate", str(run), "--out", f"{place}/certificate.json"],
            "drift": ["drift", str(run), "--certificate", f"{place}/certificate.json"],
            "ablation": ["ablation", str(run), "--out", f"{place}/ablation"],
            "report": ["report", str(run), "--out", f"{place}/report.html"],
            "judge": ["judge", str(run), "--judge", "rules", "--fresh"],  # last: it writes verdicts
        }
        wanted = options.cases.split(",") if options.cases else list(cases)
        reading: dict[Path, float] = {}
        for name in wanted:
            turns = [[measure(cases[name], one) for one in builds] for _ in range(options.repeats)]
            for build, measured in zip(builds, zip(*turns, strict=True), strict=True):
                seconds = [taken for taken, _, _ in measured]
                middle = statistics.median(seconds)
                first = reading.setdefault(build, middle)
                print(
                    f"{build.name}: {name:10} n = {options.records}: {middle:6.2f} s "
                    f"[{min(seconds):.2f}, {max(seconds):.2f}], {middle / first:.2f}x {wanted[0]}, "
                    f"processor {min(busy for _, busy, _ in measured):.2f} s, "
                    f"peak {max(peak for _, _, peak in measured):.2f} GiB"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2:])
    else:
        main()
