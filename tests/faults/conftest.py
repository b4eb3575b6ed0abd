"""Faults from outside, injected into the real program."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judges.conftest import invoke, make_run
from tests.serve.conftest import serve

__all__ = ["invoke", "make_run", "serve"]

Start = Callable[..., subprocess.Popen[str]]
SCRIPTED = (
    *("--agent", "looker", "--dataset", "dots"),
    *("--small", "scripted", "--large", "scripted"),
)


@pytest.fixture
def start(example_site: Path, tmp_path: Path) -> Start:
    """start("eval", …): the real program begun in an empty folder, its output in pipes."""

    def begin(*arguments: str, **streams: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "speceyes_cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(example_site), "COLUMNS": "200"},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},  # type: ignore[call-overload]
        )

    return begin


def wait_for_records(run: Path, count: int = 3) -> None:
    """Until some samples are kept."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.OperationalError):
            if (run / "run.sqlite").exists():
                with contextlib.closing(sqlite3.connect(run / "run.sqlite")) as database:
                    [(kept,)] = database.execute("SELECT count(*) FROM records")
                if kept >= count:
                    return
        time.sleep(0.05)
    raise AssertionError("no record came")
