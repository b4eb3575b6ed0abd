"""Figures of some samples of a run, as fields of a summary row."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from speceyes_cli.core.judging.verdicts import KINDS, kind_of
from speceyes_cli.core.run.columns import NO, UNKNOWN, YES, Columns
from speceyes_cli.core.tables.comparison import Pairs, accuracy_of, speedup_of
from speceyes_cli.core.tables.intervals import percentile

if TYPE_CHECKING:
    from speceyes_cli.core.run.columns import Ints

_PHASES = ("screen", "draft", "propose", "score", "agent", "tool")
"""The order in which people think of them."""
_RIGHT = {YES: True, NO: False, UNKNOWN: None}


def accuracies(columns: Columns, places: Ints) -> dict[str, Any]:
    """Right answers among those judged, and among all of these samples, with their bounds.

    Answers to questions without a known answer are in neither; where there are no others, there is
    no accuracy.
    """
    judged, unknown = places[columns.judged[places]], columns.without_truth[places]
    every = places[~unknown] if len(judged) or not unknown.any() else places[:0]
    found = {"accuracy": accuracy_of(columns, judged), "accuracy_all": accuracy_of(columns, every)}
    return {
        f"{name}{end}": value
        for name, interval in found.items()
        for end, value in zip(("", "_low", "_high"), interval or (None,) * 3, strict=True)
    }


def shares(columns: Columns, places: Ints, *, gated: bool) -> dict[str, Any]:
    """α, β and the share that the small model answered."""
    screen, draft = columns.passed_screen[places], columns.drafts.accepted[places]
    drafted = draft[(screen != NO) & (draft != UNKNOWN)]
    screened = screen[screen != UNKNOWN]
    routes = [columns.route[place] for place in places[columns.answered[places]].tolist()]
    return {
        "alpha": share((drafted == YES).sum(), len(drafted)) if gated else None,
        "beta": share((screened == YES).sum(), len(screened)),
        "accept_rate": share(routes.count("small"), len(routes)),
    }


def times(columns: Columns, places: Ints) -> dict[str, Any]:
    """What answered samples cost, as measured here or replayed from the call cache."""
    answered = places[columns.answered[places]]
    seconds = columns.seconds[answered].tolist()
    total = math.fsum(seconds)
    tokens = int((columns.small_tokens + columns.large_tokens)[answered].sum())
    return {
        "cached_share": share(math.fsum(columns.cached_seconds[answered]), total) or 0.0,
        "latency_mean_s": share(total, len(seconds)),
        "latency_p50_s": percentile(seconds, 0.5),
        "latency_p95_s": percentile(seconds, 0.95),
        "phase_mean_s": _phase_means(columns, answered),
        "tokens_per_second": share(tokens, total),
    }


def speedups(pairs: Pairs | None) -> dict[str, Any]:
    """Over the baseline, with its bounds and the samples it rests on; empty without a baseline."""
    found = speedup_of(pairs) if pairs is not None else None
    if pairs is None or found is None:
        return {"speedup": None, "speedup_low": None, "speedup_high": None}
    value, low, high = found
    return {
        "speedup": value,
        "speedup_low": low,
        "speedup_high": high,
        "speedup_n": pairs.size,
        "speedup_cached": pairs.cached,
    }


def verdict_shares(columns: Columns, places: Ints) -> dict[str, float]:
    """Answered samples by where their verdict comes from."""
    answered = places[columns.answered[places]]
    notes = ((int(columns.right[i]), columns.provenance[i]) for i in answered.tolist())
    kinds = Counter(
        kind_of(_RIGHT[right], provenance) for right, provenance in notes if provenance is not None
    )
    return {kind: kinds[kind] / len(answered) for kind in KINDS if kind in kinds}


def tied_drafts(columns: Columns, places: Ints) -> int | None:
    """Drafts of which an exact tie of the two largest logits decided a token; None without any."""
    made = places[columns.drafts.accepted[places] != UNKNOWN]
    return int((columns.drafts.tied[made] > 0).sum()) if len(made) else None


def tool_errors(columns: Columns, places: Ints) -> dict[str, Any]:
    """Errors of tools that the model was told: how many, and of which kinds, commonest first."""
    kinds = Counter(kind for place in places.tolist() for kind in columns.tool_errors[place])
    return {"n_tool_errors": kinds.total(), "tool_errors": dict(kinds.most_common())}


def share(part: float, whole: float) -> float | None:
    """A part of a whole; None of nothing."""
    return float(part / whole) if whole else None


def _phase_means(columns: Columns, answered: Ints) -> dict[str, float]:
    """Of the phases that any of these samples had."""
    means = {}
    order = dict.fromkeys([*_PHASES, *columns.phase_seconds])
    for phase in order:
        if phase in columns.phase_seconds:
            seconds = columns.phase_seconds[phase][answered]
            had = seconds[seconds == seconds]  # noqa: PLR0124 - NaN is the number that differs from itself
            if len(had):
                means[phase] = math.fsum(had) / len(answered)
    return means
