"""`speceyes analyze report`: one page that holds everything and needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from speceyes_cli.analysis.ablation import find_curves
from speceyes_cli.analysis.figures.ablation import ablation_plots
from speceyes_cli.analysis.figures.style import Plot
from speceyes_cli.analysis.replay import Replayed, baseline_seconds, replay
from speceyes_cli.analysis.report.page import RunSection, render_page
from speceyes_cli.analysis.report.selected_samples import choose_samples
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.commands.analyze.ablation import all_baselines
from speceyes_cli.commands.analyze.confidence import analyze_run, tie_sentence
from speceyes_cli.commands.analyze.inputs import open_runs, run_labels
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.info import write_atomically
from speceyes_cli.core.tables.summaries import LoadedRun, find_baseline, summarize
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.metrics import add_metrics
from speceyes_cli.host.run_samples import open_run_split
from speceyes_cli.host.run_scores import Scores, all_scores, own_choice


def report_command(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or folders that hold them."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", envvar="SPECEYES_OUT", help="The page to write.")
    ] = Path("report.html"),
    samples: Annotated[
        int,
        typer.Option(
            min=0, envvar="SPECEYES_SAMPLES", help="Samples of each kind and run to show."
        ),
    ] = 3,
) -> None:
    """Write one self-contained page: tables, figures, samples worth a look and their provenance.

    It needs no network, and can be read on a phone and in the dark. Pictures come from the run's
    images/ where it kept them (eval --keep-images), else from the dataset.
    """
    if out.is_dir() or not out.resolve().parent.is_dir():
        what = "is a folder" if out.is_dir() else "is in no folder that exists"
        raise UsageError(f"--out: {out} {what}; name a file such as report.html.")
    runs = open_runs(paths)
    host: Host = context.obj
    baselines = all_baselines(runs)
    sections = [
        describe(run, label, baselines, host, samples)
        for run, label in zip(runs, run_labels(runs), strict=True)
    ]
    page = render_page(sections, shared_plots(runs, baselines))
    write_atomically(out, [page])
    size, several = len(page.encode()) / 2**20, "" if len(runs) == 1 else "s"
    place = strip_control(str(out))
    typer.echo(f"Report of {len(runs)} run{several} in {place}, {size:.1f} MiB")


def describe(
    run: LoadedRun, label: str, baselines: Sequence[LoadedRun], host: Host, samples: int
) -> RunSection:
    """One run's section under its label; what cannot be computed for it is said in a note."""
    table = read_table(run)
    baseline = find_baseline(run, baselines)
    try:
        found = analyze_run(table, all_scores(table, host))
        gates = [analysis.figures for analysis in found.gates.values()]
        notes, plots = [tie_sentence(found.ties)], found.plots
    except DataError as error:
        gates, notes, plots = [], [_without_advice(str(error))], []
    config = run.info.config
    spec = host.datasets.specs.get(config.dataset)
    return RunSection(
        label=label,
        info=run.info,
        rows=add_metrics(summarize(run, baseline), run, spec),
        gates=gates,
        plots=plots,
        notes=notes,
        branches=_branches(table, baseline, host),
        kinds=choose_samples(
            run, baseline, samples, partial(open_run_split, run.info.config, host)
        ),
    )


def _without_advice(sentence: str) -> str:
    """What an error says without what to do about it: a page's reader did not run the runs."""
    return f"{sentence.partition(';')[0].removesuffix('.')}."


def shared_plots(runs: Sequence[LoadedRun], baselines: Sequence[LoadedRun]) -> list[Plot]:
    """The ablation's figures, where the runs vary one thing."""
    try:
        return ablation_plots(find_curves(runs, baselines))
    except DataError:
        return []


def _branches(table: ScoreTable, baseline: LoadedRun | None, host: Host) -> Replayed | None:
    if not table.both_branches:
        return None
    choice = own_choice(table)
    if choice.gate not in host.gates.specs:
        return None
    values = Scores(table, host).of(choice.gate, choice.top_k)
    return replay(table, values, choice, baseline_seconds(table, baseline))
