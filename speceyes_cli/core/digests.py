"""Digests of what files hold, kept so that a file that did not change is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from speceyes_cli.core.samples import Sample

_SCHEMA = "CREATE TABLE IF NOT EXISTS digests (key TEXT PRIMARY KEY, state TEXT, digest TEXT)"
_BUSY = 5.0
"""Seconds to wait for another program that writes to the cache."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a change of a file shows in its dates, on every usual file system."""
_LENGTH = 32
"""Hexadecimal digits of a digest."""
_ROWS = "rows 1"
"""Raised when a split's digest is reckoned in another way."""


def digest_bytes(data: bytes | memoryview) -> str:
    """The first 128 bits of the SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()[:_LENGTH]


def digest_file(path: Path) -> str:
    """The digest of a file's bytes, of which `cached_digest` says when they are read.

    Raises `OSError` when it cannot be read.
    """
    return cached_digest([path], "bytes", lambda: _read_whole(path))


def digest_row(sample: Sample) -> str:
    """The digest of all that a dataset's row says of a sample, its picture left out."""
    said = [sample.question, sample.options, sample.answer, sample.category]
    return digest_bytes(json.dumps(said).encode())


def digest_rows(files: Sequence[Path], split: str, samples: Callable[[], Iterable[Sample]]) -> str:
    """The digest of a split's rows: each sample's id and what its row says, in their order.

    `samples` draws the split, options in the order of the dataset; it is called only when one of
    the files changed since the digest was last taken.
    """

    def reckon() -> str:
        rows = hashlib.sha256()
        for sample in samples():
            rows.update(json.dumps([sample.id, digest_row(sample)]).encode())
        return rows.hexdigest()[:_LENGTH]

    return cached_digest(files, f"{_ROWS} {split}", reckon)


def cached_digest(files: Sequence[Path], what: str, reckon: Callable[[], str]) -> str:
    """`reckon()`, or what it gave before for files of the same paths, sizes and dates.

    `what` tells apart the digests of the same files. Dates are those of the last change of the
    contents and of the file's own entry, so one that was put back by hand does not deceive. What
    was changed within the last two seconds is reckoned each time. Without a cache that can be
    used, everything is. Raises what `reckon` raises, and `OSError` when a file is gone.
    """
    key = digest_bytes(json.dumps([what, *(str(path.resolve()) for path in files)]).encode())
    state = _state_of(files)
    database = _open_cache() if files else None
    try:
        if database is not None and (found := _get(database, key, state)) is not None:
            return found
        digest = reckon()
        if database is not None and _settled(files) and _state_of(files) == state:
            with contextlib.suppress(sqlite3.Error):
                database.execute(
                    "INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (key, state, digest)
                )
        return digest
    finally:
        if database is not None:
            database.close()


def _state_of(files: Sequence[Path]) -> str:
    stats = [path.stat() for path in files]
    facts = [(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats]
    return digest_bytes(json.dumps(facts).encode())


def _settled(files: Sequence[Path]) -> bool:
    stats = [path.stat() for path in files]
    newest = max((max(stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats), default=0)
    return time.time_ns() - newest > _SETTLED


def _read_whole(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_LENGTH]


def _open_cache() -> sqlite3.Connection | None:
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(home) if home else Path.home() / ".cache") / "speceyes"
        folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(folder / "digests.sqlite", timeout=_BUSY, isolation_level=None)
    except (OSError, RuntimeError, sqlite3.Error):  # no home, or one that cannot be written
        return None
    try:
        database.execute("PRAGMA synchronous = OFF")  # what a power cut takes is reckoned again
        database.execute(_SCHEMA)
    except sqlite3.Error:
        database.close()
        return None
    return database


def _get(database: sqlite3.Connection, key: str, state: str) -> str | None:
    try:
        row = database.execute(
            "SELECT digest FROM digests WHERE key = ? AND state = ?", (key, state)
        ).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row is not None and isinstance(row[0], str) else None
