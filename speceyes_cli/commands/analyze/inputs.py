"""What every analysis reads: run folders, and the gates by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speceyes_cli.analysis.replay import ReplaySetting
from speceyes_cli.analysis.scores import Score, acceptable, confidences
from speceyes_cli.analysis.table import ScoreTable, read_table, read_tables
from speceyes_cli.core.gate.decision import DEFAULT_THRESHOLD, DEFAULT_TOP_K
from speceyes_cli.core.tables.summaries import LoadedRun, find_runs, load_run
from speceyes_cli.host.manager import Host


def open_table(folder: Path) -> tuple[LoadedRun, ScoreTable]:
    """One run and its table; `DataError` when the folder is no run or holds no answer."""
    run = load_run(folder)
    return run, read_table(run)


def open_tables(paths: Sequence[Path]) -> list[ScoreTable]:
    """The table of every run at or below the paths; `DataError` when their data differ."""
    return read_tables(find_runs(paths))


def all_scores(host: Host) -> dict[str, Score]:
    """Every gate's score by name, the plugins' included."""
    return {spec.name: spec.score for spec in host.gates}


class Scores:
    """The run's acceptable confidences by gate and K, each reckoned once."""

    def __init__(self, table: ScoreTable, host: Host) -> None:
        self.table = table
        self.host = host
        self._known: dict[tuple[str, int], list[float]] = {}

    def of(self, gate: str, top_k: int) -> list[float]:
        """In the table's order; `UsageError` for an unknown gate or a K out of reach."""
        if (gate, top_k) not in self._known:
            score = self.host.gates.get(gate).score
            found = acceptable(self.table, confidences(self.table, score, top_k))
            self._known[gate, top_k] = found
        return self._known[gate, top_k]


def own_choice(table: ScoreTable) -> ReplaySetting:
    """The gate, K and threshold the run itself had."""
    config = table.config
    threshold = DEFAULT_THRESHOLD if config.threshold is None else config.threshold
    return ReplaySetting(config.gate or "min", config.top_k or DEFAULT_TOP_K, threshold)
