"""How a run shows that it goes on: a live bar on a terminal or in a notebook, or plain lines."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
)

from speceyes_cli.core.run.records import Record
from speceyes_cli.host.running.session import RunProgress

FEWEST = 16
"""Samples of a session from which on its rate says when it ends: the first wait for a batch."""
LINE_EVERY = 5.0
"""Seconds between plain lines."""


class Tally:
    """Counts of a run: what earlier sessions finished, and this one's rate."""

    def __init__(self, earlier: Sequence[str], total: int | None) -> None:
        """`earlier` holds the routes of finished samples, `total` all samples of the run."""
        self.total = total
        self.routes = Counter(earlier)
        self._earlier = len(earlier)
        self._began = time.monotonic()

    def add(self, route: str) -> None:
        """Count one more sample; one that failed before and was tried again counts twice."""
        self.routes[route] += 1

    @property
    def done(self) -> int:
        """Finished samples."""
        return self.routes.total()

    @property
    def rate(self) -> float:
        """Samples a second in this session."""
        return (self.done - self._earlier) / max(time.monotonic() - self._began, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds to go at this rate; None where it or the total is not known yet."""
        if self.total is None or self.done - self._earlier < FEWEST:
            return None
        return max(0, self.total - self.done) / self.rate

    @property
    def to_go(self) -> str:
        """The time left in words; empty where nothing can be said."""
        return f"{self.left:.0f} s to go" if self.left else ""

    def __str__(self) -> str:
        small, large, failed = (self.routes[route] for route in ("small", "large", "error"))
        return f"accepted {small} · agent {large} · errors {failed} · {self.rate:.2f}/s"


@contextlib.contextmanager
def watch(
    screen: Console, title: str, total: int | None, earlier: Sequence[str]
) -> Iterator[RunProgress]:
    """Show a run's progress for as long as the block lasts.

    `total` counts the run's samples, None where that is not known; `earlier` holds the routes of
    those that an earlier session finished.
    """
    tally = Tally(earlier, total)
    if not (screen.is_terminal or screen.is_jupyter):
        lines = PlainLines(screen, tally)
        yield lines
        lines.close()
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[tally]}"),
        TextColumn("{task.fields[to_go]}"),
        console=screen,
    ) as progress:
        yield LiveBar(progress, tally, title)


class LiveBar:
    """The bar on a terminal."""

    def __init__(self, progress: Progress, tally: Tally, title: str) -> None:
        self._progress, self._tally = progress, tally
        self._task = progress.add_task(
            title, total=tally.total, completed=tally.done, tally=tally, to_go=""
        )

    def advance(self, record: Record) -> None:
        """Move the bar on."""
        self._tally.add(record.route)
        tally = self._tally
        self._progress.update(self._task, completed=tally.done, tally=str(tally), to_go=tally.to_go)


class PlainLines:
    """A line now and then, for logs."""

    def __init__(self, screen: Console, tally: Tally) -> None:
        self._screen, self._tally = screen, tally
        self._last = time.monotonic()

    def advance(self, record: Record) -> None:
        """Count, and print when the last line is long enough ago."""
        self._tally.add(record.route)
        if time.monotonic() - self._last >= LINE_EVERY:
            self._print()

    def close(self) -> None:
        """Print the last line."""
        self._print()

    def _print(self) -> None:
        self._last = time.monotonic()
        tally = self._tally
        of = f" of {tally.total}" if tally.total is not None else ""
        left = f" · {tally.to_go}" if tally.to_go else ""
        self._screen.print(f"{tally.done}{of} samples · {tally}{left}", markup=False)
