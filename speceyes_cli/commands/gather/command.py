"""`speceyes gather`: runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from speceyes_cli.commands.gather.choices import arrange, choose_rows, make_chooser
from speceyes_cli.commands.gather.columns import make_columns, run_of
from speceyes_cli.commands.gather.formats import WRITERS
from speceyes_cli.commands.gather.paper_table import (
    Measured,
    for_latex,
    for_terminal,
    paper_note,
    paper_tables,
)
from speceyes_cli.commands.gather.tables import Tables
from speceyes_cli.commands.gather.watch import watch
from speceyes_cli.commands.options import takes
from speceyes_cli.commands.run_notes import tell_left_out, undecided_note
from speceyes_cli.commands.tables import CACHED_NOTE
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
    columns: str | None = option(
        None, "Columns by name, with commas between them, in place of the usual ones.", SHOW
    )
    only: str | None = option(None, "all, or a split: rows of no other.", SHOW)
    select: str | None = option(None, "Runs that hold this text in name or settings.", SHOW)
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

    Columns for --columns, --sort and --group-by are the fields of --json: accuracy, speedup, split,
    gate, phase_mean_s.agent, …
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
        print_paper(found.runs, rows, options, console)
        return
    rows = chosen_rows(rows, options)
    wanted = "json" if options.json else options.format
    if wanted != "table":
        names = column_list(options)
        make_columns(names, rows)
        written = WRITERS[wanted](rows, names, paper=options.compare == PAPER)
        typer.echo(written.rstrip("\n"))
        return
    console.print(make_tables(rows, options))
    for note in notes(rows, paper=options.compare == PAPER):
        console.print(note, markup=False, soft_wrap=True)


def chosen_rows(rows: Sequence[SummaryRow], options: GatherOptions) -> list[SummaryRow]:
    """The rows to show, in order."""
    kept = choose_rows(rows, options.only, options.select)
    return arrange(kept, options.sort, options.group_by)


def column_list(options: GatherOptions) -> list[str]:
    """The names given to --columns; none without it."""
    given = (options.columns or "").split(",")
    return list(dict.fromkeys(name for part in given if (name := part.strip())))


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
    of_rows = (options.sort, options.group_by, options.compare, options.columns, options.only)
    as_table = options.format == "table" and not options.json
    as_paper = options.format in ("table", "latex") and not options.json
    if options.layout == PAPER and (any(of_rows) or options.watch or not as_paper):
        raise UsageError(
            "--layout paper is a table of its own, or --format latex; leave out other formats, "
            "--watch, --sort, --group-by, --compare, --columns and --only."
        )
    if options.watch and (options.baseline or not as_table):
        raise UsageError(
            "--watch shows the table, against the latest baselines; leave out --format, --json and "
            "--baseline."
        )


def print_paper(
    runs: Sequence[LoadedRun], rows: Sequence[SummaryRow], options: GatherOptions, console: Console
) -> None:
    """The paper's table, one for each dataset."""
    wanted = set(map(run_of, choose_rows(rows, None, options.select)))
    measured = [one for one in measure_runs(runs, rows) if run_of(one.rows[-1]) in wanted]
    for table in paper_tables(measured):
        if options.format == "latex":
            typer.echo(for_latex(table).rstrip("\n"))
        else:
            console.print(for_terminal(table))
    note = paper_note(measured)
    if options.format == "latex":
        typer.echo(f"% {note}")
    else:
        console.print(note, markup=False)


def measure_runs(runs: Sequence[LoadedRun], rows: Sequence[SummaryRow]) -> list[Measured]:
    """Each run with its rows; the small model alone once for each agent that it stands beside."""
    of_run = iter(rows)
    measured: list[Measured] = []
    for run in runs:
        own = list(_until_all(of_run))
        agents = {one.info.config.agent: one for one in matching_baselines(run, runs)}
        if len(agents) > 1 and own[-1].speedup is None:
            measured += [Measured(run, summarize(run, one), agent) for agent, one in agents.items()]
        else:
            measured.append(Measured(run, own))
    return measured


def _until_all(rows: Iterator[SummaryRow]) -> Iterator[SummaryRow]:
    """The rows of one run, of which the one of all splits is the last."""
    for row in rows:
        yield row
        if row.split == ALL:
            return


def draw(found: Found, host: Host, options: GatherOptions) -> Tables:
    """The table as it is now; of several baselines the latest is taken."""
    rows = gather_rows(found, host, take_latest)
    return make_tables(chosen_rows(rows, options), options)


def make_tables(rows: Sequence[SummaryRow], options: GatherOptions) -> Tables:
    """The rows for a terminal."""
    return Tables(
        rows,
        paper=options.compare == PAPER,
        chosen=column_list(options),
        group=options.group_by,
    )


def notes(rows: Sequence[SummaryRow], *, paper: bool) -> list[str]:
    """What a reader should know, each sentence once."""
    told = [f"{one_line(row.run)}, {row.split}: {note}." for row in rows for note in row.notes]
    unjudged = sum(row.n_unjudged for row in rows if row.split == "all")
    if unjudged:
        told.append(
            f"The judge failed on {unjudged} answers, which accuracy leaves out; "
            "`speceyes judge --retry-errors` asks again."
        )
    if any(row.cached_share or row.speedup_cached for row in rows):
        told.append(CACHED_NOTE)
    if undecided := sum(row.n_undecided for row in rows if row.split == ALL):
        told.append(undecided_note(undecided))
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
