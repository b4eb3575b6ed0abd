"""The table of runs: its columns, what they are sorted and filtered by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.core.text import writable
from speceyes_cli.view.catalog import Catalog, RunEntry
from speceyes_cli.view.queries import read_query, write_query

FILTERS = ("method", "agent", "dataset", "gate", "status")
"""Columns with few values, each with a list to choose from."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run, ours or one that the paper's own code made."""

    id: str
    """Empty for upstream's, which has no page of its own."""
    name: str
    folder: str
    """Its folder, from the one that the page was given."""
    date: str
    method: str
    agent: str
    small: str
    large: str
    dataset: str
    gate: str
    top_k: int | None
    threshold: float | None
    status: str
    seconds_left: float | None
    n: int | None
    """Finished samples; None before they were counted."""
    row: SummaryRow | None
    """Its figures; None before they were made."""
    both_branches: bool
    problem: str
    source: str = "speceyes"


@dataclass(frozen=True, slots=True)
class RunsChoice:
    """What the reader asked for; an empty text leaves all in."""

    method: str = ""
    agent: str = ""
    dataset: str = ""
    gate: str = ""
    status: str = ""
    text: str = ""
    """What name, folder or models hold."""
    sort: str = "date"
    """One of `SORTS`."""
    way: str = ""
    """"up" or "down"; empty for the column's own."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> RunsChoice:
        """From the query of an address."""
        given = read_query(cls, query)
        if given["sort"] not in SORTS:
            given["sort"] = "date"
        if given["way"] not in ("up", "down"):
            given["way"] = ""
        return cls(**given)

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.way == "down" if self.way else self.sort in DOWNWARDS

    def query(self, **more: object) -> str:
        """As the query of an address, with other values for some."""
        return write_query(self, more)

    def sorted_by(self, column: str) -> str:
        """The query that sorts by a column, the other way round where it does already."""
        again = column == self.sort
        down = not self.descending if again else column in DOWNWARDS
        return self.query(sort=column, way="down" if down else "up")


def _of_row(name: str) -> Callable[[Line], Any]:
    return lambda line: None if line.row is None else getattr(line.row, name)


def _of_line(name: str) -> Callable[[Line], Any]:
    return lambda line: getattr(line, name)


SORTS: dict[str, Callable[[Line], Any]] = {
    **{
        name: _of_line(name)
        for name in (
            *("name", "date", "method", "agent", "large", "dataset", "gate", "top_k"),
            *("threshold", "n", "status"),
        )
    },
    **{name: _of_row(name) for name in ("accuracy", "speedup", "alpha", "beta")},
}
DOWNWARDS = {"date", "n", "accuracy", "speedup", "alpha", "beta"}


def line_of(entry: RunEntry, roots: Sequence[Path]) -> Line:
    """One of our runs as a line."""
    config = entry.info.config if entry.info is not None else None
    return Line(
        id=entry.id,
        name=entry.name,
        folder=_within(entry.folder, roots),
        date=entry.info.created[:16].replace("T", " ") if entry.info is not None else "",
        method=config.method if config else "",
        agent=config.agent if config else "",
        small=(config.small or "") if config else "",
        large=(config.large or "") if config else "",
        dataset=config.dataset if config else "",
        gate=(config.gate or "") if config else "",
        top_k=config.top_k if config else None,
        threshold=config.threshold if config else None,
        status="unreadable" if entry.problem else entry.status,
        seconds_left=entry.seconds_left,
        n=len(entry.index) if entry.index is not None else None,
        row=entry.total,
        both_branches=config.both_branches if config else False,
        problem=entry.problem,
    )


def upstream_line(row: SummaryRow) -> Line:
    """A result of upstream's as a line."""
    return Line(
        id="",
        name=row.run,
        folder=row.split,
        date="",
        method=row.method,
        agent=row.agent,
        small=row.small or "",
        large=row.large or "",
        dataset=row.dataset,
        gate=row.gate or "",
        top_k=row.top_k,
        threshold=row.threshold,
        status="finished",
        seconds_left=None,
        n=row.n,
        row=row,
        both_branches=False,
        problem="",
        source=row.source,
    )


def all_lines(catalog: Catalog) -> list[Line]:
    """Every run, then every result of upstream's."""
    ours = [line_of(entry, catalog.roots) for entry in catalog.entries()]
    return ours + [upstream_line(row) for row in catalog.upstream]


def arrange(lines: Sequence[Line], choice: RunsChoice) -> list[Line]:
    """The lines that the reader asked for, in order; those without a value come last."""
    chosen = [line for line in lines if _fits(line, choice)]
    key = SORTS[choice.sort]
    known = [line for line in chosen if key(line) not in (None, "")]
    rest = [line for line in chosen if key(line) in (None, "")]
    return sorted(known, key=key, reverse=choice.descending) + rest


def distinct(lines: Sequence[Line]) -> dict[str, list[str]]:
    """The values that each of `FILTERS` can be."""
    return {
        name: sorted({getattr(line, name) for line in lines if getattr(line, name)})
        for name in FILTERS
    }


def _within(folder: Path, roots: Sequence[Path]) -> str:
    """The folder from the root that holds it, that one's name included."""
    root = next((root for root in roots if folder.is_relative_to(root)), None)
    return writable(str(folder if root is None else folder.relative_to(root.parent)))


def _fits(line: Line, choice: RunsChoice) -> bool:
    if any(getattr(choice, name) not in ("", getattr(line, name)) for name in FILTERS):
        return False
    said = f"{line.name}\n{line.folder}\n{line.small}\n{line.large}".casefold()
    return choice.text.casefold() in said
