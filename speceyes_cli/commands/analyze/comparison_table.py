"""A gate beside others as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.gate_comparison import EQUAL_HARM, Comparison, Difference
from speceyes_cli.commands.tables import NOTHING, percent
from speceyes_cli.core.text import strip_control


def comparison_table(comparisons: Sequence[Comparison], run: str) -> Table:
    """Paired differences to each other gate; an interval without 0 is a difference."""
    first = comparisons[0]
    title = f"{first.gate} less each other gate · {first.n} drafts of {run} it was not fitted on"
    table = Table(title=Text(strip_control(title)), title_justify="left")
    table.add_column("gate", no_wrap=True)
    names = ("AURC", "difference (95%)", f"coverage at {percent(EQUAL_HARM)} harm")
    for name in (*names, "difference (95%)"):
        table.add_column(name, justify="right")
    for row in comparisons:
        cells = [f"{row.aurc.other:.4f}", _interval(row.aurc, 1, 4)]
        if row.coverage is None:
            cells += [NOTHING, NOTHING]
        else:
            cells += [percent(row.coverage.other), _interval(row.coverage, 100, 1)]
        table.add_row(Text(row.other), *(Text(cell) for cell in cells))
    own = percent(first.coverage.gate) if first.coverage else NOTHING
    table.add_row(Text(first.gate), f"{first.aurc.gate:.4f}", "", own, "", style="bold")
    return table


def _interval(found: Difference, scale: float, digits: int) -> str:
    values = (found.gate - found.other, found.low, found.high)
    middle, low, high = (f"{scale * value:+.{digits}f}" for value in values)
    return f"{middle} [{low}, {high}]"
