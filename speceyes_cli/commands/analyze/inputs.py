"""The runs that an analysis reads, and a word about those that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from speceyes_cli.analysis.table import ScoreTable, read_tables
from speceyes_cli.commands.run_notes import tell_left_out
from speceyes_cli.core.run.kept_images import file_name
from speceyes_cli.core.tables.summaries import LoadedRun, require_any, run_folders, try_each
from speceyes_cli.core.text import writable
from speceyes_cli.host.run_scores import open_table


def open_tables(paths: Sequence[Path]) -> list[ScoreTable]:
    """The table of every run at or below the paths; `DataError` when their data differ."""
    return read_tables(open_runs(paths))


def run_labels(runs: Sequence[LoadedRun]) -> list[str]:
    """What each run is called: its name, or its folder where two share the name."""
    names = Counter(run.info.name for run in runs)
    return [
        run.info.name if names[run.info.name] == 1 else writable(str(run.folder)) for run in runs
    ]


def figure_folders(out: Path, labels: Sequence[str]) -> list[Path]:
    """Where the figures of each go: into the folder itself, or into one below it for each."""
    if len(labels) == 1:
        return [out]
    names: list[str] = []
    for label in labels:
        name, number = file_name(label), 1
        while name in names:
            number += 1
            name = f"{file_name(label)}-{number}"
        names.append(name)
    return [out / name for name in names]


def open_runs(paths: Sequence[Path]) -> list[LoadedRun]:
    """Every run at or below the paths that holds an answer; the others are named.

    Raises `DataError` when none does, and when their data differ.
    """
    runs, left_out = try_each(run_folders(paths), open_table)
    require_any(runs, left_out)
    tell_left_out(left_out)
    read_tables([run for run, _ in runs])
    return [run for run, _ in runs]
