"""What the user chooses of the gathered rows: baselines, order and groups."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer

from speceyes_cli.commands.gather.columns import MAPPINGS, run_of
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.tables.summaries import ALL, SummaryRow
from speceyes_cli.core.tables.upstream.rows import Choose
from speceyes_cli.host.manager import known_names

FIELDS = tuple(name for name in SummaryRow.model_fields if name not in (*MAPPINGS, "notes"))
"""What rows can be sorted and grouped by."""


def make_chooser(named: Sequence[Path]) -> Choose:
    """Take what the user named; else ask on a terminal, or say which there are."""
    wanted = {path.resolve() for path in named}

    def choose(what: str, places: Sequence[Path]) -> int:
        hits = [number for number, place in enumerate(places) if place.resolve() in wanted]
        if len(hits) == 1:
            return hits[0]
        names = [str(place) for place in places]
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                f"{what} has several baselines of the same configuration: {', '.join(names)}; "
                "choose one with --baseline."
            )
        typer.echo(f"{what} has several baselines of the same configuration:", err=True)
        for number, name in enumerate(names, 1):
            typer.echo(f"  {number}  {name}", err=True)
        among = typer.prompt("Which one", type=int, err=True, default=len(names))
        if not 1 <= among <= len(names):
            raise UsageError(f"There is no number {among}.")
        return int(among) - 1

    return choose


_SEARCHED = ("run", "folder", "method", "agent", "dataset", "gate", "small", "large")


def choose_rows(
    rows: Sequence[SummaryRow], only: str | None, select: str | None
) -> list[SummaryRow]:
    """The rows of one split, or "all", of runs that hold a text in their name or settings.

    A result of one split has no row of all; its only row stands for it. Raises `UsageError` where
    nothing is left.
    """
    kept = [row for row in rows if select is None or _holds(row, select)]
    if rows and not kept:
        raise UsageError(f"--select: no run has {select!r} in its name, folder or settings.")
    if only is None:
        return kept
    counts = Counter(run_of(row) for row in kept)
    chosen = [
        row for row in kept if row.split == only or (only == ALL and counts[run_of(row)] == 1)
    ]
    if kept and not chosen:
        splits = list(dict.fromkeys(row.split for row in kept))
        raise UsageError(f"--only: there is no split {only!r}; {known_names(only, splits)}.")
    return chosen


def _holds(row: SummaryRow, text: str) -> bool:
    values = (getattr(row, field) for field in _SEARCHED)
    return any(text.casefold() in str(value).casefold() for value in values if value is not None)


def arrange(rows: Sequence[SummaryRow], sort: str | None, group: str | None) -> list[SummaryRow]:
    """The rows by a field, "-field" for the largest first, then together by another."""
    ordered = list(rows)
    if sort is not None:
        field = sort.removeprefix("-")
        _check_field("--sort", field)
        known = [row for row in ordered if getattr(row, field) is not None]
        unknown = [row for row in ordered if getattr(row, field) is None]
        known.sort(key=lambda row: getattr(row, field), reverse=sort.startswith("-"))
        ordered = known + unknown
    if group is not None:
        _check_field("--group-by", group)
        places = {value: place for place, value in reversed(_enumerated(ordered, group))}
        ordered.sort(key=lambda row: places[getattr(row, group)])
    return ordered


def _enumerated(rows: Sequence[SummaryRow], field: str) -> list[tuple[int, object]]:
    return [(place, getattr(row, field)) for place, row in enumerate(rows)]


def _check_field(flag: str, field: str) -> None:
    if field not in FIELDS:
        raise UsageError(f"{flag}: there is no column {field!r}; {known_names(field, FIELDS)}.")
