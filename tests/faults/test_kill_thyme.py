from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_killed_runs_leave_no_process_and_no_folder() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kill_thyme", "--kills", "3", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"3 kills of runs with code", done.stdout)
