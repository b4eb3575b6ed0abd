"""Reads a run's folder again and again as it grows, and single records of it.

What was read is not read again; connections are short, since whoever writes the run waits for them.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.files import require_file
from speceyes_cli.core.judging.judges import ClaimKey
from speceyes_cli.core.judging.verdicts import JudgedNote, overlay, read_verdicts
from speceyes_cli.core.run.database import DATABASE, connect_to_read, told
from speceyes_cli.core.run.info import RUN_FILE, RunInfo, read_run_info
from speceyes_cli.core.run.liveness import is_written
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import EXPORT, parse_record
from speceyes_cli.view.record_index import ROUTES, RecordIndex

CHUNK = 500
"""Records read at once."""
_ROWS = "SELECT rowid, body FROM records WHERE rowid > ? ORDER BY rowid LIMIT ?"
_ONE = "SELECT body FROM records WHERE rowid = ?"
_HOLDING = "SELECT rowid, body FROM records WHERE instr(lower(body), ?) > 0"
_WATCHED = (RUN_FILE, DATABASE, f"{DATABASE}-wal", EXPORT)
_SEARCHED = ("sample_id", "question", "options", "answer", "category", "text")
"""Fields of a record whose text is searched, beside what the models said and the tools gave."""

FileState = tuple[int, int, int, bool]
"""A file's number, size, time of its last change, and whether it is a link."""


class WholeRecord(NamedTuple):
    """One record with the judge's word on it."""

    record: Record
    rule: Record
    """The same with the dataset's own verdicts."""
    judged: Mapping[ClaimKey, JudgedNote]


class RunReader:
    """One run folder; `refresh` is for one thread, the rest for any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info: RunInfo | None = None
        self.index = RecordIndex()
        self.change = 0
        """Grows whenever something else is read."""
        self.problem = ""
        """Why it cannot be read; empty where it can."""
        self._before_judge = RecordIndex()
        self._last: tuple[int, str] | None = None
        self._written = False
        self._seen: dict[str, FileState | None] = {}

    def refresh(self) -> bool:
        """Read what is new; whether anything was. `problem` tells what cannot be read."""
        written = is_written(self.folder)  # then files change before what they hold can be read
        seen = {name: file_state(self.folder / name) for name in _WATCHED}
        if seen == self._seen and not written and not self._written:
            return False
        same, before = seen == self._seen, self.index.rows.tobytes()
        self._written = written
        if _inode(seen) != _inode(self._seen):  # begun anew, or it has its database now
            self._forget()
        self._seen = seen
        self.problem = ""
        try:
            require_inside(self.folder, _WATCHED)
            self.info = read_run_info(self.folder)
            if not self._read_database():
                self._forget()
                self.index = self._before_judge.grown(_lines(self.folder / EXPORT))
        except DataError as error:
            self._forget()
            self.index = RecordIndex()
            self.problem = str(error)
        if same and before == self.index.rows.tobytes():
            return False
        self.change += 1
        return True

    def _forget(self) -> None:
        self._before_judge, self._last = RecordIndex(), None

    def _read_database(self) -> bool:
        """Whether there is a database with records."""
        with _database(self.folder) as connection:
            if connection is None:
                return False
            if self._last is not None and _body(connection, self._last[0]) != self._last[1]:
                self._forget()
            self._read_errors_again(connection)
            self._read_new(connection)
            (count,) = connection.execute("SELECT COUNT(*) FROM records").fetchone()
            if count < len(self._before_judge):  # some were taken out
                self._forget()
                self._read_new(connection)
            self.index = self._before_judge.judged(read_verdicts(connection))
            return bool(count)

    def _read_errors_again(self, connection: sqlite3.Connection) -> None:
        """An error's record gives way to a later try, in the same place."""
        rows = self._before_judge.rows
        failed = rows["route"] == ROUTES.index("error")
        if not failed.any():
            return
        places = [int(place) for place in rows["place"][failed]]
        now = [(place, body) for place in places if (body := _body(connection, place))]
        self._before_judge = self._before_judge.only(~failed).grown(now)

    def _read_new(self, connection: sqlite3.Connection) -> None:
        while True:
            after = self._last[0] if self._last is not None else 0
            found = connection.execute(_ROWS, (after, CHUNK)).fetchall()
            if not found:
                return
            self._before_judge = self._before_judge.grown(found)
            self._last = found[-1]


