"""The gathered rows for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from speceyes_cli.commands.gather.columns import (
    SETTINGS,
    Column,
    begun,
    make_columns,
    run_of,
    unfinished,
    usual_columns,
)
from speceyes_cli.commands.tables import NOTHING
from speceyes_cli.core.tables.summaries import ALL, SummaryRow
from speceyes_cli.core.text import one_line

_NAMED = 6
"""Columns that are named where they do not fit."""
GAP = 2
"""Spaces between columns."""
_FIRST = ("run", "split", "n", "accuracy", "speedup")
_PAPER = ("paper_accuracy", "accuracy_difference", "paper_speedup", "speedup_difference")


class Tables:
    """The rows for a terminal: the runs by number, then one table of what its width takes."""

    def __init__(
        self,
        rows: Sequence[SummaryRow],
        *,
        paper: bool = False,
        chosen: Sequence[str] = (),
        group: str | None = None,
    ) -> None:
        """`chosen` columns are all shown; without any, the most telling ones that fit."""
        self._rows = rows
        self._group = group
        self._numbers = {
            key: str(number) for number, key in enumerate(dict.fromkeys(map(run_of, rows)), start=1)
        }
        self._chosen = bool(chosen)
        names = list(chosen) or usual_columns(rows, paper=paper)
        self._columns = [self._numbered(one) for one in make_columns(names, rows)]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """The runs with their numbers, then the table, then the names of what it leaves out."""
        runs = {run_of(row): row for row in self._rows}
        for key, number in self._numbers.items():
            yield Text(f"{number:>3}  {describe_run(runs[key])}", overflow="fold")
        shown = self._columns if self._chosen else self._fitting(options.max_width)
        yield self._table(shown)
        left = [column.name for column in self._columns if column not in shown]
        if left:
            more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
            yield Text(
                f"Not shown at this width: {', '.join(left[:_NAMED])}{more}; --columns names what "
                "to show, --format csv has all.",
                "dim",
            )

    def _numbered(self, column: Column) -> Column:
        """Runs are shown by number, also the baseline where it is among them."""
        if column.name == "run":
            return column._replace(title="#", show=lambda row: self._numbers[run_of(row)])
        if column.name == "baseline":
            return column._replace(show=lambda row: self._against(row, column.show(row)))
        return column

    def _against(self, row: SummaryRow, name: str) -> str:
        return self._numbers.get((row.baseline_folder or "", row.baseline or ""), name)

    def _fitting(self, width: int) -> list[Column]:
        """The most telling columns that fit beside each other, in their usual order."""
        wanted = sorted(self._columns, key=lambda column: self._rank(column.name))
        kept: set[str] = set()
        left = width + GAP
        for column in wanted:
            needed = self._width(column) + GAP
            if needed <= left or not kept:
                kept.add(column.name)
                left -= needed
        return [column for column in self._columns if column.name in kept]

    def _rank(self, name: str) -> int:
        """Who is compared first, then the paper beside it, then what tells the rows apart."""
        varied = [one for one in SETTINGS if len({getattr(row, one) for row in self._rows}) > 1]
        failed = any(row.n_error for row in self._rows)
        order = [*_FIRST, *_PAPER, *(["n_error"] if failed else []), "alpha", "beta", *varied]
        order += ["latency_mean_s", "status", "accept_rate"]
        names = [column.name for column in self._columns]
        return order.index(name) if name in order else len(order) + names.index(name)

    def _width(self, column: Column) -> int:
        cells = (column.title, *(column.show(row) for row in self._rows))
        return max(map(cell_len, cells))

    def _table(self, shown: Sequence[Column]) -> Table:
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
        for column in shown:
            justify: Literal["left", "right"] = "left" if column.left else "right"
            table.add_column(column.title, justify=justify, overflow="fold")
        for place, row in enumerate(self._rows):
            if place and self._group and self._value(row) != self._value(self._rows[place - 1]):
                table.add_row()
            cells = (Text(column.show(row)) for column in shown)
            table.add_row(*cells, style="bold" if row.split == ALL else "")
        return table

    def _value(self, row: SummaryRow) -> object:
        return None if self._group is None else getattr(row, self._group)


def describe_run(row: SummaryRow) -> str:
    """One line on a run: where it is, when it was begun, and whether it has ended."""
    folder, name = one_line(row.folder), one_line(row.run)
    where = folder if folder.endswith(name) else f"{folder}: {name}" if folder else name
    when = begun(row)
    return where + (f" · {when}" if when != NOTHING else "") + unfinished(row)
