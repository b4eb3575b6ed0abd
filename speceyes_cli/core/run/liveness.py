"""Whether somebody is writing a run, found without touching its lock."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.store import LOCK

LOCKS = Path("/proc/locks")
Status = Literal["finished", "running", "interrupted"]


def is_written(folder: Path) -> bool:
    """Whether a process holds the run's lock; True too where the system does not tell of locks.

    Trying the lock, even for an instant, could make a run that begins just then give up.
    """
    try:
        number = str((folder / LOCK).stat().st_ino)
    except OSError:
        return False
    try:
        held = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    # 12: FLOCK  ADVISORY  WRITE 4711 fd:01:2112 0 EOF
    words = [line.split() for line in held]
    return any(
        line[1] == "FLOCK" and line[5].rpartition(":")[2] == number
        for line in words
        if len(line) > 5  # noqa: PLR2004 - the device and inode stand there
    )


def status_of(folder: Path, info: RunInfo) -> Status:
    """How a run stands; "interrupted" also where its program was killed."""
    if info.status != "running":
        return info.status
    return "running" if is_written(folder) else "interrupted"