def read_bodies(folder: Path, places: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The records in these places as JSON objects; one that is gone is left out."""
    with _database(folder) as connection:
        if connection is not None:
            found = {place: _body(connection, place) for place in places}
            return {place: from_json(body) for place, body in found.items() if body}
    lines = {}
    with told(folder / EXPORT), (folder / EXPORT).open("rb") as file:
        for place in places:
            file.seek(place)
            lines[place] = from_json(file.readline())
    return lines


def read_whole(folder: Path, place: int) -> WholeRecord:
    """The record in a place; `DataError` when it is gone, or this version cannot read it."""
    judged: Mapping[ClaimKey, JudgedNote] = {}
    with _database(folder) as connection:
        body = _body(connection, place) if connection is not None else None
        if connection is not None and body:
            rule = parse_record(body, folder)
            judged = read_verdicts(connection, (rule.split, rule.sample_id))
            return WholeRecord(overlay([rule], judged)[0], rule, judged)
    with told(folder / EXPORT), (folder / EXPORT).open("rb") as file:
        file.seek(place)
        rule = parse_record(file.readline(), folder / EXPORT)
    return WholeRecord(rule, rule, judged)


def search(folder: Path, text: str) -> set[int]:
    """The places of the records that hold the text, in small or capital letters."""
    wanted = text.casefold()
    # SQLite knows small and capital letters of ASCII alone; the empty text is in every record.
    written = json.dumps(text.lower())[1:-1] if text.isascii() else ""
    with _database(folder) as connection:
        if connection is None:
            found: Iterable[tuple[int, str | bytes]] = _lines(folder / EXPORT)
            return {place for place, body in found if _says(from_json(body), wanted)}
        likely = connection.execute(_HOLDING, (written,))
        return {place for place, body in likely if _says(from_json(body), wanted)}


def _says(fields: Mapping[str, Any], wanted: str) -> bool:
    texts = [fields.get(name) for name in _SEARCHED]
    texts += [(fields.get("draft") or {}).get("text"), (fields.get("error") or {}).get("text")]
    texts += [call.get("text") for name in ("calls", "tools") for call in fields.get(name) or ()]
    return any(wanted in str(text).casefold() for text in texts if text)


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection | None]:
    """The run's database; None where it has none, or one without records."""
    path = folder / DATABASE
    if not path.exists():
        yield None
        return
    with told(folder), contextlib.closing(connect_to_read(path)) as connection:
        yield connection if _has_records(connection) else None


def _has_records(connection: sqlite3.Connection) -> bool:
    try:
        found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'records'").fetchone()
    except sqlite3.OperationalError as error:
        if "malformed" in str(error):
            raise
        return False  # killed before its first record, or in a folder that cannot be written
    return found is not None


def _body(connection: sqlite3.Connection, place: int) -> str | None:
    found = connection.execute(_ONE, (place,)).fetchone()
    return None if found is None else found[0]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each line of an export begins, and the line; none where there is no export."""
    if not path.exists():
        return
    with told(path):
        require_file(path)
        with path.open("rb") as file:
            place = 0
            for line in file:
                yield place, line
                place += len(line)


def file_state(path: Path) -> FileState | None:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, path.is_symlink()


def _inode(seen: Mapping[str, FileState | None]) -> int | None:
    state = seen.get(DATABASE)
    return None if state is None else state[0]


def require_inside(folder: Path, names: Iterable[str]) -> None:
    """Raise `DataError` for a file of a run that is a link out of its folder."""
    for name in names:
        path = folder / name
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{path} is a link out of the run's folder; it is not followed.")
