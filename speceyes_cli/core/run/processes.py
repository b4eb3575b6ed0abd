"""A run shared out over processes: each has its own store, and the first one merges them.

The processes are those of `accelerate launch` or `torchrun`; all they share is the run folder. A
sample belongs to a process by its place in its split, whatever is done already, so that no two
processes need to agree on anything while they work.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Literal, NamedTuple

from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.info import RUN_FILE, RunInfo, read_run_info, write_atomically
from speceyes_cli.core.run.store import (
    IMAGES,
    PROCESSES,
    RunStore,
    SampleKey,
    open_store,
    read_run,
)

PATIENCE = 600.0
"""Seconds within which every process must have started."""
POLL = 0.05


class Launch(NamedTuple):
    """This process among those that share a run."""

    rank: int = 0
    """0 for the first, which merges what all have answered and reports."""
    size: int = 1

    def takes(self, position: int) -> bool:
        """Whether the sample at this place of its split is this process's own."""
        return position % self.size == self.rank


def launch_from(environment: Mapping[str, str]) -> Launch:
    """The launch that a launcher tells of in RANK and WORLD_SIZE; alone without them."""
    try:
        size = int(environment.get("WORLD_SIZE", "1"))
        rank = int(environment.get("RANK", "0")) if size > 1 else 0
    except ValueError:
        size = rank = -1
    if not 0 <= rank < size:
        raise UsageError(
            f"RANK={environment.get('RANK')} and WORLD_SIZE={environment.get('WORLD_SIZE')} name "
            "no process of a launch; unset both to run alone."
        )
    return Launch(rank, size)


@contextlib.contextmanager
def open_shared(
    launch: Launch,
    folder: Path,
    info: RunInfo,
    mode: Literal["resume", "fresh"],
    review: Callable[[RunStore], None] = lambda _store: None,
) -> Iterator[RunStore]:
    """This process's store of the run: the run's own for the first, one beside it for the others.

    Whatever an earlier session left unmerged is merged first, or dropped with "fresh". `review`
    then looks at what the run holds, before any process goes on with it. Raises what `open_store`
    and `review` raise, and `DataError` when a process does not start.
    """
    if launch.rank == 0:
        before = read_run_info(folder) if (folder / RUN_FILE).exists() else None
        with open_store(folder, info, mode) as store:
            for part in sorted((folder / PROCESSES).glob("*/")):
                if mode == "resume":
                    _merge(store, part)
                shutil.rmtree(part)
            try:
                review(store)
            except DataError:
                if before is not None:  # as if it had not been opened
                    store.update(status=before.status, config=before.config)
                raise
            if launch.size == 1:
                shutil.rmtree(folder / PROCESSES, ignore_errors=True)
            for rank in range(1, launch.size):
                _signal_start(folder, rank)
            yield store
        return
    own = _part(folder, launch.rank)
    with _holding_rank_lock(folder, launch.rank), open_store(own, info, "fresh") as store:
        store.update(name=folder.name)
        yield store


def merge_others(launch: Launch, store: RunStore) -> None:
    """The first process waits for the others and takes their records into the run.

    Raises `DataError` when one of them ended before its share was done.
    """
    if launch.size == 1 or launch.rank > 0:
        return
    unfinished = []
    for rank in range(1, launch.size):
        while _is_held(_lock(store.folder, rank)):
            time.sleep(POLL)
        if _merge(store, _part(store.folder, rank)) != "finished":
            unfinished.append(rank)
    shutil.rmtree(store.folder / PROCESSES)
    store.update(status="interrupted" if unfinished else "finished")
    store.export()
    if unfinished:
        raise DataError(
            f"Process {unfinished[0]} ended before its share was done; what it finished is kept, "
            "and the same command goes on."
        )


def _merge(store: RunStore, part: Path) -> str:
    """Take a part's records and pictures; doing it twice changes nothing. Gives its status."""
    try:
        info, records = read_run(part)
    except DataError:  # killed before it wrote anything
        return "running"
    if info.engines:
        store.bind_engines(info.engines)
    done = store.done()
    store.add(
        *(
            record
            for record in records
            if done.get(SampleKey(record.split, record.sample_id), "error") == "error"
        )
    )
    for folder in (part / IMAGES).glob("*/"):
        shutil.copytree(folder, store.folder / IMAGES / folder.name, dirs_exist_ok=True)
    return info.status


def _signal_start(folder: Path, rank: int) -> None:
    """Wait until the rank holds its lock, then signal it to start.

    The token in the lock file distinguishes it from an earlier process that died.
    """
    lock, go = _lock(folder, rank), _go(folder, rank)
    signalled = ""
    go.unlink(missing_ok=True)

    def started() -> bool:
        nonlocal signalled
        if signalled and not go.exists():
            return True
        token = lock.read_text(encoding="utf-8") if _is_held(lock) else ""
        if token and token != signalled:
            write_atomically(go, [token])
            signalled = token
        return False

    _wait(started, f"Process {rank} did not start")


@contextlib.contextmanager
def _holding_rank_lock(folder: Path, rank: int) -> Iterator[None]:
    """Hold this rank's lock until the block ends; enter the block once rank 0 signals."""
    path, go = _lock(folder, rank), _go(folder, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    with path.open("a+", encoding="utf-8") as lock:
        _wait(lambda: _take(lock), f"Process {rank} of {folder} is in use by another run")
        lock.truncate(0)
        lock.write(token)
        lock.flush()
        _wait(
            lambda: go.exists() and go.read_text(encoding="utf-8") == token,
            "The first process did not start",
        )
        go.unlink()
        yield


def _wait(ready: Callable[[], bool], told: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise DataError(f"{told} within {PATIENCE:g} seconds.")
        time.sleep(POLL)


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with path.open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _part(folder: Path, rank: int) -> Path:
    return folder / PROCESSES / str(rank)


def _lock(folder: Path, rank: int) -> Path:
    return folder / PROCESSES / f"{rank}.lock"


def _go(folder: Path, rank: int) -> Path:
    return folder / PROCESSES / f"{rank}.go"
