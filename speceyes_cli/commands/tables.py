"""Figures of runs as tables for people and as text for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.core.text import one_line

NOTHING = "–"
CACHED = "*"
CACHED_NOTE = (
    "* rests on calls replayed from the cache, so it was not measured in these runs: --no-cache "
    "measures it."
)
"""What the mark stands for."""


def closing_table(rows: Sequence[SummaryRow], info: RunInfo) -> FittingTable:
    """One run: a line for each figure, a column for each split, and one for several."""
    if len(rows) == 2:  # noqa: PLR2004 - one split, and all of it once more
        rows = rows[:1]
    config = info.config
    title = f"{config.method} on {config.dataset}"
    if config.large is not None:
        title += f" · agent {config.agent}"
    if config.both_branches:
        title += " · both branches"
    if config.threshold is not None:
        title += f" · {config.gate} > {config.threshold:g}"
    table = FittingTable(title, ("", *(row.split for row in rows)))
    for name, show in _figures(rows):
        table.add_row(name, *(show(row) for row in rows))
    return table


def rows_as_json(rows: Sequence[SummaryRow]) -> str:
    """A list of objects, one for each row."""
    return json.dumps([row.model_dump() for row in rows], indent=2, ensure_ascii=False)


def percent(share: float | None) -> str:
    """0.875 as 87.5%."""
    return NOTHING if share is None else f"{100 * share:.1f}%"


def accuracy(row: SummaryRow) -> str:
    """Accuracy with its interval."""
    if row.accuracy_low is None or row.accuracy_high is None:
        return NOTHING
    return f"{percent(row.accuracy)} [{100 * row.accuracy_low:.1f}, {100 * row.accuracy_high:.1f}]"


def speedup(row: SummaryRow) -> str:
    """Speedup with its interval."""
    if row.speedup is None:
        return NOTHING
    mark = CACHED if row.speedup_cached else ""
    fewer = f" n = {row.speedup_n}" if row.speedup_n != row.n else ""
    return f"{row.speedup:.2f}× [{row.speedup_low:.2f}, {row.speedup_high:.2f}]{fewer}{mark}"


def seconds(value: float | None) -> str:
    """Seconds with three figures."""
    return NOTHING if value is None else f"{value:.3g} s"


def latency(row: SummaryRow) -> str:
    """Mean seconds of a sample, and the share that was replayed from the call cache."""
    mark = f" ({100 * row.cached_share:.0f}% cached)" if row.cached_share else ""
    return seconds(row.latency_mean_s) + mark


def _figures(rows: Sequence[SummaryRow]) -> list[tuple[str, Callable[[SummaryRow], str]]]:
    """What the closing table shows, phases and the dataset's own figures included."""
    figures: list[tuple[str, Callable[[SummaryRow], str]]] = [
        ("samples", lambda row: str(row.n)),
        ("errors", lambda row: str(row.n_error)),
        ("accuracy (95%)", accuracy),
        ("accuracy, errors as wrong", lambda row: percent(row.accuracy_all)),
        ("undecided by rule", lambda row: str(row.n_undecided)),
        ("α, drafts accepted", lambda row: percent(row.alpha)),
        ("β, passed the screen", lambda row: percent(row.beta)),
        ("answered by the small model", lambda row: percent(row.accept_rate)),
    ]
    if any(row.n_tied for row in rows):
        figures.append(("drafts that a tie decided", lambda row: str(row.n_tied or 0)))
    figures += [
        ("speedup (95%)", speedup),
        ("seconds per sample", latency),
        ("median · 95th percentile", _percentiles),
    ]
    phases = dict.fromkeys(phase for row in rows for phase in row.phase_mean_s)
    figures += [(f"  of it {phase}", _phase(phase)) for phase in phases]
    figures.append(("tokens small · large", lambda row: f"{row.small_tokens} · {row.large_tokens}"))
    kinds = dict.fromkeys(kind for row in rows for kind in row.tool_errors)
    if kinds:
        figures.append(("tool errors the model was told", lambda row: str(row.n_tool_errors)))
    figures += [(f"  of it {one_line(kind, 40)}", _tool_error(kind)) for kind in kinds]
    letters = dict.fromkeys(letter for row in rows for letter in row.right_by_letter)
    figures += [(f"said {letter} (it was {letter})", _letter(letter)) for letter in letters]
    metrics = dict.fromkeys(metric for row in rows for metric in row.metrics)
    return figures + [(metric, _metric(metric)) for metric in metrics]


def _percentiles(row: SummaryRow) -> str:
    return _marked(f"{seconds(row.latency_p50_s)} · {seconds(row.latency_p95_s)}", row)


def _phase(phase: str) -> Callable[[SummaryRow], str]:
    return lambda row: _marked(seconds(row.phase_mean_s.get(phase)), row)


def _marked(time: str, row: SummaryRow) -> str:
    """Marked where some of it was replayed from the call cache."""
    return f"{time}{CACHED}" if row.cached_share and time != NOTHING else time


def _tool_error(kind: str) -> Callable[[SummaryRow], str]:
    return lambda row: str(row.tool_errors.get(kind, 0))


def _letter(letter: str) -> Callable[[SummaryRow], str]:
    def show(row: SummaryRow) -> str:
        if letter not in row.right_by_letter:
            return NOTHING
        said, right = row.answers_by_letter[letter], row.right_by_letter[letter]
        return f"{100 * said:.0f}% ({100 * right:.0f}%)"

    return show


def _metric(metric: str) -> Callable[[SummaryRow], str]:
    return lambda row: f"{row.metrics[metric]:.4g}" if metric in row.metrics else NOTHING
