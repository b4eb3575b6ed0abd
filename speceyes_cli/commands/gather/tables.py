"""The gathered rows for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from speceyes_cli.commands.gather.columns import (
    ERRORS_AS_WRONG,
    SPLIT,
    Column,
    detail_columns,
    main_columns,
)
from speceyes_cli.core.tables.summaries import ALL, SummaryRow
from speceyes_cli.core.text import one_line


class Tables:
    """The rows for a terminal, folded into as many tables as its width needs, runs by number."""

    def __init__(
        self, rows: Sequence[SummaryRow], *, paper: bool, group: str | None = None
    ) -> None:
        self._rows = rows
        self._group = group
        names = dict.fromkeys(row.run for row in rows)
        self._numbers = {name: str(number) for number, name in enumerate(names, start=1)}
        shown = main_columns(paper=paper) + detail_columns(rows)
        if not any(row.n_error for row in rows):
            shown = [column for column in shown if column.title != ERRORS_AS_WRONG]
        self._shown = shown

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """The runs with their numbers, then the tables."""
        for name, number in self._numbers.items():
            yield Text(f"{number:>3}  {one_line(name)}", overflow="fold")
        who = [Column("run", lambda row: self._numbers[row.run]), SPLIT]
        for columns in self._fold(who, options.max_width):
            yield self._table(columns)

    def _fold(self, who: list[Column], width: int) -> Iterator[list[Column]]:
        """Columns that fit beside each other, each time after those that say whose row it is."""
        part, used = list(who), sum(map(self._width, who)) + 1
        left = width - used
        for column in self._shown:
            if self._width(column) > left and len(part) > len(who):
                yield part
                part, left = list(who), width - used
            part.append(column)
            left -= self._width(column)
        yield part

    def _width(self, column: Column) -> int:
        cells = (column.title, *(column.show(row) for row in self._rows))
        return max(map(cell_len, cells)) + 3  # a space on either side, and a line

    def _table(self, shown: Sequence[Column]) -> Table:
        table = Table()
        for column in shown:
            justify: Literal["left", "right"] = "left" if column.left else "right"
            table.add_column(column.title, justify=justify, overflow="fold")
        for place, row in enumerate(self._rows):
            following = self._rows[place + 1 : place + 2]
            ends = any(self._group_of(row) != self._group_of(other) for other in following)
            style = "bold" if row.split == ALL else ""
            cells = (Text(column.show(row)) for column in shown)
            table.add_row(*cells, style=style, end_section=ends)
        return table

    def _group_of(self, row: SummaryRow) -> object:
        return None if self._group is None else getattr(row, self._group)
