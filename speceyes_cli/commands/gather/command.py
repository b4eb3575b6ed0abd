"""`speceyes gather`: runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from speceyes_cli.commands.gather.choices import arrange, make_chooser
from speceyes_cli.commands.gather.formats import WRITERS
from speceyes_cli.commands.gather.paper_table import Measured, paper_note, paper_tables
from speceyes_cli.commands.gather.tables import Tables
from speceyes_cli.commands.gather.watch import watch
from speceyes_cli.commands.options import takes
from speceyes_cli.commands.run_notes import tell_left_out
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.tables.paper import MODELS, published
from speceyes_cli.core.tables.summaries import (
    ALL,
    LoadedRun,
    SummaryRow,
    matching_baselines,
    summarize,
)
from speceyes_cli.core.text import one_line
from speceyes_cli.host.gathering import Found, find_all, gather_rows, load_named, take_latest
from speceyes_cli.host.manager import Host, known_names
from speceyes_cli.host.planning.options import argument, option

FORMATS = ("table", *WRITERS)
WHAT = "What to gather"
SHOW = "How to show it"
PAPER = "paper"
LAYOUTS = ("runs", PAPER)


@dataclass(frozen=True, kw_only=True)
class GatherOptions:
    """The options of `speceyes gather`."""

    paths: list[Path] = argument(
        "Run folders or folders that hold them; result folders of the paper's own code.",
        required=True,
    )
    baseline: list[Path] = option(
        (), "Baseline to measure against where several match; may be given several times.", WHAT
    )
    format: str = option("table", "table, markdown, csv, json or latex.", SHOW)
    json: bool = option(default=False, help="Short for --format json.", panel=SHOW, flags="--json")
    layout: str = option(
        "runs", "runs: a row for each run and split; paper: the table of the paper.", SHOW
    )
    compare: str | None = option(
        None, "paper: the published figures and the difference beside ours.", SHOW
    )
    group_by: str | None = option(None, "Put rows of an equal column together.", SHOW)
    sort: str | None = option(None, "Order rows by a column; -column for largest first.", SHOW)
    watch: bool = option(
        default=False,
        help="Refresh the table while runs are going.",
        panel=SHOW,
        flags="--watch",
    )


@takes(GatherOptions)
def gather_command(context: typer.Context, options: GatherOptions) -> None:
    """Put runs side by side: accuracy, speedup, α, β, latency, tokens, gain and harm.

    A row for each run and split, and one for all its splits. The speedup is measured against the
    baseline run of the same agent, models and data, among the runs named and those beside them.
    Accuracy, speedup and p have the verdicts of `speceyes judge` where it has been.

    Columns for --sort and --group-by are the fields of --json: accuracy, speedup, split, gate, …
    """
    check(options)
    host: Host = context.obj
    console = Console(highlight=False, emoji=False)
    if options.watch:
        watch(options.paths, lambda found: draw(found, host, options), console)
        return
    found = find_all(options.paths)
    tell_left_out(found.left_out)
    named = load_named(options.baseline, found)
    rows = gather_rows(found, host, make_chooser(options.baseline), named)
    if options.layout == PAPER:
        print_paper(found.runs, rows, console)
        return
    rows = arrange(rows, options.sort, options.group_by)
    wanted = "json" if options.json else options.format
    if wanted != "table":
        written = WRITERS[wanted](rows, paper=options.compare == PAPER)
        typer.echo(written.rstrip("\n"))
        return
    console.print(make_tables(rows, options))
    for note in notes(rows, paper=options.compare == PAPER):
        console.print(note, markup=False, soft_wrap=True)


def check(options: GatherOptions) -> None:
    """Raise `UsageError` for a format, comparison or column that does not exist."""
    if options.format not in FORMATS:
        raise UsageError(
            f"There is no format {options.format!r}; {known_names(options.format, FORMATS)}."
        )
    if options.compare not in (None, PAPER):
        raise UsageError(f"--compare knows {PAPER!r} only, not {options.compare!r}.")
    arrange([], options.sort, options.group_by)
    if options.layout not in LAYOUTS:
        known = known_names(options.layout, LAYOUTS)
        raise UsageError(f"There is no layout {options.layout!r}; {known}.")
    if options.json and options.format not in ("table", "json"):
        raise UsageError(f"--json is short for --format json; leave out --format {options.format}.")
    columns = options.sort or options.group_by or options.compare
    as_table = options.format == "table" and not options.json
    if options.layout == PAPER and (columns or options.watch or not as_table):
        raise UsageError(
            "--layout paper is a table of its own; leave out "
            "--format, --json, --watch, --sort, --group-by and --compare."
        )
    if options.watch and (options.baseline or not as_table):
        raise UsageError(
            "--watch shows the table, against the latest baselines; leave out --format, --json and "
            "--baseline."
        )


def print_paper(runs: Sequence[LoadedRun], rows: Sequence[SummaryRow], console: Console) -> None:
    """The paper's table, one for each dataset."""
    of_run = iter(rows)
    measured: list[Measured] = []
    for run in runs:
        own = list(_until_all(of_run))
        agents = {one.info.config.agent: one for one in matching_baselines(run, runs)}
        if len(agents) > 1 and own[-1].speedup is None:
            measured += [Measured(run, summarize(run, one), agent) for agent, one in agents.items()]
        else:
            measured.append(Measured(run, own))
    for table in paper_tables(measured):
        console.print(table)
    console.print(paper_note(measured), markup=False)


def _until_all(rows: Iterator[SummaryRow]) -> Iterator[SummaryRow]:
    """The rows of one run, of which the one of all splits is the last."""
    for row in rows:
        yield row
        if row.split == ALL:
            return


def draw(found: Found, host: Host, options: GatherOptions) -> Tables:
    """The table as it is now; of several baselines the latest is taken."""
    rows = gather_rows(found, host, take_latest)
    return make_tables(arrange(rows, options.sort, options.group_by), options)


def make_tables(rows: Sequence[SummaryRow], options: GatherOptions) -> Tables:
    """The rows for a terminal."""
    return Tables(rows, paper=options.compare == PAPER, group=options.group_by)


def notes(rows: Sequence[SummaryRow], *, paper: bool) -> list[str]:
    """What a reader should know, each sentence once."""
    told = [f"{one_line(row.run)}, {row.split}: {note}." for row in rows for note in row.notes]
    unjudged = sum(row.n_unjudged for row in rows if row.split == "all")
    if unjudged:
        told.append(
            f"The judge failed on {unjudged} answers, which accuracy leaves out; "
            "`speceyes judge --retry-errors` asks again."
        )
    if paper:
        told.append(f"Paper: arXiv 2603.23483, {MODELS}.")
        if any(_shuffled(row) for row in rows):
            told.append(
                "The paper shows options in the dataset's order, where V*'s right one is always "
                "first; these runs shuffle them. --option-order dataset reproduces the paper's."
            )
    return told


def _shuffled(row: SummaryRow) -> bool:
    known = published(row).accuracy is not None
    return known and row.option_order is not None and row.option_order != "dataset"
