"""Output that cannot be written is one sentence, and no work is lost by it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import SCRIPTED

Start = Callable[..., subprocess.Popen[str]]


@pytest.mark.parametrize("arguments", [("plugins",), ("--version",), ("gather", "--help")])
def test_a_full_disk_behind_the_output_is_a_sentence(
    start: Start, arguments: tuple[str, ...]
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        process = start(*arguments, stdout=full)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told == "speceyes: the output cannot be written: No space left on device.\n"


def test_a_run_is_whole_though_its_table_cannot_be_shown(start: Start, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        process = start("eval", *SCRIPTED, "--limit", "2", "--out", "run", stdout=full)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2, told
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


def test_a_reader_that_left_ends_the_program_without_a_traceback(start: Start) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start("plugins", stdout=write)
    os.close(write)
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in told


def test_closed_streams_are_given_to_no_file(start: Start, tmp_path: Path) -> None:
    """The database would be in the place of the output, and be written over by it."""
    process = start(
        *("eval", *SCRIPTED, "--limit", "2", "--out", "run"),
        stdout=None,
        preexec_fn=lambda: (os.close(1), os.close(0)),
    )
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    done = start("gather", "run", "--json")
    told, _ = done.communicate(timeout=60)
    assert json.loads(told)[-1]["n"] == 4
    assert (tmp_path / "run" / "run.sqlite").read_bytes()[:6] == b"SQLite"


def test_names_that_no_text_can_hold_are_written_otherwise(start: Start, tmp_path: Path) -> None:
    """A folder's name is bytes, and need be no UTF-8."""
    odd = os.fsdecode(b"r\xffun")
    for _ in range(2):
        process = start("eval", *SCRIPTED, "--limit", "2", "--data", odd, "--out", f"runs/{odd}")
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    done = start("gather", "runs", "--json")
    rows, _ = done.communicate(timeout=60)
    assert json.loads(rows)[-1]["run"] == "r?un"
    assert (
        json.loads((tmp_path / "runs" / odd / "run.json").read_text())["config"]["data"] == "r?un"
    )
