"""The page's times and memory over many runs, with the real program and a real client.

    python benchmarks/view.py --runs 100 --records 2000

Runs are written by the store; their records hold what an agent's do, some eight thousand
characters each. Told are: the first page after the start, the same once all is read, one sample,
a list, the wait until all is read, the curve of the what-if slider at `--branches` samples, and the
process's peak memory before and after that.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np

ROOT = Path(__file__).parent.parent
PADDING = "The agent looks at a part of the picture and says what it sees there. " * 100


def write_runs(folder: Path, runs: int, records: int, branches: int) -> None:
    sys.path.insert(0, str(ROOT))
    from speceyes_cli.core.run.records import MessageNote
    from speceyes_cli.core.run.store import open_store
    from tests.analysis.conftest import Spec, run_of

    sys.path.insert(0, str(ROOT / "benchmarks"))
    from analysis import write_run

    generator = np.random.default_rng(0)
    said = {"agent": (MessageNote(role="assistant", content=(PADDING,)),)}
    for number in range(runs):
        specs = [
            Spec(float(score), bool(generator.random() < score), one_branch=True)
            for score in generator.uniform(0.5, 0.999, records)
        ]
        method = "baseline" if number % 20 == 0 else "speceyes"
        run = run_of(specs, method=method, threshold=0.9 + number / 1100, large=f"l{number // 20}")
        with open_store(folder / f"run-{number:03d}", run.info, "fresh") as store:
            store._database.execute("PRAGMA synchronous = OFF")
            store.add(*(record.model_copy(update={"messages": said}) for record in run.records))
            store.update(status="finished")
    if branches:
        write_run(folder / "both", branches)


def peak(process: int) -> float:
    """MiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) / 1024


def timed(client: httpx.Client, path: str, times: int = 5) -> tuple[float, httpx.Response]:
    """The median milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get(path)
        taken.append(1000 * (time.perf_counter() - began))
        answer.raise_for_status()
    return statistics.median(taken), answer


def measure(folder: Path, branches: int) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "speceyes_cli", "view", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        address = process.stderr.readline().split()[4]
        began = time.perf_counter()
        client = httpx.Client(follow_redirects=True, timeout=600)
        first = client.get(address)
        first.raise_for_status()
        print(f"first page            {1000 * (time.perf_counter() - began):8.0f} ms")
        base, listed = address.partition("?")[0], first.text
        while "Records are being read" in listed:
            time.sleep(0.2)
            listed = client.get(base).text
        print(f"all read              {time.perf_counter() - began:8.1f} s")
        taken, listing = timed(client, base)
        print(f"list of runs          {taken:8.0f} ms")
        runs = re.findall(r"/runs/([0-9a-f]{12})\" data-item>([^<]*)", listing.text)
        run_id = runs[0][0]
        taken, samples = timed(client, f"{base}runs/{run_id}/samples")
        print(f"list of samples       {taken:8.0f} ms")
        place = re.search(r"/samples/(\d+)\?", samples.text)
        assert place
        print(f"one run               {timed(client, f'{base}runs/{run_id}')[0]:8.0f} ms")
        taken, _ = timed(client, f"{base}runs/{run_id}/samples/{place[1]}?order=slowest+first")
        print(f"one sample            {taken:8.0f} ms")
        taken, _ = timed(client, f"{base}runs/{run_id}/samples?text=no", 3)
        print(f"search in one run     {taken:8.0f} ms")
        print(f"peak memory           {peak(process.pid):8.0f} MiB")
        if branches:
            both = re.search(
                r'/runs/([0-9a-f]{12})" data-item>[^<]*</a>\s*<span class="range">[^<]*/both<',
                listing.text,
            )
            assert both
            curve = f"{base}runs/{both[1]}/what-if/curve?"
            print(f"what if, opened       {timed(client, curve, 1)[0]:8.0f} ms")
            print(f"what if, every τ      {timed(client, curve)[0]:8.0f} ms")
            print(f"what if, another gate {timed(client, curve + 'gate=log', 1)[0]:8.0f} ms")
            print(f"peak memory after it  {peak(process.pid):8.0f} MiB")
    finally:
        process.terminate()
        process.wait(20)


def main(arguments: Any) -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.folder or Path(place) / "runs"
        if not folder.exists():
            write_runs(folder, arguments.runs, arguments.records, arguments.branches)
        measure(folder, arguments.branches)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--records", type=int, default=2000, help="of each run")
    parser.add_argument("--branches", type=int, default=10_000, help="of one both-branches run")
    parser.add_argument("--folder", type=Path, help="where to keep the runs between calls")
    main(parser.parse_args())
