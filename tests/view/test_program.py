"""The command itself: what it prints, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.analysis.conftest import Spec
from tests.view.conftest import WriteRun


def start(folder: Path, site: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "speceyes_cli", "view", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_stops_when_told(
    write_run: WriteRun, tmp_path: Path, example_site: Path, number: signal.Signals
) -> None:
    write_run("runs/a", [Spec()])
    with start(tmp_path, example_site) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("Runs are shown at http://127.0.0.1:")
        address = line.split()[4]
        with httpx.Client(follow_redirects=True) as client:
            assert "runs/a" in client.get(address).text
        port = httpx.URL(address).port
        with start(tmp_path, example_site, "--port", str(port)) as second:
            assert second.stderr is not None
            said = second.stderr.read()
            assert second.wait(60) == 2
            assert said.startswith(f"speceyes: Port {port}")
            assert len(said.splitlines()) == 1
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
