"""Kill a run whose agent executes code, and look for a process or a folder that it leaves behind.

    python -m tests.faults.kill_thyme --kills 50

Every sample's code sleeps for a moment in a real sandbox, so that a kill finds workers at work.
Whatever the killed program had started becomes a child of this script, which waits until all of it
has ended. In the end the run is completed, each sample once.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.hand_tools import (
    adopt_orphans,
    install_example,
    kill_after,
    start,
    wait_for_orphans,
)

ENDS_WITHIN = 15.0
"""Seconds in which all that a killed run had started must have ended."""
MODEL = "scripted?code=0.2"


def kill_many(kills: int, seed: int, folder: Path) -> int:
    """Runs completed; raises AssertionError as soon as something is left behind."""
    environment = install_example(folder)
    adopt_orphans()
    chance, done, runs = random.Random(seed), 0, 0
    while done < kills:
        run = folder / f"run-{runs}"
        command = (
            *("eval", "--agent", "thyme", "--dataset", "dots", "--out", str(run)),
            *("--small", MODEL, "--large", MODEL, "--method", "baseline", "--split", "far"),
        )
        while done < kills:
            process = start(environment, *command)
            while process.poll() is None and not list(Path(environment["TMPDIR"]).iterdir()):
                time.sleep(0.01)
            killed = kill_after(process, chance.uniform(0, 4))
            left = wait_for_orphans(ENDS_WITHIN)
            assert not left, f"processes left: {left}"
            folders = [path.name for path in Path(environment["TMPDIR"]).iterdir()]
            assert not folders, f"folders left: {folders}"
            if not killed:
                break
            done += 1
        process = start(environment, *command)
        _, told = process.communicate()
        assert process.returncode == 0, told
        assert len((run / "records.jsonl").read_text().splitlines()) == 20
        runs += 1
    return runs


def main() -> None:
    """The command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs = kill_many(arguments.kills, arguments.seed, Path(folder))
    sys.stdout.write(
        f"{arguments.kills} kills of runs with code, {runs} completed, no process and no folder "
        f"left (seed {arguments.seed}, {time.monotonic() - began:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
