"""Replies kept on disk, so that a call that has been made once need not be made again.

Decoding is greedy, so a reply follows from what is in the key. An entry is used only when its
checksum holds; whatever else is wrong with the file costs calls, never a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from speceyes_cli.core.chat import Reply, Size, ToolCall
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.token import TokenScore

log = logging.getLogger(__name__)

CACHE_FILE = "calls.sqlite"
WAIT_SECONDS = 30.0
"""How long another run may hold the file."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    checksum TEXT NOT NULL
) STRICT
"""


@dataclass(slots=True)
class CacheCounts:
    """What became of the calls that came by."""

    replayed: int = 0
    """Answered from the cache."""
    computed: int = 0
    """Not in the cache, so made by a model."""
    damaged: int = 0
    """Of the computed: an entry was there, but not as it was written."""
    unkept: int = 0
    """Of the computed: the disk would not take the reply."""

    def __str__(self) -> str:
        parts = [f"{self.replayed} calls replayed", f"{self.computed} made"]
        if self.damaged:
            parts.append(f"{self.damaged} of them for a damaged entry")
        if self.unkept:
            parts.append(f"{self.unkept} of them could not be kept")
        return ", ".join(parts)


class CallCache:
    """The replies of one folder; safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Raises `DataError` when the folder cannot be made or written."""
        self.path = folder / CACHE_FILE
        self.counts = CacheCounts()
        self._lock = threading.Lock()
        self._told = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self.path, WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise DataError(
                f"The call cache {folder} cannot be used: {_reason(error)}; name another folder "
                "with --cache-dir, or go without with --no-cache."
            ) from None
        try:
            with contextlib.suppress(sqlite3.OperationalError):  # no shared memory, such as NFS
                self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._tell(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, key: str) -> Reply | None:
        """The reply kept under the key, marked as cached; None where there is none to trust."""
        with self._lock:
            try:
                row = self._database.execute(
                    "SELECT body, checksum FROM calls WHERE key = ?", (key,)
                ).fetchone()
            except sqlite3.DatabaseError as error:
                self._tell(error)
                row = None
            reply = _read(key, *row) if row is not None else None
            if reply is None:
                self.counts.computed += 1
                self.counts.damaged += row is not None
            else:
                self.counts.replayed += 1
        return reply

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply in place of what is there; a disk error is logged once."""
        body = _write(reply)
        with self._lock:
            try:
                self._database.execute(
                    "INSERT OR REPLACE INTO calls VALUES (?, ?, ?)",
                    (key, body, _checksum(key, body)),
                )
            except sqlite3.DatabaseError as error:
                self.counts.unkept += 1
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            log.warning(
                "The call cache %s: %s; calls it cannot serve are made. Delete the file to begin "
                "it anew.",
                self.path,
                _reason(error),
            )
        self._told = True


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _checksum(key: str, body: str) -> str:
    return hashlib.sha256(f"{key}\n{body}".encode()).hexdigest()


def _write(reply: Reply) -> str:
    return json.dumps(
        {
            "text": reply.text,
            "tokens": reply.tokens,
            "finish": reply.finish,
            "statistics": reply.statistics,
            "seconds": reply.seconds,
            "frames": reply.frames,
            "box_frame": reply.box_frame,
            "pieces": reply.pieces,
            "prompt_tokens": reply.prompt_tokens,
            "cached_tokens": reply.cached_tokens,
            "calls": [(call.name, call.arguments, call.id) for call in reply.calls],
        }
    )


def _read(key: str, body: Any, checksum: Any) -> Reply | None:
    if not isinstance(body, str) or checksum != _checksum(key, body):
        return None
    held = json.loads(body)
    held["statistics"] = tuple(_score(*values) for values in held["statistics"])
    held["frames"] = tuple(Size(*size) for size in held["frames"])
    held["pieces"] = tuple(held["pieces"])
    held["calls"] = tuple(ToolCall(*call) for call in held.get("calls", ()))
    return Reply(**held, cached=True)


def _score(*values: Any) -> TokenScore:
    score = TokenScore(*values)
    return score._replace(rivals=tuple(score.rivals))
