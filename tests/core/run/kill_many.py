"""Kill `speceyes eval` at random instants, over and over, and look for anything lost or doubled.

    python tests/core/kill_many.py --kills 1000

Each session is a real process that runs the real command over the example plugin's dataset and
scripted engine; it is killed with SIGKILL after a random time, and the next one goes on in the
same folder. A record counts as acknowledged once the record hook has seen it. When a run is
complete, its export must equal that of a run nobody disturbed, timings aside, and another begins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from speceyes_example.plugin import JOURNAL

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import Host, build_host

SAMPLES = 60
TIMINGS = ("seconds", "elapsed", "phase_seconds")
COMMAND = [
    "eval",
    *("--agent", "looker", "--dataset", "dots", "--out", "run"),
    *("--small", "scripted?delay=0.002", "--large", "scripted?delay=0.004"),
]


class Outcome(NamedTuple):
    """What many kills came to."""

    kills: int
    runs: int
    """Runs that were brought to their end."""
    kept: int
    """Acknowledged records that were there after a kill, summed over kills."""


def kill_many(kills: int, seed: int, folder: Path, host: Host) -> Outcome:
    """Kill `kills` sessions; raises AssertionError as soon as anything is wrong."""
    chance = random.Random(seed)
    (folder / "calm").mkdir()
    seconds = run_calmly(folder / "calm", host)
    expected = export_of(folder / "calm")
    done = runs = kept = 0
    while done < kills:
        place = folder / f"run-{runs}"
        place.mkdir()
        while done < kills:
            killed = run_and_kill(place, host, chance.uniform(0, seconds))
            done += killed
            kept += check_nothing_lost(place)
            if not killed:
                break
        run_calmly(place, host)
        check_nothing_lost(place)
        check_complete(place, expected)
        shutil.rmtree(place)
        runs += 1
    return Outcome(done, runs, kept)


def run_calmly(place: Path, host: Host) -> float:
    """One session to its end; the seconds it took."""
    began = time.monotonic()
    _, status = os.waitpid(start(place, host), 0)
    assert os.waitstatus_to_exitcode(status) == 0, (place / "stderr").read_text()
    return time.monotonic() - began


def run_and_kill(place: Path, host: Host, after: float) -> bool:
    """One session, killed after some seconds; False when it had ended before."""
    process = start(place, host)
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), (place / "stderr").read_text()
    return code != 0


def start(place: Path, host: Host) -> int:
    """Begin a session in a process of its own; forked, so that a thousand take minutes."""
    process = os.fork()
    if process:
        return process
    with contextlib.suppress(BaseException):
        os.chdir(place)
        os.environ[JOURNAL] = "journal"
        for stream, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        build_app(host)(COMMAND, obj=host, standalone_mode=False)
        os._exit(0)
    os._exit(1)


def check_nothing_lost(place: Path) -> int:
    """Every acknowledged record is in the database, and none was acknowledged twice."""
    journal = place / "journal"
    acknowledged = journal.read_text().splitlines() if journal.exists() else []
    whole = [line.split(" ")[1] for line in acknowledged]
    assert len(set(whole)) == len(whole), "a sample was run twice"
    stored = stored_keys(place / "run" / "run.sqlite")
    lost = set(whole) - stored
    assert not lost, f"acknowledged, then lost: {sorted(lost)}"
    return len(whole)


def stored_keys(database: Path) -> set[str]:
    """The samples in a database that may be missing or have no table yet."""
    if not database.exists():
        return set()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            rows = connection.execute("SELECT split, sample_id FROM records").fetchall()
        except sqlite3.OperationalError:
            return set()
    return {f"{split}/{sample}" for split, sample in rows}


def check_complete(place: Path, expected: list[dict[str, Any]]) -> None:
    """Every sample exactly once, and the export as of an undisturbed run."""
    found = export_of(place)
    assert len(found) == SAMPLES
    assert found == expected


def export_of(place: Path) -> list[dict[str, Any]]:
    """The exported records without their timings."""
    records = [json.loads(line) for line in (place / "run" / "records.jsonl").open()]
    for record in records:
        for name in TIMINGS:
            del record[name]
        for part in record["calls"] + record["tools"]:
            del part["seconds"]
    return records


def main() -> None:
    """The command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_many(arguments.kills, arguments.seed, Path(folder), build_host())
    sys.stdout.write(
        f"{outcome.kills} kills, {outcome.runs} runs completed, nothing lost or doubled "
        f"({outcome.kept} acknowledged records looked for, seed {arguments.seed}, "
        f"{time.monotonic() - began:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
