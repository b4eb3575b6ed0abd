"""A gate beside others as a table."""

from __future__ import annotations

from collections.abc import Sequence

from speceyes_cli.analysis.gate_comparison import EQUAL_HARM, Comparison, Difference
from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.commands.tables import NOTHING, percent


def comparison_table(comparisons: Sequence[Comparison], run: str) -> FittingTable:
    """Paired differences to each other gate; an interval without 0 is a difference."""
    first = comparisons[0]
    title = f"{first.gate} less each other gate · {first.n} drafts of {run} it was not fitted on"
    names = ("AURC", "difference (95%)", f"coverage at {percent(EQUAL_HARM)} harm")
    table = FittingTable(title, ("gate", *names, "difference (95%)"))
    for row in comparisons:
        cells = [f"{row.aurc.other:.4f}", _interval(row.aurc, 1, 4)]
        if row.coverage is None:
            cells += [NOTHING, NOTHING]
        else:
            cells += [percent(row.coverage.other), _interval(row.coverage, 100, 1)]
        table.add_row(row.other, *cells)
    own = percent(first.coverage.gate) if first.coverage else NOTHING
    table.add_row(first.gate, f"{first.aurc.gate:.4f}", "", own, "", style="bold")
    return table


def _interval(found: Difference, scale: float, digits: int) -> str:
    values = (found.gate - found.other, found.low, found.high)
    middle, low, high = (f"{scale * value:+.{digits}f}" for value in values)
    return f"{middle} [{low}, {high}]"
