"""`speceyes gather`: runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from speceyes_cli.commands.paper_table import Measured, paper_note, paper_tables
from speceyes_cli.commands.tables import (
    gather_table,
    rows_as_csv,
    rows_as_json,
    rows_as_markdown,
)
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.summaries import (
    ALL,
    LoadedRun,
    Row,
    baselines_beside,
    find_baseline,
    find_runs,
    summarize,
)
from speceyes_cli.host.manager import Host, known_names
from speceyes_cli.host.metrics import add_metrics

LAYOUTS = ("runs", "paper")
WRITERS = {"json": rows_as_json, "csv": rows_as_csv, "markdown": rows_as_markdown}


def gather_command(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold them.")],
    format: Annotated[  # noqa: A002 - the command line's word
        str,
        typer.Option(envvar="SPECEYES_FORMAT", help="table, markdown, csv or json."),
    ] = "table",
    layout: Annotated[
        str,
        typer.Option(
            envvar="SPECEYES_LAYOUT",
            help="runs: a row for each run and split; paper: the table of the paper.",
        ),
    ] = "runs",
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Short for --format json.")
    ] = False,
) -> None:
    """Put runs side by side: accuracy, speedup, α, β, latency and tokens.

    A row for each run and split, and one for all its splits. The speedup is measured against the
    baseline run of the same agent, models and data, among the runs named and those beside them.
    """
    if format not in ("table", *WRITERS):
        raise UsageError(
            f"There is no format {format!r}; {known_names(format, ['table', *WRITERS])}."
        )
    if layout not in LAYOUTS:
        raise UsageError(f"There is no layout {layout!r}; {known_names(layout, LAYOUTS)}.")
    if layout == "paper" and (json or format != "table"):
        raise UsageError("--layout paper is a table; leave out --format and --json.")
    runs = find_runs(paths)
    rows = gather_rows(runs, context.obj)
    if layout == "paper":
        print_paper(runs, rows)
        return
    if format == "table" and not json:
        Console(highlight=False, emoji=False).print(gather_table(rows))
    else:
        typer.echo(WRITERS["json" if json else format](rows).rstrip("\n"))


def print_paper(runs: list[LoadedRun], rows: list[Row]) -> None:
    """The paper's table, one for each dataset."""
    of_run = iter(rows)
    measured = [Measured(run, list(_until_all(of_run))) for run in runs]
    console = Console(highlight=False, emoji=False)
    for table in paper_tables(measured):
        console.print(table)
    console.print(paper_note(measured), markup=False)


def _until_all(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows of one run, of which the one of all splits is the last."""
    for row in rows:
        yield row
        if row.split == ALL:
            return


def gather_rows(runs: list[LoadedRun], host: Host) -> list[Row]:
    """The rows of every run, each against its baseline."""
    rows: list[Row] = []
    for run in runs:
        baseline = find_baseline(run, runs) or find_baseline(run, baselines_beside(run))
        dataset = host.datasets.specs.get(run.info.config.dataset)
        rows += add_metrics(summarize(run, baseline), run, dataset)
    return rows
