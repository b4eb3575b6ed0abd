from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.run.processes import Launch, launch_from
from speceyes_cli.core.run.store import read_run

TIMINGS = ("seconds", "elapsed", "phase_seconds")
COMMAND = (
    *("eval", "--agent", "looker", "--dataset", "dots", "--out", "r"),
    *("--small", "scripted?delay=0.002", "--large", "scripted?delay=0.004"),
)


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({}, Launch(0, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Launch(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Launch(3, 4)),
    ],
)
def test_the_launcher_tells_who_one_is(environment: dict[str, str], launch: Launch) -> None:
    assert launch_from(environment) == launch


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {"WORLD_SIZE": "0"},
    ],
)
def test_an_odd_launch_is_one_sentence(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="unset both to run alone"):
        launch_from(environment)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_sample_belongs_to_one_process(size: int) -> None:
    for position in range(20):
        assert sum(Launch(rank, size).takes(position) for rank in range(size)) == 1


def start(
    folder: Path, site: Path, rank: int, size: int, command: tuple[str, ...] = COMMAND
) -> subprocess.Popen[str]:
    """One process of a launch, as a launcher starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "speceyes_cli", *command],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "COLUMNS": "160",
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(
    folder: Path, site: Path, size: int, command: tuple[str, ...] = COMMAND
) -> list[tuple[int, str, str]]:
    """A launch to its end: exit code, output and error stream of each process."""
    folder.mkdir(exist_ok=True)
    ended = []
    processes = [start(folder, site, rank, size, command) for rank in range(size)]
    for process in processes:
        out, told = process.communicate(timeout=120)
        ended.append((process.returncode, out, told))
    return ended


def told_by(folder: Path) -> list[dict[str, Any]]:
    """The exported records without their timings."""
    lines = (folder / "r" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        for name in TIMINGS:
            del record[name]
        for part in record["calls"] + record["tools"]:
            del part["seconds"]
    return records


def test_two_processes_give_the_run_that_one_gives(example_site: Path, tmp_path: Path) -> None:
    for size in (1, 2):
        ended = launch(tmp_path / str(size), example_site, size, (*COMMAND, "--keep-images"))
        assert [code for code, _, _ in ended] == [0] * size, ended
    first, second = ended
    assert "samples" in first[1]
    assert second[1:] == ("", "")
    assert told_by(tmp_path / "2") == told_by(tmp_path / "1")
    files = [sorted(p.name for p in (tmp_path / n / "r").rglob("*")) for n in ("1", "2")]
    assert files[0] == files[1]
    one, two = (read_run(tmp_path / n / "r")[0] for n in ("1", "2"))
    assert (two.config, two.engines, two.status) == (one.config, one.engines, "finished")


def test_a_killed_launch_goes_on_with_another_number_of_processes(
    example_site: Path, tmp_path: Path
) -> None:
    slow = tuple(word.replace("0.00", "0.05") for word in COMMAND)
    processes = [start(tmp_path, example_site, rank, 3, slow) for rank in range(3)]
    part = tmp_path / "r" / "processes" / "1"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (part / "run.json").exists() and read_run(part)[1]:
            break
        time.sleep(0.02)
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = {(r.split, r.sample_id): r.elapsed for r in read_run(part)[1]}
    assert 0 < len(kept) < 20
    assert [code for code, _, _ in launch(tmp_path, example_site, 2, slow)] == [0, 0]
    records = {(r.split, r.sample_id): r.elapsed for r in read_run(tmp_path / "r")[1]}
    assert len(records) == 60
    assert kept.items() <= records.items()  # nothing that was kept ran again
    assert not (tmp_path / "r" / "processes").exists()


def test_one_process_takes_over_what_several_left(example_site: Path, tmp_path: Path) -> None:
    slow = tuple(word.replace("0.00", "0.05") for word in COMMAND)
    processes = [start(tmp_path, example_site, rank, 2, slow) for rank in range(2)]
    part = tmp_path / "r" / "processes" / "1"
    while not ((part / "run.json").exists() and read_run(part)[1]):
        assert processes[1].poll() is None
        time.sleep(0.02)
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = {(r.split, r.sample_id) for r in read_run(part)[1]}
    limited = (*slow, "--fresh")
    ((code, _, told),) = launch(tmp_path, example_site, 1, slow)
    assert code == 0, told
    records = read_run(tmp_path / "r")[1]
    assert len(records) == 60
    assert kept <= {(r.split, r.sample_id) for r in records}
    ((code, _, told),) = launch(tmp_path, example_site, 1, limited)
    assert code == 0, told
    assert not list((tmp_path / "r").glob("processes/*"))


def test_a_process_that_ends_early_is_told_of(example_site: Path, tmp_path: Path) -> None:
    slow = tuple(word.replace("0.00", "0.05") for word in COMMAND)
    first, second = (start(tmp_path, example_site, rank, 2, slow) for rank in range(2))
    part = tmp_path / "r" / "processes" / "1"
    while not ((part / "run.json").exists() and read_run(part)[1]):
        assert second.poll() is None
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    _, told = first.communicate(timeout=120)
    assert first.returncode == 2
    assert "Process 1 ended before its share was done" in told
    info, records = read_run(tmp_path / "r")
    assert info.status == "interrupted"
    assert 30 < len(records) < 60
