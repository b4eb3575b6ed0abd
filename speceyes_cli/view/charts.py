"""What the charts of one run are drawn from."""

from __future__ import annotations

from typing import Any

from speceyes_cli.analysis.confidence import analyze_gate, judged_drafts
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.tables.summaries import SummaryRow
from speceyes_cli.host.manager import Host
from speceyes_cli.host.metrics import add_metrics
from speceyes_cli.host.run_scores import Scores, open_table, own_choice
from speceyes_cli.view.catalog import RunEntry


def slow_figures(entry: RunEntry, host: Host) -> dict[str, Any]:
    """What takes reading the whole run: the dataset's own figures, and charts of confidence."""
    run, table = open_table(entry.folder)
    spec = host.datasets.specs.get(table.config.dataset)
    rows = add_metrics(entry.rows, run, spec)
    return {
        "metrics": {row.split: row.metrics for row in rows if row.metrics},
        **_confidence(table, host),
    }


def _confidence(table: ScoreTable, host: Host) -> dict[str, Any]:
    """Densities, risk and coverage of the run's own gate; `told` says why there are none."""
    try:
        judged = judged_drafts(table)
        own = own_choice(table)
        values = Scores(table, host).of(own.gate, own.top_k)
        found = analyze_gate(table, own.gate, [values[i] for i in judged.places], judged.right)
    except SpecEyesError as error:
        return {"told": str(error)}
    figures, curves = found.figures, found.curves
    return {
        "gate": own.gate,
        "threshold": table.config.threshold,
        "n": figures.n,
        "auroc": [figures.auroc, figures.auroc_low, figures.auroc_high],
        "confidence": curves.right[0].tolist(),
        "right": curves.right[1].tolist(),
        "wrong": curves.wrong[1].tolist(),
        "coverage": curves.risk[0].tolist(),
        "risk": curves.risk[1].tolist(),
    }


def phase_bars(rows: tuple[SummaryRow, ...]) -> list[dict[str, Any]]:
    """One bar a split: each phase's mean seconds and where its part of the bar begins, in percent.

    Bars are to one scale, that of the slowest split.
    """
    longest = max((sum(row.phase_mean_s.values()) for row in rows), default=0.0)
    bars = []
    for row in rows:
        begun, parts = 0.0, []
        for phase, value in row.phase_mean_s.items():
            width = 100 * value / longest if longest else 0.0
            parts.append({"phase": phase, "seconds": value, "x": begun, "width": width})
            begun += width
        bars.append({"split": row.split, "total": row.latency_mean_s, "parts": parts})
    return bars
