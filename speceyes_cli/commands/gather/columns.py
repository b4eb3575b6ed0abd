"""The columns of the gathered table, by the names that `--columns` takes, and their cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from speceyes_cli.commands.tables import CACHED, NOTHING
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.tables.paper import published
from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.core.text import one_line
from speceyes_cli.host.manager import known_names

FIGURES = 3
"""Figures that the smallest time of a column keeps."""
MOST_DECIMALS = 4
UNFINISHED = ("running", "interrupted")
SETTINGS = ("method", "dataset", "agent", "gate", "threshold", "top_k", "batch_size")
MAPPINGS = (
    *("phase_mean_s", "metrics", "verdicts", "answers_by_letter", "right_by_letter"),
    "tool_errors",
)
"""Fields of several figures, each of which is a column: phase_mean_s.agent, verdicts.llm, …"""
_BY_NAME = ("answers_", "right_", "tool_errors.")
"""How the columns begin that are shown only where they are named."""
_COUNTS = ("n_tied", "n_tool_errors")
"""Columns that show nothing where all of them are 0."""
MAIN = (
    *("run", "split", "n", "accuracy", "speedup", "alpha", "beta", "latency_mean_s"),
    *("accept_rate", "n_error", "accuracy_all"),
)
DETAILS = (
    *("status", "created", *SETTINGS, "latency_p50_s", "latency_p95_s", "small_tokens"),
    *(
        "large_tokens",
        "tokens_per_second",
        "accepted",
        "mcnemar_p",
        "parity",
        *_COUNTS,
        "speedup_n",
        "baseline",
    ),
)
PAPER = ("paper_accuracy", "accuracy_difference", "paper_speedup", "speedup_difference")
_BOUNDED = ("accuracy", "accuracy_all")
_SHARES = (
    *("alpha", "beta", "accept_rate", "cached_share"),
    *(f"{name}{end}" for name in _BOUNDED for end in ("_low", "_high")),
)
_TIMES = ("latency_mean_s", "latency_p50_s", "latency_p95_s")
_TITLES = {
    "run": "#",
    "accuracy": "accuracy %",
    "accuracy_all": "errors as wrong %",
    "speedup": "speedup ×",
    "speedup_n": "n of speedup",
    "alpha": "α %",
    "beta": "β %",
    "accept_rate": "small %",
    "n_error": "errors",
    "n_undecided": "undecided",
    "n_tied": "tied drafts",
    "n_tool_errors": "tool errors",
    "n_unjudged": "not judged",
    "latency_mean_s": "s/sample",
    "latency_p50_s": "p50 s",
    "latency_p95_s": "p95 s",
    "small_tokens": "tokens small",
    "large_tokens": "tokens large",
    "tokens_per_second": "tokens/s",
    "accepted": "accepted: gain, harm",
    "mcnemar_p": "p",
    "created": "begun",
    "top_k": "K",
    "batch_size": "batch",
    "cached_share": "cached %",
    "paper_accuracy": "paper %",
    "accuracy_difference": "Δ accuracy",
    "paper_speedup": "paper ×",
    "speedup_difference": "Δ speedup",
}


class Column(NamedTuple):
    """One column: its name, its title, and what it shows of a row."""

    name: str
    title: str
    show: Callable[[SummaryRow], str]
    left: bool = False


def make_columns(names: Iterable[str], rows: Sequence[SummaryRow]) -> list[Column]:
    """The columns by name; `UsageError` for one that there is not."""
    known = column_names(rows)
    made = []
    for name in names:
        if name not in known:
            raise UsageError(f"--columns: there is no column {name!r}; {known_names(name, known)}.")
        show, left = _shown(name, rows)
        made.append(Column(name, _title(name), show, left))
    return made


def usual_columns(rows: Sequence[SummaryRow], *, paper: bool) -> list[str]:
    """The names of all columns that show something, in their order."""
    names = [*MAIN, *(PAPER if paper else ()), *DETAILS]
    names += [name for name in _members(rows) if not name.startswith(_BY_NAME)]
    return [
        column.name
        for column in make_columns(names, rows)
        if column.name in MAIN[:5] or any(_tells(column, row) for row in rows)
    ]


def _tells(column: Column, row: SummaryRow) -> bool:
    nothing = (NOTHING, "0") if column.name in _COUNTS else (NOTHING,)
    return column.show(row) not in nothing


def column_names(rows: Sequence[SummaryRow]) -> list[str]:
    """Every name that --columns takes for these rows."""
    fields = [name for name in SummaryRow.model_fields if name not in (*MAPPINGS, "notes")]
    return [*fields, "accepted", *PAPER, *_members(rows)]


def run_labels(rows: Sequence[SummaryRow]) -> dict[tuple[str, str], str]:
    """What each run is called: its name, its folder where two share the name, and its state."""
    runs = {run_of(row): row for row in rows}
    names = [name for _, name in runs]
    return {
        key: one_line((key[1] if names.count(key[1]) == 1 else key[0]) + unfinished(row))
        for key, row in runs.items()
    }


def run_of(row: SummaryRow) -> tuple[str, str]:
    """What tells one run from another: its folder and its name."""
    return row.folder, row.run


def unfinished(row: SummaryRow) -> str:
    """A word about a run that has not ended; nothing for any other."""
    return f" ({row.status})" if row.status in UNFINISHED else ""


def percent(value: float | None) -> str:
    """0.90434 as 90.4, in a column whose title says percent."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def begun(row: SummaryRow) -> str:
    """The day and the minute when a run was begun."""
    return NOTHING if row.created is None else row.created[:16].replace("T", " ")


