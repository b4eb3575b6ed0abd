"""`gather --watch`: the table again and again, while runs are going."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.run.database import DATABASE
from speceyes_cli.core.run.info import RUN_FILE
from speceyes_cli.core.tables.summaries import LoadedRun, load_run
from speceyes_cli.core.tables.upstream.files import find_results
from speceyes_cli.core.text import one_line
from speceyes_cli.host.gathering import Found, read_all

SECONDS = 2.0
"""Between two looks at the folders."""
_CHANGING = (RUN_FILE, DATABASE, f"{DATABASE}-wal")


class Watcher:
    """Reads runs again only where their files have changed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """The folders may still be missing or empty."""
        self._paths = paths
        self._known: dict[Path, tuple[object, LoadedRun]] = {}

    def look(self) -> Found:
        """What is there now; what cannot be read yet is left out."""
        files = {file for path in self._paths for file in path.rglob(RUN_FILE)}
        places = [place for path in self._paths for place in find_results(path)]
        return read_all(sorted(file.parent for file in files), places, self._load)

    def _load(self, folder: Path) -> LoadedRun:
        stamp = tuple(_stamp(folder / name) for name in _CHANGING)
        known = self._known.get(folder)
        if known is None or known[0] != stamp:
            known = (stamp, load_run(folder))
            self._known[folder] = known
        return known[1]


def watch(paths: Sequence[Path], draw: Callable[[Found], RenderableType], console: Console) -> None:
    """Show the table until the user stops it; `UsageError` without a terminal."""
    if not console.is_terminal:
        raise UsageError("--watch needs a terminal; without it the table is printed once.")
    watcher = Watcher(paths)
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(_frame(watcher.look(), draw), refresh=True)
                time.sleep(SECONDS)
    except KeyboardInterrupt:
        return


def _frame(found: Found, draw: Callable[[Found], RenderableType]) -> RenderableType:
    going = sum(run.info.status == "running" for run in found.runs)
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    line = f"{len(found.runs)} runs, {going} going · {now} · Ctrl-C ends"
    told = [Text(one_line(trouble, 300), "yellow") for trouble in found.left_out]
    table = draw(found) if found.runs or found.results else Text("There is no run yet.")
    return Group(table, Text(line, "dim"), *told)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
