"""`speceyes analyze replay`: any gate, K and threshold from one run, with no model."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.figures.frontier import frontier_plot
from speceyes_cli.analysis.figures.style import write_plots
from speceyes_cli.analysis.replay import (
    Replayed,
    frontier,
    replay,
)
from speceyes_cli.analysis.replay_check import (
    Check,
    check_prediction,
    choice_of,
    require_comparable,
)
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.commands.analyze.comparison_table import comparison_table
from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.commands.tables import CACHED, CACHED_NOTE, NOTHING, percent
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.tables.summaries import ALL, LoadedRun
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.learned_gates import take_gate_files
from speceyes_cli.host.replaying import choices, open_replay, replay_choices
from speceyes_cli.host.run_scores import (
    Scores,
    compare_learned,
    open_table,
    own_choice,
    told_gates,
)

NOT_AS_PREDICTED = 1
_COLUMNS = (
    *("gate", "K", "threshold", "coverage", "accuracy (95%)", "gain", "harm"),
    "predicted speedup (95%)",
)


def replay_command(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of an `eval --both-branches` run.")],
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="Gate, a file of `analyze learn`, or all; repeatable. Default: the run's."
        ),
    ] = None,
    top_k: Annotated[
        list[int] | None, typer.Option(help="K; repeatable. Default: the run's.")
    ] = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(help="Threshold; repeatable. Default: the run's and the paper's sweep."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="A real run: compare it with what is predicted for its settings."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the frontier figure, as PNG and SVG.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print JSON, with every split.")
    ] = False,
) -> None:
    """Tell what any gate, K and threshold would have done, without a model.

    From a run that executed both branches: accuracy, coverage, the gain (only the draft was right)
    and harm (only the agent was) of accepted drafts, and the speedup that each phase's measured
    seconds predict, over the baseline run beside it or else over the run's own agent phase.

    Exit codes: 0 done, 1 with --check: answers are not as predicted, 2 something to mend.
    """
    named, host = take_gate_files(gate or [], context.obj)
    plain = [name for name in named if name not in host.learned]
    _require_alone(check, (plain, top_k, threshold, out))
    loaded, scores, measured, baseline = open_replay(run, host)
    table = scores.table
    console = Console(highlight=False, emoji=False)
    if check is not None:
        found = _check(loaded, scores, baseline, check)
        typer.echo(found.model_dump_json(indent=2)) if json else _report_check(console, found)
        raise typer.Exit(0 if found.exact else NOT_AS_PREDICTED)
    splits = (*table.config.splits, ALL) if json else (ALL,)
    wanted = choices(scores, named, top_k, threshold)
    rows = replay_choices(scores, baseline, wanted, splits, measured)
    files = _write_figure(scores, baseline, out) if out is not None else []
    if json:
        typer.echo(json_module.dumps([row.model_dump() for row in rows], indent=2))
        return
    console.print(_table(rows, table))
    for comparisons in compare_learned(scores):
        console.print(comparison_table(comparisons, table.run))
    console.print(_basis(measured, rows), markup=False)
    for file in files:
        console.print(f"Figure in {strip_control(str(file))}", markup=False, soft_wrap=True)


def _require_alone(check: Path | None, others: Sequence[object]) -> None:
    if check is not None and any(others):
        raise UsageError(
            "--check takes gate, K and threshold from the real run, and draws no figure; leave out "
            "--gate, --top-k, --threshold and --out."
        )


def _check(
    loaded: LoadedRun, scores: Scores, baseline: Sequence[float | None], folder: Path
) -> Check:
    real, real_table = open_table(folder)
    choice = choice_of(real_table)
    require_comparable(loaded, real)
    return check_prediction(
        scores.table, scores.of(choice.gate, choice.top_k), baseline, real_table
    )


def _write_figure(scores: Scores, baseline: Sequence[float | None], out: Path) -> list[Path]:
    own = own_choice(scores.table)
    table = scores.table
    frontiers = {
        gate: frontier(table, scores.of(gate, own.top_k), baseline)
        for gate in told_gates(scores.table, scores.host)
    }
    chosen = replay(table, scores.of(own.gate, own.top_k), own, baseline)
    return write_plots([frontier_plot(frontiers, chosen)], out)


def _table(rows: Sequence[Replayed], table: ScoreTable) -> FittingTable:
    agent, draft = rows[0].agent_accuracy, rows[0].draft_accuracy
    title = (
        f"Replayed from {table.run} · n = {rows[0].n} · agent alone {percent(agent)}, "
        f"draft alone {percent(draft)}"
    )
    shown = FittingTable(title, _COLUMNS, keys=3)
    own = own_choice(table)
    for row in rows:
        cells = (
            *(row.gate, str(row.top_k), f"{row.threshold:g}", percent(row.coverage)),
            _interval(row),
            *(percent(row.gain), percent(row.harm)),
            _speedup(row),
        )
        is_own = (row.gate, row.top_k, row.threshold) == own
        shown.add_row(*cells, style="bold" if is_own else "")
    return shown


def _interval(row: Replayed) -> str:
    return f"{percent(row.accuracy)} [{100 * row.accuracy_low:.1f}, {100 * row.accuracy_high:.1f}]"


def _speedup(row: Replayed) -> str:
    if row.speedup is None or row.speedup_low is None or row.speedup_high is None:
        return NOTHING
    mark = CACHED if row.cached else ""
    return f"{row.speedup:.2f}× [{row.speedup_low:.2f}, {row.speedup_high:.2f}]{mark}"


def _basis(measured: LoadedRun | None, rows: Sequence[Replayed]) -> str:
    """What the speedup is over, and whether it rests on calls that were replayed."""
    cached = f" {CACHED_NOTE}" if any(row.cached for row in rows) else ""
    if measured is not None:
        name = strip_control(measured.info.name)
        return f"Speedup over the agent alone as measured in {name}.{cached}"
    return (
        "Speedup over this run's own agent phase, which is a little short: the screen had read the "
        "picture for it. `eval --method baseline` beside this run measures the agent alone."
        f"{cached}"
    )


def _report_check(console: Console, found: Check) -> None:
    table = Table(title=Text(strip_control(f"Predicted and measured · {found.run}")))
    table.title_justify = "left"
    for name in ("", "predicted", "measured"):
        table.add_column(name, justify="left" if not name else "right")
    table.add_row("accuracy", percent(found.accuracy_predicted), percent(found.accuracy_measured))
    table.add_row("coverage", percent(found.coverage_predicted), percent(found.coverage_measured))
    speeds = (found.speedup_predicted, found.speedup_measured)
    mark = CACHED if found.cached else ""
    table.add_row("speedup", *(NOTHING if s is None else f"{s:.2f}×{mark}" for s in speeds))
    console.print(table)
    console.print(
        f"{found.gate} > {found.threshold:g}, K = {found.top_k}, n = {found.n}; "
        f"{len(found.rerouted)} samples went another way than predicted."
    )
    if found.cached:
        console.print(CACHED_NOTE, markup=False)