def _title(name: str) -> str:
    field, _, member = name.partition(".")
    if member:
        return {"phase_mean_s": f"s {member}", "verdicts": f"by {member} %"}.get(field, member)
    return _TITLES.get(name, name.replace("_", " "))


def _shown(name: str, rows: Sequence[SummaryRow]) -> tuple[Callable[[SummaryRow], str], bool]:
    """How the cells of a column are written, and whether they are words."""
    field, _, member = name.partition(".")
    words: dict[str, Callable[[SummaryRow], str]] = {
        "run": _label(rows),
        "created": begun,
        "baseline": _baseline(rows),
    }
    if name in words:
        return words[name], True
    figures: dict[str, Callable[[SummaryRow], str]] = {
        **_paper(),
        **{one: _bounded(one) for one in _BOUNDED},
        **{one: _share(one) for one in _SHARES},
        "speedup": _speedup,
        "accepted": benefit,
        "mcnemar_p": lambda row: _number(row.mcnemar_p, ".2g"),
        "tokens_per_second": lambda row: _marked(_number(row.tokens_per_second, ".1f"), row),
    }
    if member:
        return _member(field, member, rows), False
    if name in figures:
        return figures[name], False
    if name in _TIMES:
        return _time(lambda row: getattr(row, name), rows), False
    is_text = SummaryRow.model_fields[name].annotation in (str, str | None)
    return lambda row: _plain(getattr(row, name)), is_text


def _label(rows: Sequence[SummaryRow]) -> Callable[[SummaryRow], str]:
    labels = run_labels(rows)
    return lambda row: labels[run_of(row)]


def _baseline(rows: Sequence[SummaryRow]) -> Callable[[SummaryRow], str]:
    labels = run_labels(rows)

    def show(row: SummaryRow) -> str:
        key = (row.baseline_folder or "", row.baseline or "")
        return labels.get(key, one_line(row.baseline or "") or NOTHING)

    return show


def _bounded(name: str) -> Callable[[SummaryRow], str]:
    """A share with its interval."""

    def show(row: SummaryRow) -> str:
        value, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
        if value is None or low is None or high is None:
            return percent(value)
        return f"{percent(value)} [{percent(low)}, {percent(high)}]"

    return show


def _share(name: str) -> Callable[[SummaryRow], str]:
    return lambda row: percent(getattr(row, name))


def _speedup(row: SummaryRow) -> str:
    """With its bounds, the samples it rests on where they are fewer, and a mark if it is cached."""
    if row.speedup is None:
        return NOTHING
    bounds = "" if row.speedup_low is None else f" [{row.speedup_low:.2f}, {row.speedup_high:.2f}]"
    fewer = "" if row.speedup_n in (None, row.n) else f" n = {row.speedup_n}"
    return f"{row.speedup:.2f}{bounds}{fewer}{CACHED if row.speedup_cached else ''}"


def benefit(row: SummaryRow) -> str:
    """What accepting drafts brought: gained and lost answers, and those that nothing changed."""
    if row.gain is None or row.harm is None:
        return NOTHING
    return f"+{row.gain} \u2212{row.harm} ({row.both_right} both, {row.both_wrong} neither)"


def _member(field: str, member: str, rows: Sequence[SummaryRow]) -> Callable[[SummaryRow], str]:
    def value(row: SummaryRow) -> float | None:
        figures: dict[str, float] = getattr(row, field)
        none = 0.0 if figures and field in ("verdicts", "tool_errors") else None
        return figures.get(member, none)

    if field == "phase_mean_s":
        return _time(value, rows)
    if field in ("metrics", "tool_errors"):
        return lambda row: _number(value(row), ".4g")
    return lambda row: percent(value(row))


def _time(
    value: Callable[[SummaryRow], float | None], rows: Sequence[SummaryRow]
) -> Callable[[SummaryRow], str]:
    """Seconds, all of a column to the same decimals, marked where some were not measured."""
    decimals = decimals_of(value(row) for row in rows)

    return lambda row: _marked(_number(value(row), f".{decimals}f"), row)


def decimals_of(values: Iterable[float | None]) -> int:
    """Decimals with which the smallest of them keeps three figures; four at most."""
    known = [value for value in values if value]
    if not known:
        return 0
    return min(MOST_DECIMALS, max(0, FIGURES - 1 - math.floor(math.log10(min(known)))))


def _paper() -> dict[str, Callable[[SummaryRow], str]]:
    """The paper's figures to the two decimals in which it gives them."""

    def difference(ours: float | None, theirs: float | None, unit: str, factor: float) -> str:
        known = None if ours is None or theirs is None else factor * (ours - theirs)
        return NOTHING if known is None else f"{known:+.2f}{unit}"

    def percents(value: float | None) -> str:
        return _number(None if value is None else 100 * value, ".2f")

    return {
        "paper_accuracy": lambda row: percents(published(row).accuracy),
        "accuracy_difference": lambda row: difference(
            row.accuracy, published(row).accuracy, " pp", 100
        ),
        "paper_speedup": lambda row: _number(published(row).speedup, ".2f"),
        "speedup_difference": lambda row: difference(row.speedup, published(row).speedup, "", 1),
    }


def _members(rows: Sequence[SummaryRow]) -> list[str]:
    return [
        f"{field}.{member}"
        for field in MAPPINGS
        for member in dict.fromkeys(one for row in rows for one in getattr(row, field))
    ]


def _marked(time: str, row: SummaryRow) -> str:
    """Marked where some of it was replayed from the call cache."""
    return f"{time}{CACHED}" if row.cached_share and time != NOTHING else time


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else f"{value:{form}}"


def _plain(value: object) -> str:
    if value is None or value == "":
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else one_line(str(value))
