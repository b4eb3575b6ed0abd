"""Every run below the folders that the page was given, read in the background as they grow."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.info import RUN_FILE, RunInfo, read_run_info
from speceyes_cli.core.run.liveness import Status, status_of
from speceyes_cli.core.tables.summaries import (
    ALL,
    LoadedRun,
    SummaryRow,
    find_baseline,
    is_baseline_of,
    summarize,
    try_each,
)
from speceyes_cli.core.tables.upstream.files import (
    LATENCIES,
    find_results,
    judged_place,
    read_result,
)
from speceyes_cli.core.tables.upstream.rows import upstream_rows
from speceyes_cli.host.gathering import take_latest
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import DataSource
from speceyes_cli.view.figures import loaded_run
from speceyes_cli.view.reading import RunReader, file_state
from speceyes_cli.view.record_index import RecordIndex

log = logging.getLogger(__name__)

FIRST = 0.5
"""Seconds before records are read: the first page need not share the processor with that."""
EVERY = 2.0
"""Seconds between two looks at the folders."""
LOOK_SHARE = 10
"""The folders are searched for runs after so many times the processor time that it took."""
SHARE = 20
"""A run's figures are made anew after so many times the processor time that making them took."""
RATE_SECONDS = 120.0
"""The rate of a run under way is that of so long a time."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """What is known of one run."""

    id: str
    """Its place in addresses: a digest of its folder's path."""
    folder: Path
    info: RunInfo | None = None
    index: RecordIndex | None = None
    """None until its records were read."""
    rows: tuple[SummaryRow, ...] = ()
    """Figures by split, then of all; empty until they were made."""
    baseline: str | None = None
    """The id of the run that its speedup is over."""
    status: Status = "interrupted"
    seconds_left: float | None = None
    """How long a run under way will take; None where nobody can tell."""
    problem: str = ""
    """Why it cannot be read."""
    change: int = 0
    """Grows with what is known of its records."""

    @property
    def name(self) -> str:
        """The run's name, or its folder's."""
        return self.info.name if self.info is not None else self.folder.name

    @property
    def total(self) -> SummaryRow | None:
        """The row of all splits."""
        return next((row for row in self.rows if row.split == ALL), None)


