"""Kill `speceyes judge` at random instants, and look for a verdict lost, changed or given twice.

    python -m tests.faults.kill_judge --kills 200

A server on this machine answers by rule, each question once unless a kill came between its answer
and its keeping. After every kill, each verdict that had been kept must still be there unchanged;
when a run is judged to its end, every question must have its verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from tests.faults.hand_tools import install_example, kill_after, start

QUESTIONS = 150
AT_ONCE = 4


def make_run(folder: Path, environment: dict[str, str]) -> Path:
    """A run of open questions, which no rule can judge."""
    Image.new("RGB", (32, 32)).save(folder / "dot.png")
    rows = [
        {"image": "dot.png", "question": f"What colour is dot {number}?", "answer": "re"}
        for number in range(QUESTIONS)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = ("--data", str(folder / "questions.jsonl"), "--out", str(folder / "run"))
    models = ("--method", "draft", "--agent", "looker", "--small", "scripted")
    process = start(environment, "eval", "--dataset", "jsonl", *models, *place)
    _, told = process.communicate()
    assert process.returncode == 0, told
    return folder / "run"


def kept(run: Path) -> dict[str, bool]:
    """Decided verdicts in the database, by sample."""
    with contextlib.closing(sqlite3.connect(run / "run.sqlite")) as connection:
        try:
            rows = connection.execute("SELECT sample_id, body FROM verdicts").fetchall()
        except sqlite3.OperationalError:
            return {}
    notes = {sample: json.loads(body)["right"] for sample, body in rows}
    return {sample: right for sample, right in notes.items() if right is not None}


def kill_many(kills: int, seed: int, folder: Path) -> tuple[int, int]:
    """Runs judged to their end, and verdicts looked for after kills."""
    environment = install_example(folder)
    from speceyes_example.judge_server import JudgeServer  # noqa: PLC0415 - installed just now

    chance, done, runs, looked_for = random.Random(seed), 0, 0, 0
    while done < kills:
        place = folder / f"run-{runs}"
        place.mkdir()
        run = make_run(place, environment)
        before: dict[str, bool] = {}
        server: Any = JudgeServer(delay=0.02)
        with server.running():
            command = (
                *("judge", str(run), "--api-url", server.url, "--concurrency", str(AT_ONCE)),
                *("--judge-cache", str(place / "cache.sqlite")),
            )
            killed = in_this_run = 0
            while done < kills:
                process = start(environment, *command)
                asked = server.asked.total()
                while process.poll() is None and server.asked.total() == asked:
                    time.sleep(0.005)
                killed = kill_after(process, chance.uniform(0, 0.6))
                after = kept(run)
                assert after.items() >= before.items(), "a verdict was lost or changed"
                looked_for, before = looked_for + len(before), after
                if not killed:
                    break
                done, in_this_run = done + 1, in_this_run + 1
            process = start(environment, *command)
            _, told = process.communicate()
            assert process.returncode == 0, told
        assert len(kept(run)) == QUESTIONS
        lines = (run / "verdicts.jsonl").read_text().splitlines()
        assert len({json.loads(line)["sample_id"] for line in lines}) == len(lines) == QUESTIONS
        again = sum(times - 1 for content, times in server.answered.items() if "dot" in content)
        assert again <= in_this_run * AT_ONCE * 2, "questions were answered again without need"
        runs += 1
    return runs, looked_for


def main() -> None:
    """The command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs, looked_for = kill_many(arguments.kills, arguments.seed, Path(folder))
    sys.stdout.write(
        f"{arguments.kills} kills of judge, {runs} runs judged to their end, nothing lost or given "
        f"twice ({looked_for} verdicts looked for, seed {arguments.seed}, "
        f"{time.monotonic() - began:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
