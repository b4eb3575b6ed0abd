"""What every analysis reads: run folders, and the gates by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speceyes_cli.analysis.scores import Score
from speceyes_cli.analysis.table import ScoreTable, read_table, read_tables
from speceyes_cli.core.summaries import LoadedRun, find_runs, load_run
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