class Pace:
    """How fast a run under way goes."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def seconds_left(self, done: int, total: int | None, now: float) -> float | None:
        """From the counts seen lately; None where they did not grow, or the total is unknown."""
        self._counts.append((now, done))
        while now - self._counts[0][0] > RATE_SECONDS:
            self._counts.popleft()
        began, before = self._counts[0]
        if total is None or done <= before or now <= began:
            return None
        return max(0, total - done) * (now - began) / (done - before)


class Catalog:
    """All runs below `roots`; `refresh` is for one thread, the rest for any."""

    def __init__(self, roots: Sequence[Path], host: Host) -> None:
        self.roots = tuple(root.resolve() for root in roots)
        self.version = 0
        """Grows with every change of what is known."""
        self.reading = True
        """Whether some records that are there have not been read yet."""
        self.upstream: tuple[SummaryRow, ...] = ()
        """Rows of upstream's results."""
        self.left_out: tuple[str, ...] = ()
        """A sentence for each result of upstream's that cannot be read."""
        self._host = host
        self._entries: dict[str, RunEntry] = {}
        self._readers: dict[str, RunReader] = {}
        self._paces: dict[str, Pace] = {}
        self._sizes: dict[tuple[object, ...], int | None] = {}
        """By what is asked of a dataset: two runs may share a name."""
        self._due: dict[str, float] = {}
        """When a run's figures may be made again."""
        self._pending: set[str] = set()
        """Runs whose figures are not those of their records."""
        self._results: tuple[object, ...] = ()
        self._places: list[Path] = []
        self._next_look = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def entries(self) -> list[RunEntry]:
        """Every run, by the path of its folder."""
        return sorted(self._entries.values(), key=lambda entry: entry.folder)

    def get(self, run_id: str) -> RunEntry | None:
        """One run; None for an id that no run has."""
        return self._entries.get(run_id)

    def watch(self) -> None:
        """Look at the folders until `stop`; for a thread of its own."""
        self._stop.wait(FIRST)
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # a fault of this program: the page shows what it knows
                log.exception("speceyes view: the folders cannot be looked at")
            self._stop.wait(EVERY)

    def stop(self) -> None:
        """End `watch`."""
        self._stop.set()

    def discover(self) -> None:
        """Find runs and read what each says of itself, but none of its records."""
        began = time.thread_time()
        found = {_id_of(folder): folder for root in self.roots for folder in _folders(root)}
        for run_id in self._entries.keys() - found.keys():
            for known in (self._entries, self._readers, self._paces, self._due):
                known.pop(run_id, None)
            self._pending.discard(run_id)
            self.version += 1
        for run_id, folder in found.items():
            if run_id in self._readers:
                continue
            self._readers[run_id] = RunReader(folder)
            try:
                info = read_run_info(folder)
                self._put(RunEntry(run_id, folder, info, status=status_of(folder, info)))
            except DataError as error:
                self._put(RunEntry(run_id, folder, problem=str(error)))
        self._places = list(dict.fromkeys(p for root in self.roots for p in _results(root)))
        self._next_look = time.monotonic() + LOOK_SHARE * (time.thread_time() - began)

    def refresh(self) -> None:
        """Read all that is new."""
        with self._lock:
            if time.monotonic() >= self._next_look:
                self.discover()
            for run_id in list(self._readers):
                if self._read(run_id):
                    self._pending.add(run_id)
            self._read_results()
            self._summarize()
            self.reading = False

    def _read(self, run_id: str) -> bool:
        """Read one run's new records; whether there were any."""
        reader, entry = self._readers[run_id], self._entries[run_id]
        changed = reader.refresh()
        info = reader.info or entry.info
        status = status_of(entry.folder, info) if info is not None else "interrupted"
        left = None
        if info is not None and status == "running":
            pace = self._paces.setdefault(run_id, Pace())
            left = pace.seconds_left(len(reader.index), self._size(info), time.monotonic())
        now = replace(
            entry,
            info=info,
            index=reader.index,
            status=status,
            seconds_left=left,
            problem=reader.problem,
            change=reader.change,
        )
        self._put(now)
        return changed

    def _put(self, entry: RunEntry) -> None:
        if self._entries.get(entry.id) != entry:
            self._entries[entry.id] = entry
            self.version += 1

    def _size(self, info: RunInfo) -> int | None:
        """Samples of the whole run, where the dataset can tell."""
        config = info.config
        asked = (config.dataset, config.data, config.option_order, config.splits, config.limit)
        if asked not in self._sizes:
            self._sizes[asked] = _size_of(info, self._host)
        return self._sizes[asked]

    def _summarize(self) -> None:
        """Figures of the runs that changed, and of those that are measured against them."""
        entries = self.entries()
        changed = [entry for entry in entries if entry.id in self._pending]
        self._pending |= {
            entry.id for entry in entries if any(_is_baseline(other, entry) for other in changed)
        }
        loaded: dict[str, LoadedRun] = {}
        for entry in entries:
            if entry.id not in self._pending or time.monotonic() < self._due.get(entry.id, 0.0):
                continue
            if self._stop.is_set():
                return
            began = time.thread_time()
            self._put(self._with_figures(entry, loaded))
            self._due[entry.id] = time.monotonic() + SHARE * (time.thread_time() - began)
            self._pending.discard(entry.id)

    def _with_figures(self, entry: RunEntry, loaded: dict[str, LoadedRun]) -> RunEntry:
        info = entry.info
        if info is None or entry.index is None or not len(entry.index):
            return replace(entry, rows=(), baseline=None)
        run = _load(entry)
        baselines = {}
        for other in self.entries():
            if not _is_baseline(other, entry):
                continue
            if other.id not in loaded:
                loaded[other.id] = _load(other)
            baselines[other.id] = loaded[other.id]
        baseline = find_baseline(run, baselines.values())
        baseline_id = next((i for i, one in baselines.items() if one is baseline), None)
        return replace(entry, rows=tuple(summarize(run, baseline)), baseline=baseline_id)

    def _read_results(self) -> None:
        files = [
            file
            for place in self._places
            for file in (place, judged_place(place), place.parent / LATENCIES)
        ]
        state = tuple((file, file_state(file)) for file in files)
        if state == self._results:
            return
        tried = try_each(self._places, read_result)
        self.upstream = tuple(upstream_rows(tried.found, take_latest))
        self.left_out = tuple(tried.left_out)
        self._results = state
        self.version += 1


def _is_baseline(other: RunEntry, entry: RunEntry) -> bool:
    """Whether one run may be what another is measured against, as far as their settings tell."""
    if other.info is None or entry.info is None or other.index is None or other.id == entry.id:
        return False
    return is_baseline_of(entry.info.config, other.info.config)


def _load(entry: RunEntry) -> LoadedRun:
    assert entry.info is not None  # noqa: S101 - asked before
    assert entry.index is not None  # noqa: S101 - the same
    return loaded_run(entry.folder, entry.info, entry.index)


def _id_of(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def _folders(root: Path) -> Iterator[Path]:
    """Run folders at or below a folder, without looking into them; links lead nowhere."""
    for path, below, files in os.walk(root):
        if RUN_FILE in files:
            below.clear()
            yield Path(path)
        below.sort()


def _results(root: Path) -> Iterator[Path]:
    """Where upstream's results are, those in run folders left out: they are none."""
    for path, below, files in os.walk(root):
        if RUN_FILE in files:
            below.clear()
            continue
        for name in sorted(files):
            if name.endswith(".jsonl"):
                yield from find_results(Path(path, name))


def _size_of(info: RunInfo, host: Host) -> int | None:
    config = info.config
    spec = host.datasets.specs.get(config.dataset)
    if spec is None:
        return None
    source = DataSource(config.data, config.option_order)
    try:
        sizes = [spec.size(split, source) for split in config.splits]
    except Exception:  # noqa: BLE001 - a dataset's plugin raises what it likes
        return None
    if any(size is None for size in sizes):
        return None
    limit = config.limit
    return sum(min(size, limit) if limit is not None else size for size in sizes if size)
