"""A disk that is full or gone takes no finished sample with it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import SCRIPTED, wait_for_records

Start = Callable[..., subprocess.Popen[str]]
JOURNAL = "SPECEYES_EXAMPLE_JOURNAL"


def mount(*arguments: str) -> bool:
    """Whether the system let us."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=256k", "none", str(place)):
        pytest.skip("nothing may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def acknowledged(journal: Path) -> list[str]:
    return [line.split(" ")[1] for line in journal.read_text().splitlines()]


def stored(run: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(run / "run.sqlite")) as database:
        rows = database.execute("SELECT split, sample_id FROM records").fetchall()
    return {f"{split}/{sample}" for split, sample in rows}


def finish(start: Start, run: Path, journal: Path) -> None:
    """The same command, with room, completes the run and repeats nothing."""
    process = start("eval", *SCRIPTED, "--out", str(run))
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    whole = acknowledged(journal)
    assert len(whole) == len(set(whole)) == 60
    assert stored(run) == set(whole)
    assert len((run / "records.jsonl").read_text().splitlines()) == 60


def test_a_disk_that_fills_up(
    start: Start, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"
    monkeypatch.setenv(JOURNAL, str(journal))
    run = small_disk / "run"
    process = start("eval", *SCRIPTED, "--out", str(run))
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2, told
    assert "free some space and start the same command again" in told
    assert "Traceback" not in told
    assert mount("-o", "remount,size=64m", str(small_disk))
    assert set(acknowledged(journal)) <= stored(run)
    finish(start, run, journal)


def test_files_that_may_not_grow(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a quota, and where nothing may be mounted."""
    journal, run = tmp_path / "journal", tmp_path / "run"
    monkeypatch.setenv(JOURNAL, str(journal))
    limit = 150_000
    process = start(
        *("eval", *SCRIPTED, "--out", str(run)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2, told
    assert "Traceback" not in told
    assert set(acknowledged(journal)) <= stored(run)
    finish(start, run, journal)


def test_a_folder_that_is_removed_under_the_run(start: Start, tmp_path: Path) -> None:
    run = tmp_path / "run"
    slow = [part.replace("scripted", "scripted?delay=0.05") for part in SCRIPTED]
    process = start("eval", *slow, "--out", str(run), "--batch-size", "1")
    wait_for_records(run)
    shutil.rmtree(run)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2, told
    assert f"{run} cannot be written" in told
    assert "Traceback" not in told
    assert not os.path.lexists(run) or not list(run.iterdir())
