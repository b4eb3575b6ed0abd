"""The database file of a run: opening it, its records in order, and what it would not do."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speceyes_cli.core.errors import DataError

DATABASE = "run.sqlite"
FREE_SPACE = "free some space and start the same command again: finished samples are kept"
DAMAGED = "it is damaged: eval --fresh starts the run again"
_AT_ONCE = 32
_PLACES = ", ".join("?" * _AT_ONCE)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    split TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    route TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (split, sample_id)
) STRICT
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose every statement is a transaction that reaches the disk."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = _strict_text
    try:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # a file system without shared memory, such as NFS
            connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Keep all that is written inside, or none of it where something fails."""
    database.execute("BEGIN IMMEDIATE")
    with database:
        yield


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also while another process writes."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.text_factory = _strict_text
    return connection


def _strict_text(data: bytes) -> str:
    """Text as it was written; a damaged one raises `UnicodeDecodeError`, which `told` knows."""
    return data.decode("utf-8")


def rows_in_order(
    connection: sqlite3.Connection, splits: Sequence[str]
) -> Iterator[tuple[str, str, Any]]:
    """Each record's split, id and JSON: splits as given, samples in the dataset's order.

    The order is found first and then some records at a time: to sort them would copy them all.
    """
    order = "SELECT rowid FROM records WHERE split = ? ORDER BY position, sample_id"
    fetch = f"SELECT rowid, split, sample_id, body FROM records WHERE rowid IN ({_PLACES})"  # noqa: S608 - question marks
    for split in splits:
        rows = [row for (row,) in connection.execute(order, (split,))]
        for start in range(0, len(rows), _AT_ONCE):
            wanted = rows[start : start + _AT_ONCE]
            padded = wanted + [None] * (_AT_ONCE - len(wanted))
            found = {row: record for row, *record in connection.execute(fetch, padded)}
            for row in wanted:
                if row in found:  # else it was dropped in between
                    sample_split, sample_id, body = found.pop(row)
                    yield sample_split, sample_id, body


@contextlib.contextmanager
def told(place: Path) -> Iterator[None]:
    """Say in one sentence what the disk or the database would not do."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: a text is no UTF-8; {DAMAGED}.") from error
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "full" in text:
            advice = FREE_SPACE
        elif isinstance(error, sqlite3.OperationalError) and "malformed" not in text:
            advice = "finished samples are kept"
        else:
            advice = DAMAGED
        raise DataError(f"{place / DATABASE}: {text}; {advice}.") from error
    except OSError as error:
        advice = f"; {FREE_SPACE}" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        told = f"{place} cannot be written: {error.strerror or error}{advice}."
        raise DataError(told) from error
