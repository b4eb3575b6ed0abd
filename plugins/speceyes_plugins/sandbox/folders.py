"""Folders that untrusted code writes to: measuring, listing and removing them.

Everything here is iterative and bounded: a script can nest folders ten thousand deep.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

MAX_DEPTH: Final = 32
FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Usage(NamedTuple):
    """What a folder holds."""

    size: int
    entries: int
    too_deep: bool


def usage(folder: str, most_entries: int) -> Usage:
    """Disk space and number of entries; stops counting once there are more than allowed."""
    size = entries = 0
    pending = [(folder, 0)]
    while pending:
        path, depth = pending.pop()
        if depth > MAX_DEPTH:
            return Usage(size, entries, too_deep=True)
        try:
            listing = os.scandir(path)
        except OSError:  # removed meanwhile
            continue
        with listing:
            for entry in listing:
                entries += 1
                if entries > most_entries:
                    return Usage(size, entries, too_deep=False)
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, depth + 1))
    return Usage(size, entries, too_deep=False)


def remove_tree(folder: str) -> None:
    """Remove a folder whatever is in it; one that is not there is fine.

    Walks by descriptor, down by name and up by "..", so that depth costs neither descriptors nor
    recursion nor path length. Links are removed, never followed. Nobody may write to it meanwhile.
    """
    try:
        here = os.open(folder, FOLDER_FLAGS)
    except FileNotFoundError:
        return
    try:
        pending = [_remove_files(here)]
        while True:
            if pending[-1]:
                name = pending[-1][-1]
                os.chmod(name, 0o700, dir_fd=here)
                here = _exchange(here, name)
                pending.append(_remove_files(here))
                continue
            pending.pop()
            if not pending:
                break
            here = _exchange(here, "..")
            os.rmdir(pending[-1].pop(), dir_fd=here)
    finally:
        os.close(here)
    Path(folder).rmdir()


def _remove_files(folder: int) -> list[str]:
    """Remove everything but folders; returns their names."""
    inner: list[str] = []
    with os.scandir(folder) as listing:
        for entry in listing:
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return inner


def _exchange(folder: int, name: str) -> int:
    """Open a neighbouring folder, then close this one."""
    neighbour = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    os.close(folder)
    return neighbour


def read_fresh_file(folder: str, relative: str, limit: int) -> bytes:
    """A result file's bytes: below the folder, no link on the way, a regular file, one name.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: something else than a fresh regular file of at most `limit` bytes is there.
    """
    parts = Path(relative).parts
    if not parts or ".." in parts or Path(relative).is_absolute() or len(parts) > MAX_DEPTH:
        raise FileNotFoundError(relative)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    place = os.open(folder, flags | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=place)
            os.close(place)
            place = inner
        file = os.open(parts[-1], flags, dir_fd=place)
    finally:
        os.close(place)
    with os.fdopen(file, "rb") as opened:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise OSError(f"{relative} is not a regular file with one name")
        if found.st_size > limit:
            raise OSError(f"{relative} has {found.st_size} bytes, at most {limit} are allowed")
        return opened.read(limit)
