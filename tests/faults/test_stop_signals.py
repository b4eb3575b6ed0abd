"""A run that a scheduler, a container or a lost terminal ends is kept as one that Ctrl-C ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import wait_for_records

Start = Callable[..., subprocess.Popen[str]]
SLOW = (
    *("eval", "--agent", "looker", "--dataset", "dots", "--out", "run", "--batch-size", "1"),
    *("--small", "scripted?delay=0.05", "--large", "scripted?delay=0.05"),
)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_a_run_in_order(
    start: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    run = tmp_path / "run"
    process = start(*SLOW)
    wait_for_records(run)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert "samples are kept. The same command goes on from there." in told
    assert "Traceback" not in told
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    kept = len((run / "records.jsonl").read_text().splitlines())
    assert 3 <= kept < 60


def test_a_signal_that_is_ignored_stays_so(start: Start, tmp_path: Path) -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start(*SLOW, "--limit", "4")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for_records(tmp_path / "run", 1)
    process.send_signal(signal.SIGHUP)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told


def test_a_run_whose_terminal_is_gone_ends_in_order(start: Start, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = start(*SLOW, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    wait_for_records(tmp_path / "run")
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"


def test_a_run_whose_reader_left_ends_in_order(start: Start, tmp_path: Path) -> None:
    process = start(*SLOW, stdout=subprocess.DEVNULL)
    wait_for_records(tmp_path / "run")
    assert process.stderr is not None
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
