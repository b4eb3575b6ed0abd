"""The gathered rows as Markdown, CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from speceyes_cli.commands.gather.columns import columns
from speceyes_cli.core.tables.paper import published
from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.core.text import one_line, strip_control

_MAPPINGS = ("phase_mean_s", "answers_by_letter", "right_by_letter", "metrics", "verdicts", "notes")
"""Columns of a row that hold several values."""
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


def as_json(rows: Sequence[SummaryRow], *, paper: bool) -> str:
    """A list of objects, one for each row, all figures in full."""
    told = [row.model_dump() for row in rows]
    if paper:
        for entry, row in zip(told, rows, strict=True):
            entry["paper"] = {**published(row)._asdict(), **_differences(row)}
    return json.dumps(told, indent=2, ensure_ascii=False)


def as_csv(rows: Sequence[SummaryRow], *, paper: bool) -> str:
    """One line for each row, the columns of the JSON form that hold one value."""
    out = io.StringIO()
    names = [name for name in SummaryRow.model_fields if name not in _MAPPINGS]
    more = ["paper_accuracy", "paper_speedup", "accuracy_difference", "speedup_difference"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, *more] if paper else names)
    for row in rows:
        cells = [_csv_cell(getattr(row, name)) for name in names]
        if paper:
            values = (*published(row), *_differences(row).values())
            cells += [_csv_cell(value) for value in values]
        writer.writerow(cells)
    return out.getvalue()


def as_markdown(rows: Sequence[SummaryRow], *, paper: bool) -> str:
    """The table in Markdown."""
    shown = columns(rows, paper=paper)
    lines = [
        [column.title for column in shown],
        ["---" if column.left else "---:" for column in shown],
    ]
    lines += [[_markdown_cell(column.show(row)) for column in shown] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def as_latex(rows: Sequence[SummaryRow], *, paper: bool) -> str:
    """The table for a paper; it needs the package booktabs."""
    shown = columns(rows, paper=paper)
    layout = "".join("l" if column.left else "r" for column in shown)
    lines = [" & ".join(escape_latex(column.title) for column in shown) + r" \\", r"\midrule"]
    for place, row in enumerate(rows):
        if place and row.run != rows[place - 1].run:
            lines.append(r"\addlinespace")
        lines.append(" & ".join(escape_latex(column.show(row)) for column in shown) + r" \\")
    body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{layout}}}\n{body}\n\\end{{tabular}}\n"


def escape_latex(text: str) -> str:
    """The text with every sign that LaTeX would take for a command made harmless."""
    safe = "".join(_LATEX.get(sign, sign) for sign in one_line(text))
    return f"{{}}{safe}" if safe.startswith("[") else safe  # not an option of the line before


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


def _markdown_cell(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace("|", "\\|")
    return safe.replace("<", "&lt;").replace("](", "]\\(")


def _csv_cell(value: object) -> object:
    """Empty for None; text that a spreadsheet would run as a formula is marked as text."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = strip_control(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
