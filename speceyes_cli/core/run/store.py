"""A run on disk: what has finished is committed at once, so that a crash loses none of it.

`run.sqlite` is the truth, `records.jsonl` an export of it. SQLite was chosen by measurement: over
200 random kills a plain append lost 13 acknowledged records, SQLite none.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, NamedTuple

from pydantic import ValidationError

from speceyes_cli.core.context import Closeable
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.files import require_file
from speceyes_cli.core.judging.judges import ClaimKey
from speceyes_cli.core.judging.verdicts import JudgedNote, overlay, read_verdicts
from speceyes_cli.core.run.database import (
    DATABASE,
    connect,
    connect_to_read,
    rows_in_order,
    told,
    transaction,
)
from speceyes_cli.core.run.info import (
    RUN_FILE,
    RunConfig,
    RunInfo,
    differences,
    identity_of,
    identity_of_engines,
    read_run_info,
    write_atomically,
    write_run_info,
)
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.tags import tags_of

EXPORT = "records.jsonl"
VERDICTS = "verdicts.jsonl"
LOCK = "run.lock"
DRAFTS = "drafts.jsonl"
"""What `infer` exports beside the records."""
IMAGES = "images"
PROCESSES = "processes"
"""Where the processes of one launch keep what is not merged yet."""
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
_WRITTEN = (EXPORT, DRAFTS, VERDICTS, RUN_FILE)
_OURS = {
    *_DATABASE_FILES,
    *_WRITTEN,
    LOCK,
    IMAGES,
    PROCESSES,
    *(f".{name}.new" for name in _WRITTEN),
}

# A finished sample is never overwritten; only an error gives way, to a later try.
_INSERT = """
INSERT INTO records (split, sample_id, position, route, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (split, sample_id) DO UPDATE
SET position = excluded.position, route = excluded.route, body = excluded.body
WHERE records.route = 'error'
"""


_DIGESTS = """
SELECT split, sample_id, json_extract(body, '$.row_digest'), json_extract(body, '$.picture_digest')
FROM records WHERE route != 'error'
"""


class SampleKey(NamedTuple):
    """What identifies a sample within a run."""

    split: str
    sample_id: str


class Digests(NamedTuple):
    """What a sample was when it was answered; None where that is not known."""

    row: str | None
    picture: str | None


class RunStore(Closeable):
    """The one writer of a run folder; use `open_store`, and close it."""

    def __init__(self, folder: Path, info: RunInfo, lock: IO[str]) -> None:
        """`lock` is held until `close`."""
        self.folder = folder
        self.info = info
        self._lock = lock
        with told(folder):
            self._database = connect(folder / DATABASE)

    def done(self) -> dict[SampleKey, str]:
        """The route of every sample that has a record: "small", "large" or "error"."""
        with told(self.folder):
            rows = self._database.execute("SELECT split, sample_id, route FROM records")
            return {SampleKey(split, sample): route for split, sample, route in rows}

    def digests(self) -> dict[SampleKey, Digests]:
        """What every answered sample was; those that failed are left out."""
        with told(self.folder):
            rows = self._database.execute(_DIGESTS)
            return {SampleKey(split, sample): Digests(*found) for split, sample, *found in rows}

    def drop(self, keys: Iterable[SampleKey]) -> None:
        """Take records and their verdicts out, all or none, so that the samples are run again."""
        dropped = list(keys)
        with told(self.folder), transaction(self._database):
            for table in self._tables():
                self._database.executemany(
                    f"DELETE FROM {table} WHERE split = ? AND sample_id = ?",  # noqa: S608 - a table's name, from the database
                    dropped,
                )

    def _tables(self) -> list[str]:
        rows = self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return [name for (name,) in rows if name in ("records", "verdicts")]

    def add(self, *records: Record) -> None:
        """Keep records, all of them or none; when this returns, they are on the disk."""
        with told(self.folder), transaction(self._database):
            for record in records:
                self._insert(record)

    def _insert(self, record: Record) -> None:
        row = (record.split, record.sample_id, record.position, record.route)
        written = self._database.execute(_INSERT, (*row, record.model_dump_json()))
        if written.rowcount != 1:
            raise RuntimeError(f"{record.split}/{record.sample_id} already has an answer")

    def records(self, known: Mapping[SampleKey, Record] = MappingProxyType({})) -> Iterator[Record]:
        """Every record, splits in the run's order and samples in the dataset's.

        Those in `known` were just written and are not read back.
        """
        with told(self.folder):
            for *place, body in rows_in_order(self._database, self.info.config.splits):
                earlier = known.get(SampleKey(*place))
                yield earlier or parse_record(body, self.folder)

    def bind_engines(self, engines: Mapping[str, Mapping[str, Any]]) -> None:
        """Note the loaded engines; `DataError` when an earlier session used others."""
        now = self.info.model_copy(update={"engines": {}}).model_dump()
        now = RunInfo.model_validate({**now, "engines": engines}).engines
        if self.info.engines:
            earlier = identity_of_engines(self.info.engines)
            _refuse_differences(self.folder, earlier, identity_of_engines(now))
        self.update(engines=now)

    def update(self, **changes: Any) -> None:
        """Write `run.json` anew with these fields changed."""
        self.info = self.info.model_copy(update=changes)
        with told(self.folder):
            write_run_info(self.folder, self.info)

    def export(self) -> Path:
        """Write `records.jsonl`, whole or not at all."""
        path = self.folder / EXPORT
        with told(self.folder):
            rows = rows_in_order(self._database, self.info.config.splits)
            write_atomically(path, (f"{body}\n" for *_, body in rows))
        return path

    def discard_if_empty(self) -> None:
        """Leave no folder of a run that has no record yet; only `close` may follow."""
        if self.done():
            return
        self._database.close()
        _clear(self.folder)
        with contextlib.suppress(OSError):  # the user keeps something else in it
            (self.folder / LOCK).unlink()
            self.folder.rmdir()

    def close(self) -> None:
        """Release the folder, leaving one database file that can be read anywhere."""
        with contextlib.suppress(sqlite3.Error):  # a reader at work, or a disk that is full
            self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()
        self._lock.close()


def open_store(folder: Path, info: RunInfo, mode: Literal["resume", "fresh"]) -> RunStore:
    """Open a run folder for writing: begin a run, go on with it, or begin it anew.

    Raises `DataError` when the folder cannot be written, holds something else, is in use by
    another process, or was made by another configuration.
    """
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
        if foreign and not (folder / RUN_FILE).exists():
            raise DataError(
                f"{folder} is not a run folder: it holds {foreign[0]!r}; "
                "name a new or empty folder with --out."
            )
        lock = take_lock(folder, ", or name another folder with --out")
    try:
        if mode == "fresh":
            _clear(folder)
        info = info.model_copy(update={"name": folder.name})
        if (folder / RUN_FILE).exists():
            earlier = read_run_info(folder)
            _refuse_differences(folder, _chosen(earlier.config), _chosen(info.config))
            info = earlier.model_copy(update={"status": "running", "config": info.config})
        with told(folder):
            write_run_info(folder, info)
        return RunStore(folder, info, lock)
    except BaseException:
        lock.close()
        raise


def read_done(folder: Path) -> dict[SampleKey, str]:
    """The route of every sample that has a record, also while the run is being written."""
    database = folder / DATABASE
    with told(folder), contextlib.closing(connect_to_read(database)) as connection:
        rows = connection.execute("SELECT split, sample_id, route FROM records")
        return {SampleKey(split, sample): route for split, sample, route in rows}


def read_run(folder: Path) -> tuple[RunInfo, list[Record]]:
    """A run's description and all that is kept of each sample, also while it is being written.

    Where a judge has been, its verdicts stand in the place of the dataset's rule. `reading` has
    what takes less time and memory. Raises `DataError` for what is no run or cannot be read.
    """
    info = read_run_info(folder)
    with open_stored(folder, info) as stored:
        records = [parse_record(body, folder) for body in stored.bodies]
    return info, overlay(records, stored.verdicts)


class Stored(NamedTuple):
    """What a run's folder holds of its samples."""

    bodies: Iterable[Any]
    """The JSON of each record, in the run's order."""
    verdicts: Mapping[ClaimKey, JudgedNote]
    """The judge's."""


@contextlib.contextmanager
def open_stored(folder: Path, info: RunInfo, key: SampleKey | None = None) -> Iterator[Stored]:
    """What the database holds, or else the export; only of one sample where a key is given.

    A run that was copied without its database, or has none yet, is read from its export, which
    gives every sample.
    """
    database, export = folder / DATABASE, folder / EXPORT
    if database.exists():
        with told(folder), contextlib.closing(connect_to_read(database)) as connection:
            try:
                verdicts = read_verdicts(connection, key)
                connection.execute("SELECT 1 FROM records")
            except sqlite3.OperationalError as error:
                if "malformed" in str(error):
                    raise  # else it was killed before its first record, or is read-only
            else:
                yield Stored(_bodies(connection, info, key), verdicts)
                return
    if not export.exists():
        yield Stored((), {})
        return
    with told(export):
        require_file(export)
        with export.open(encoding="utf-8", newline="\n") as lines:
            yield Stored(lines, {})


def _bodies(connection: sqlite3.Connection, info: RunInfo, key: SampleKey | None) -> Iterator[Any]:
    if key is None:
        return (body for *_, body in rows_in_order(connection, info.config.splits))
    select = "SELECT body FROM records WHERE split = ? AND sample_id = ?"
    return (body for (body,) in connection.execute(select, key))


def parse_record(body: Any, where: Path) -> Record:
    """The record in a text; `DataError` for what is none, as in a damaged database."""
    try:
        return Record.model_validate_json(body)
    except (ValidationError, TypeError) as error:
        raise unreadable(where, error) from None


def unreadable(where: Path, error: ValidationError | TypeError) -> DataError:
    """What to raise for a record that cannot be parsed."""
    reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no text"
    return DataError(f"{where} holds a record this version cannot read: {reason}.")


def take_lock(folder: Path, otherwise: str = "") -> IO[str]:
    """The folder's lock, which the system releases when the process ends in any way.

    Raises `DataError` while another holds it, with what can be done `otherwise`.
    """
    lock = (folder / LOCK).open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DataError(f"{folder} is in use by another run; wait for it{otherwise}.") from None
    except BaseException:
        lock.close()
        raise
    return lock


def _clear(folder: Path) -> None:
    """Remove an earlier run; `run.json` goes last, so that a half-cleared folder is still ours."""
    with told(folder):
        shutil.rmtree(folder / IMAGES, ignore_errors=True)
        for name in (EXPORT, DRAFTS, VERDICTS, *_DATABASE_FILES, RUN_FILE):
            (folder / name).unlink(missing_ok=True)


def _chosen(config: RunConfig) -> dict[str, Any]:
    """What a run must share with one that goes on with it; its data are compared by sample."""
    kept, tags = identity_of(config), tags_of(RunConfig)
    return {name: kept[name] for name in kept if tags[name].part != "files"}


def _refuse_differences(folder: Path, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    different = list(differences(earlier, now))
    if different:
        raise DataError(
            f"{folder} was made by another configuration: {'; '.join(different)}. "
            "Name another folder with --out, or start again with --fresh."
        )
