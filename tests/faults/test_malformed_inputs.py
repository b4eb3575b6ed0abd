from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "malformed_inputs.py"


def test_damaged_files_of_every_kind_are_read_or_told_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--count", "200", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"200 inputs, 0 tracebacks", done.stdout)
