"""`eval` as a process: stopped, gone on with, and begun twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speceyes_cli.core.run.store import read_run


def program(*arguments: str, cwd: Path, site: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "speceyes_cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_records(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "run.sqlite").exists() and len(read_run(folder)[1]) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run does not go on")


SLOW = (
    *("eval", "--agent", "looker", "--dataset", "dots", "--batch-size", "2", "--out", "r"),
    *("--small", "scripted?delay=0.05", "--large", "scripted?delay=0.05"),
)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on(how: signal.Signals, example_site: Path, tmp_path: Path) -> None:
    with program(*SLOW, cwd=tmp_path, site=example_site) as process:
        wait_for_records(tmp_path / "r", 5)
        process.send_signal(how)
        _, told = process.communicate(timeout=60)
    kept = len(read_run(tmp_path / "r")[1])
    assert 5 <= kept < 60
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert f"Stopped; {kept} samples are kept." in told
        assert "Traceback" not in told
        assert len((tmp_path / "r" / "records.jsonl").read_text().splitlines()) == kept
    with program(*SLOW, cwd=tmp_path, site=example_site) as process:
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert len({(r.split, r.sample_id) for r in read_run(tmp_path / "r")[1]}) == 60


def test_two_programs_do_not_share_a_folder(example_site: Path, tmp_path: Path) -> None:
    slower = (word.replace("0.05", "0.5") for word in SLOW)  # the second one needs time to start
    with program(*slower, cwd=tmp_path, site=example_site) as first:
        wait_for_records(tmp_path / "r", 1)
        with program(*SLOW, cwd=tmp_path, site=example_site) as second:
            _, told = second.communicate(timeout=60)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    assert second.returncode == 2
    assert "in use by another run" in told
