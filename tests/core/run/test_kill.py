from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

KILL_MANY = Path(__file__).parent / "kill_many.py"


def test_nothing_is_lost_or_doubled_over_fifty_kills(example_site: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(KILL_MANY), "--kills", "50"],
        env={**os.environ, "PYTHONPATH": str(example_site)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = re.match(r"(\d+) kills, (\d+) runs completed, nothing lost or doubled", done.stdout)
    assert told is not None, done.stdout
    assert int(told.group(1)) == 50
