"""The gathered rows as Markdown, CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from speceyes_cli.commands.gather.columns import (
    MAPPINGS,
    PAPER,
    Column,
    benefit,
    make_columns,
    run_of,
    usual_columns,
)
from speceyes_cli.core.tables.paper import published
from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.core.text import one_line, strip_control

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet runs, or strips before it looks."""
_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "\u2212": "$-$",
    "–": "--",
    "…": r"\dots{}",
}


def as_json(rows: Sequence[SummaryRow], names: Sequence[str], *, paper: bool) -> str:
    """A list of objects, one for each row, all figures in full; only the named ones if any."""
    told = [row.model_dump() for row in rows]
    if paper:
        for entry, row in zip(told, rows, strict=True):
            entry["paper"] = {**published(row)._asdict(), **_differences(row)}
    if names:
        told = [{name: _value(row, name) for name in names} for row in rows]
    return json.dumps(told, indent=2, ensure_ascii=False)


def as_csv(rows: Sequence[SummaryRow], names: Sequence[str], *, paper: bool) -> str:
    """One line for each row, the columns of the JSON form that hold one value."""
    out = io.StringIO()
    every = [name for name in SummaryRow.model_fields if name not in (*MAPPINGS, "notes")]
    wanted = list(names) or every + list(PAPER if paper else ())
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(wanted)
    for row in rows:
        writer.writerow([_csv_cell(_value(row, name)) for name in wanted])
    return out.getvalue()


def as_markdown(rows: Sequence[SummaryRow], names: Sequence[str], *, paper: bool) -> str:
    """The table in Markdown."""
    shown = make_columns(names or usual_columns(rows, paper=paper), rows)
    lines = [
        [_text_title(column) for column in shown],
        ["---" if column.left else "---:" for column in shown],
    ]
    lines += [[_markdown_cell(column.show(row)) for column in shown] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def as_latex(rows: Sequence[SummaryRow], names: Sequence[str], *, paper: bool) -> str:
    """The table for a paper; it needs the package booktabs."""
    shown = make_columns(names or usual_columns(rows, paper=paper), rows)
    layout = "".join("l" if column.left else "r" for column in shown)
    titles = " & ".join(escape_latex(_text_title(column)) for column in shown)
    lines = [titles + r" \\", r"\midrule"]
    for place, row in enumerate(rows):
        if place and run_of(row) != run_of(rows[place - 1]):
            lines.append(r"\addlinespace")
        lines.append(" & ".join(escape_latex(column.show(row)) for column in shown) + r" \\")
    return latex_table(layout, lines)


def latex_table(layout: str, lines: Sequence[str]) -> str:
    """Lines of cells between the rules of booktabs."""
    body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{layout}}}\n{body}\n\\end{{tabular}}\n"


def escape_latex(text: str) -> str:
    """The text with every sign that LaTeX would take for a command made harmless."""
    safe = "".join(_LATEX.get(sign, sign) for sign in one_line(text))
    return f"{{}}{safe}" if safe.startswith(("[", "*")) else safe  # no part of the line before


WRITERS: dict[str, Callable[..., str]] = {
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
    "latex": as_latex,
}


def _differences(row: SummaryRow) -> dict[str, float | None]:
    told = published(row)
    return {
        "accuracy_difference": _difference(row.accuracy, told.accuracy),
        "speedup_difference": _difference(row.speedup, told.speedup),
    }


def _difference(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _text_title(column: Column) -> str:
    return "run" if column.name == "run" else column.title


def _value(row: SummaryRow, name: str) -> Any:
    """A figure by the name of its column."""
    field, _, member = name.partition(".")
    if member:
        return getattr(row, field).get(member)
    if name in PAPER:
        told = published(row)
        known = {"paper_accuracy": told.accuracy, "paper_speedup": told.speedup}
        return {**known, **_differences(row)}[name]
    return benefit(row) if name == "accepted" else getattr(row, name)


def _markdown_cell(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace("|", "\\|")
    return safe.replace("<", "&lt;").replace("](", "]\\(")


def _csv_cell(value: object) -> object:
    """Empty for None; text that a spreadsheet would run as a formula is marked as text."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = strip_control(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
