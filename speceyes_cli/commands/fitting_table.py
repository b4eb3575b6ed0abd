"""Tables that break no name or figure, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from speceyes_cli.core.text import strip_control

GAP = 2
"""Spaces between columns without a frame."""
FRAME = 3
"""What a frame takes for each column; and one sign more at its end."""


class _Row(NamedTuple):
    cells: tuple[str, ...]
    style: str


class FittingTable:
    """A table whose cells stay whole.

    Without a frame where that is too wide, then with headings on several lines, then in parts below
    each other, each of which begins with the columns that tell the rows apart.
    """

    def __init__(self, title: str, columns: Sequence[str], *, keys: int = 1, left: int = 1) -> None:
        """The first `keys` columns tell the rows apart; the first `left` ones hold words."""
        self._title = strip_control(title)
        self._columns = [strip_control(column) for column in columns]
        self._keys = keys
        self._left = left
        self._rows: list[_Row] = []

    def add_row(self, *cells: str, style: str = "") -> None:
        """One more row, a cell for each column."""
        self._rows.append(_Row(tuple(strip_control(cell) for cell in cells), style))

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """The title, then the table or its parts."""
        if self._title:
            yield Text(self._title, "table.title")
        every = list(range(len(self._columns)))
        width = options.max_width
        whole, narrow = self._widths(self._columns), self._widths(self._stacked())
        if sum(whole) + FRAME * len(whole) + 1 <= width:
            yield self._table(every, self._columns, framed=True)
        elif sum(whole) + GAP * (len(whole) - 1) <= width:
            yield self._table(every, self._columns, framed=False)
        else:
            for part in self._parts(narrow, width):
                yield self._table(part, self._stacked(), framed=False)

    def _stacked(self) -> list[str]:
        """The headings of what is no key, a word a line."""
        return [
            title if place < self._keys else "\n".join(title.split())
            for place, title in enumerate(self._columns)
        ]

    def _widths(self, titles: Sequence[str]) -> list[int]:
        columns = zip(*(row.cells for row in self._rows), strict=True)
        cells = list(columns) or [()] * len(titles)
        return [
            max(map(cell_len, (*title.split("\n"), *held)))
            for title, held in zip(titles, cells, strict=True)
        ]

    def _parts(self, widths: Sequence[int], width: int) -> list[list[int]]:
        """Places of the columns of each part; at least one beside the keys."""
        keys = list(range(self._keys))
        taken = sum(widths[: self._keys]) + GAP * len(keys)
        parts: list[list[int]] = []
        left = 0
        for place in range(self._keys, len(widths)):
            if not parts or widths[place] > left:
                parts.append([*keys])
                left = width - taken
            parts[-1].append(place)
            left -= widths[place] + GAP
        return parts

    def _table(self, places: Sequence[int], titles: Sequence[str], *, framed: bool) -> Table:
        table = Table() if framed else Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
        for place in places:
            justify: Literal["left", "right"] = "left" if place < self._left else "right"
            table.add_column(Text(titles[place]), justify=justify, no_wrap=True)
        for row in self._rows:
            table.add_row(*(Text(row.cells[place]) for place in places), style=row.style)
        return table
