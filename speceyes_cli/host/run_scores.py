"""What every analysis reads: run folders, and the gates by name."""

from __future__ import annotations

import math
from pathlib import Path

from speceyes_cli.analysis.replay import ReplaySetting
from speceyes_cli.analysis.scores import Score, acceptable, confidences, given
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.defaults import DEFAULT_THRESHOLD, DEFAULT_TOP_K
from speceyes_cli.core.tables.summaries import (
    LoadedRun,
    load_run,
)
from speceyes_cli.host.gate_scores import defined
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import GateSpec


def open_table(folder: Path) -> tuple[LoadedRun, ScoreTable]:
    """One run and its table; `DataError` when the folder is no run or holds no answer."""
    run = load_run(folder)
    return run, read_table(run)


def all_scores(table: ScoreTable, host: Host) -> dict[str, Score]:
    """Every gate's score by name; undefined for a gate that the run's records cannot tell."""
    told = told_gates(table, host)
    return {
        spec.name: defined(spec.score) if spec.name in told else lambda _tokens: math.nan
        for spec in host.gates
    }


def told_gates(table: ScoreTable, host: Host) -> list[str]:
    """The gates that need no statistic but those that the run's records hold."""
    known = set(given(table))
    return [spec.name for spec in host.gates if known >= set(spec.needs)]


class Scores:
    """The run's acceptable confidences by gate and K, each reckoned once."""

    def __init__(self, table: ScoreTable, host: Host) -> None:
        self.table = table
        self.host = host
        self._given = set(given(table))
        self._known: dict[tuple[str, int], list[float]] = {}

    def of(self, gate: str, top_k: int) -> list[float]:
        """In the table's order; `UsageError` for an unknown gate or a K out of reach."""
        if (gate, top_k) not in self._known:
            spec = self.host.gates.get(gate)
            self._require(spec)
            found = acceptable(self.table, confidences(self.table, spec.score, top_k))
            self._known[gate, top_k] = found
        return self._known[gate, top_k]

    def _require(self, spec: GateSpec) -> None:
        lacking = [name for name in spec.needs if name not in self._given]
        if lacking:
            others = ", ".join(told_gates(self.table, self.host)) or "none"
            raise UsageError(
                f"The gate {spec.name} needs the statistic {', '.join(lacking)} of each token, "
                f"which {self.table.run} does not hold; gates that can be told from it: {others}."
            )


def own_choice(table: ScoreTable) -> ReplaySetting:
    """The gate, K and threshold the run itself had."""
    config = table.config
    threshold = DEFAULT_THRESHOLD if config.threshold is None else config.threshold
    return ReplaySetting(config.gate or "min", config.top_k or DEFAULT_TOP_K, threshold)
