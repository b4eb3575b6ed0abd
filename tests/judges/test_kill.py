"""Kill `speceyes judge` with SIGKILL at random instants; what comes after must complete it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speceyes_example.judge_server import JudgeServer, any_fault

from tests.faults.kill_judge import kept

MakeRun = Callable[..., Path]
COUNT = 150
KILLS = 6


def start(run: Path, server: JudgeServer, site: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "speceyes_cli", "judge", str(run)),
            *("--api-url", server.url, "--concurrency", "4", "--timeout", "0.5", "--retry-errors"),
        ],
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_killed_at_any_point_it_is_completed_none_twice_none_lost(
    make_run: MakeRun, example_site: Path
) -> None:
    run = make_run(COUNT)
    chance = random.Random(5)
    faults = any_fault(3, 0.05)

    def fault(case: dict[str, Any], times: int) -> str | None:
        return faults(case, times) if "dot" in case["question"] else None

    with JudgeServer(delay=0.02, fault=fault).running() as server:
        before: dict[str, bool] = {}
        interrupted = 0
        for _ in range(KILLS):
            until = sum(server.asked.values()) + chance.randrange(1, 40)
            process = start(run, server, example_site)
            while process.poll() is None and sum(server.asked.values()) < until:
                time.sleep(0.005)
            process.kill()
            assert process.wait() in (0, -9)
            assert process.stderr is not None
            process.stderr.close()
            after = kept(run)
            assert after.items() >= before.items()  # nothing lost, nothing changed
            interrupted += 0 < len(after) < COUNT
            before = after
        process = start(run, server, example_site)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
    assert interrupted >= 2
    lines = [json.loads(line) for line in (run / "verdicts.jsonl").read_text().splitlines()]
    assert len(lines) == len({line["sample_id"] for line in lines}) == COUNT
    assert [line["right"] for line in lines] == [True, False] * (COUNT // 2)
    answered = [times for content, times in server.answered.items() if "dot" in content]
    assert len(answered) == COUNT
    # A question is answered again only where a kill came between the answer and its keeping.
    assert sum(times - 1 for times in answered) <= KILLS * 2 * 4
