"""The columns of the gathered table, each with the text of its cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from speceyes_cli.commands.tables import NOTHING, latency, seconds, speedup
from speceyes_cli.core.tables.paper import published
from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.core.text import one_line


class Column(NamedTuple):
    """A title and what it shows of a row."""

    title: str
    show: Callable[[SummaryRow], str]
    left: bool = False


def columns(rows: Sequence[SummaryRow], *, paper: bool) -> list[Column]:
    """Every column: who, what is compared, and the details."""
    return [RUN, SPLIT, *main_columns(paper=paper), *detail_columns(rows)]


def main_columns(*, paper: bool) -> list[Column]:
    """What is compared, and the paper's figures when asked."""
    return [*_MAIN, *(_PAPER if paper else ())]


def detail_columns(rows: Sequence[SummaryRow]) -> list[Column]:
    """Latency, tokens, verdicts and what accepting drafts brought, where a row has any."""
    phases = dict.fromkeys(phase for row in rows for phase in row.phase_mean_s)
    kinds = dict.fromkeys(kind for row in rows for kind in row.verdicts)
    wanted = [
        *_DETAILS,
        *(Column(f"s {phase}", _phase(phase)) for phase in phases),
        *(Column(f"by {kind}", _verdicts(kind)) for kind in kinds),
    ]
    return [one for one in wanted if any(one.show(row) != NOTHING for row in rows)]


def share(value: float | None) -> str:
    """0.90434 as 90.43%: the two decimals that papers give."""
    return NOTHING if value is None else f"{100 * value:.2f}%"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval."""
    if value is None or low is None or high is None:
        return share(value)
    return f"{share(value)} [{100 * low:.1f}, {100 * high:.1f}]"


def _speedup(row: SummaryRow) -> str:
    if row.speedup is None or row.speedup_low is not None:
        return speedup(row)
    return f"{row.speedup:.2f}×"


def _count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _pair(first: str, second: str) -> str:
    return NOTHING if first == second == NOTHING else f"{first} · {second}"


def _benefit(row: SummaryRow) -> str:
    if row.gain is None or row.harm is None:
        return NOTHING
    return f"+{row.gain} \u2212{row.harm} ({row.both_right} both, {row.both_wrong} neither)"


def _p_value(row: SummaryRow) -> str:
    return NOTHING if row.mcnemar_p is None else f"{row.mcnemar_p:.2g}"


def _phase(phase: str) -> Callable[[SummaryRow], str]:
    return lambda row: seconds(row.phase_mean_s.get(phase))


def _verdicts(kind: str) -> Callable[[SummaryRow], str]:
    return lambda row: share(row.verdicts.get(kind, 0.0) if row.verdicts else None)


def _difference(ours: float | None, theirs: float | None, factor: float, unit: str) -> str:
    if ours is None or theirs is None:
        return NOTHING
    return f"{factor * (ours - theirs):+.2f}{unit}"


def _paper_accuracy(row: SummaryRow) -> str:
    return share(published(row).accuracy)


def _paper_speedup(row: SummaryRow) -> str:
    told = published(row).speedup
    return NOTHING if told is None else f"{told:.2f}×"


ERRORS_AS_WRONG = "errors as wrong"
RUN = Column("run", lambda row: one_line(row.run), left=True)
SPLIT = Column("split", lambda row: one_line(row.split), left=True)
_MAIN = (
    Column("n", lambda row: str(row.n)),
    Column("accuracy", lambda row: interval(row.accuracy, row.accuracy_low, row.accuracy_high)),
    Column("speedup", _speedup),
    Column("α", lambda row: share(row.alpha)),
    Column("β", lambda row: share(row.beta)),
    Column("small", lambda row: share(row.accept_rate)),
    Column("s/sample", latency),
    Column("errors", lambda row: str(row.n_error)),
    Column(
        ERRORS_AS_WRONG,
        lambda row: interval(row.accuracy_all, row.accuracy_all_low, row.accuracy_all_high),
    ),
)
_DETAILS = (
    Column("p50 · p95", lambda row: _pair(seconds(row.latency_p50_s), seconds(row.latency_p95_s))),
    Column(
        "tokens small · large",
        lambda row: _pair(_count(row.small_tokens), _count(row.large_tokens)),
    ),
    Column("tokens/s", lambda row: _count(row.tokens_per_second)),
    Column("accepted: gain, harm", _benefit),
    Column("p", _p_value),
    Column("parity", lambda row: row.parity or NOTHING),
)
_PAPER = (
    Column("paper", _paper_accuracy),
    Column(
        "Δ accuracy", lambda row: _difference(row.accuracy, published(row).accuracy, 100, " pp")
    ),
    Column("paper ×", _paper_speedup),
    Column("Δ speedup", lambda row: _difference(row.speedup, published(row).speedup, 1, "×")),
)
