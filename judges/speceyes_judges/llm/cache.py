"""Verdicts had before, on the disk: nothing is asked twice, whatever run it stands in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from speceyes_cli.plugin import DataError

_SCHEMA = "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict INTEGER NOT NULL)"
_BUSY = 30.0
"""Seconds to wait for another program that writes."""


def default_cache() -> Path:
    """Where the user's programs keep what can be had again."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "speceyes" / "judge.sqlite"


def cache_key(model: str, prompt: str, case: str) -> str:
    """One key for each model, prompt and case."""
    return hashlib.sha256(f"{model}\0{prompt}\0{case}".encode()).hexdigest()


class Cache:
    """Verdicts by key; several programs may share the file."""

    def __init__(self, path: Path) -> None:
        """Open it, or begin it; `DataError` when the file cannot be used."""
        self._path = path
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                # What a power cut takes is asked again.
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.execute(_SCHEMA)
            except BaseException:
                self._database.close()
                raise

    def get(self, key: str) -> bool | None:
        """The verdict, or None."""
        with self._told():
            row = self._database.execute("SELECT verdict FROM verdicts WHERE key = ?", (key,))
            found = row.fetchone()
        return None if found is None else bool(found[0])

    def put(self, verdicts: Mapping[str, bool]) -> None:
        """Keep some verdicts in one transaction."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT OR REPLACE INTO verdicts VALUES (?, ?)", verdicts.items()
            )
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            raise DataError(
                f"The cache of verdicts {self._path} cannot be used: {error}; "
                "delete it or name another file with --judge-cache."
            ) from error
