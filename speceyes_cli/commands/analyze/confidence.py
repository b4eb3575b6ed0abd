"""`speceyes analyze confidence`: how well each gate tells right drafts from wrong ones."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from speceyes_cli.analysis.confidence import (
    PERCENTILES,
    GateAnalysis,
    GateFigures,
    analyze_gates,
)
from speceyes_cli.analysis.exports import ExportAnalysis, analyze_export
from speceyes_cli.analysis.figures.confidence import confidence_plots
from speceyes_cli.analysis.figures.style import Plot, write_plots
from speceyes_cli.analysis.gate_comparison import Comparison
from speceyes_cli.analysis.scores import Score, acceptable, confidences
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.analysis.ties import TieFigures, clearances, diagnose_run
from speceyes_cli.commands.analyze.comparison_table import comparison_table
from speceyes_cli.commands.analyze.inputs import figure_folders, open_runs, run_labels
from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.commands.tables import NOTHING, percent
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.info import RUN_FILE
from speceyes_cli.core.tables.upstream.confidences import Export, find_exports
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.learned_gates import honest_part, take_gate_files
from speceyes_cli.host.manager import Host
from speceyes_cli.host.run_scores import Scores, all_scores, compare_learned


class RunAnalysis(NamedTuple):
    """One run under every gate."""

    table: ScoreTable
    gates: dict[str, GateAnalysis]
    useless: list[str]
    """Gates that give every draft the same score, or none a defined one."""
    ties: TieFigures
    plots: list[Plot]


class Beside(NamedTuple):
    """What is told beside the figures of all drafts of a run."""

    splits: dict[str, list[GateFigures]]
    """The gates' figures by split, where there are several."""
    left_out: dict[str, str]
    """Splits without figures, and why."""
    comparisons: list[list[Comparison]]
    """Each learned gate beside every other one."""


def confidence_command(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold them.")],
    gate: Annotated[
        list[str] | None,
        typer.Option(help="File of `analyze learn`, to stand beside the gates; repeatable."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(envvar="SPECEYES_OUT", help="Folder for the figures, as PNG and SVG."),
    ] = Path("figures"),
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print JSON, with every figure.")
    ] = False,
) -> None:
    """Show how well each gate's confidence tells right drafts from wrong ones.

    For every gate, of all drafts and by split: AUROC, area under the risk-coverage curve, rank
    correlation, calibration, percentiles, accuracy by decile and above each threshold, coverage,
    and the tie diagnostic. Runs must have judged every draft: `eval --method draft`, or `eval
    --both-branches`. A learned gate is compared on the samples that it was not fitted on.
    """
    console = Console(highlight=False, emoji=False)
    exports, runs = take_exports(runs)
    if exports and not runs:
        show_exports(exports, out, console, as_json=json)
        return
    _, host = take_gate_files(gate or [], context.obj)
    opened = open_runs(runs)
    labels = run_labels(opened)
    tables = [
        replace(honest_part(run, read_table(run), host), run=label)
        for run, label in zip(opened, labels, strict=True)
    ]
    found = [analyze_run(table, all_scores(table, host)) for table in tables]
    beside = [look_closer(table, host) for table in tables]
    files = {}
    for analysis, folder in zip(found, figure_folders(out, labels), strict=True):
        files[analysis.table.run] = write_plots(analysis.plots, folder)
    if json:
        told = [
            {**_as_json(one, files[one.table.run]), **_beside_as_json(more)}
            for one, more in zip(found, beside, strict=True)
        ]
        typer.echo(json_module.dumps(told, indent=2, ensure_ascii=False))
        return
    for analysis, more in zip(found, beside, strict=True):
        _report(console, analysis, more)
    for folder in dict.fromkeys(file.parent for names in files.values() for file in names):
        console.print(f"Figures in {strip_control(str(folder))}", markup=False, soft_wrap=True)


def take_exports(paths: Sequence[Path]) -> tuple[list[Export], list[Path]]:
    """Upstream's exports at or below the paths, and the paths that may hold runs.

    Raises `UsageError` for both at once.
    """
    exports = [export for path in paths if path.exists() for export in find_exports(path)]
    rest = [path for path in paths if not exports or any(path.rglob(RUN_FILE))]
    if exports and rest:
        raise UsageError(f"{rest[0]} holds runs and other paths upstream's exports; name one kind.")
    return exports, rest


def show_exports(exports: Sequence[Export], out: Path, console: Console, *, as_json: bool) -> None:
    """The tables and figures of upstream's exports."""
    told = []
    folders = figure_folders(out, [export.run for export in exports])
    for found, folder in zip(map(analyze_export, exports), folders, strict=True):
        files = write_plots(confidence_plots(found.gates, None, [], ""), folder)
        figures = [one.figures for one in found.gates.values()]
        if as_json:
            told.append(_export_as_json(found, files))
            continue
        _report_gates(console, found.export.run, figures, found.splits, found.left_out)
        console.print(f"Figures in {strip_control(str(folder))}", markup=False, soft_wrap=True)
    if as_json:
        typer.echo(json_module.dumps(told, indent=2, ensure_ascii=False))


def _export_as_json(found: ExportAnalysis, files: Sequence[Path]) -> dict[str, Any]:
    return {
        "run": found.export.run,
        "source": "upstream",
        "dataset": found.export.dataset,
        "gates": [one.figures.model_dump() for one in found.gates.values()],
        "splits": {s: [row.model_dump() for row in rows] for s, rows in found.splits.items()},
        "left_out": found.left_out,
        "figures": [str(file) for file in files],
    }


def look_closer(table: ScoreTable, host: Host) -> Beside:
    """The figures by split, and each learned gate beside the others."""
    scores = all_scores(table, host)
    found = Beside({}, {}, [])
    splits = [
        split for split in table.config.splits if any(s.split == split for s in table.samples)
    ]
    for split in splits if len(splits) > 1 else ():
        part = replace(table, samples=tuple(s for s in table.samples if s.split == split))
        try:
            gates = analyze_gates(part, scores)
        except DataError as error:
            found.left_out[split] = str(error)
        else:
            found.splits[split] = [one.figures for one in gates.values()]
    return found._replace(comparisons=compare_learned(Scores(table, host)))


def analyze_run(table: ScoreTable, scores: Mapping[str, Score]) -> RunAnalysis:
    """The tables and figures of one run; raises `DataError` where there is nothing to tell."""
    gates = analyze_gates(table, scores)
    named = table.config.gate
    own = named if named is not None and named in scores else next(iter(gates))
    values = confidences(table, scores[own])
    return RunAnalysis(
        table=table,
        gates=gates,
        useless=[gate for gate in scores if gate not in gates],
        ties=diagnose_run(table, acceptable(table, values)),
        plots=confidence_plots(gates, table.config.threshold, clearances(table, values), own),
    )


def tie_sentence(ties: TieFigures) -> str:
    """The tie diagnostic in words."""
    can = f"At K = {ties.top_k} an exact tie of two can reach {ties.tie_confidence:.3f}"
    if ties.threshold is None:
        return (
            f"{can}. {ties.tied} of {ties.drafts} drafts have a tied token, "
            f"{ties.nearly_tied} a nearly tied one."
        )
    side = "above" if ties.passes else "not above"
    sentence = (
        f"{can}, {side} the threshold {ties.threshold:g}. Of {ties.drafts} drafts {ties.tied} have "
        f"a tied token, {ties.nearly_tied} a nearly tied one; {ties.accepted_tied} and "
        f"{ties.accepted_nearly_tied} of these lie above the threshold"
    )
    right = ties.accepted_nearly_tied_right
    return sentence + (
        f", {right} right." if right is not None and ties.accepted_nearly_tied else "."
    )


def _report(console: Console, analysis: RunAnalysis, beside: Beside) -> None:
    figures = [found.figures for found in analysis.gates.values()]
    _report_gates(console, analysis.table.run, figures, beside.splits, beside.left_out)
    for comparisons in beside.comparisons:
        console.print(comparison_table(comparisons, analysis.table.run))
    if analysis.useless:
        console.print(
            f"Left out, with one score for every draft: {', '.join(analysis.useless)}.",
            markup=False,
        )
    console.print(tie_sentence(analysis.ties), markup=False)


def _report_gates(
    console: Console,
    name: str,
    figures: Sequence[GateFigures],
    splits: Mapping[str, Sequence[GateFigures]],
    left_out: Mapping[str, str],
) -> None:
    console.print(_gate_table(figures, name))
    for split, rows in splits.items():
        console.print(_gate_table(rows, f"{name}, {split}"))
    for split, why in left_out.items():
        console.print(f"{split}: {why}", markup=False)
    console.print(_threshold_table(figures))
    console.print(_decile_table(figures))
    console.print(_percentile_table(figures))


def _gate_table(figures: Sequence[GateFigures], name: str) -> FittingTable:
    first = figures[0]
    title = f"{name} · {first.n} drafts, {percent(first.n_right / first.n)} right"
    names = ("AUROC (95%)", "AURC", "rank corr.", "p", "modes", "ECE")
    shown = FittingTable(title, ("gate", *names))
    for row in figures:
        shown.add_row(
            row.gate,
            f"{row.auroc:.3f} [{row.auroc_low:.3f}, {row.auroc_high:.3f}]",
            f"{row.aurc:.3f}",
            f"{row.spearman:.3f}",
            NOTHING if row.spearman_p is None else f"{row.spearman_p:.2g}",
            f"{row.mode_distance:.3f}",
            f"{row.calibration_error_debiased:.3f}",
        )
    return shown


def _decile_table(figures: Sequence[GateFigures]) -> FittingTable:
    most = max(len(row.calibration) for row in figures)
    title = "Accuracy in percent by decile of the confidence, ties together"
    shown = FittingTable(title, ("gate", *(str(place + 1) for place in range(most))))
    for row in figures:
        shares = [f"{100 * one.accuracy:.1f}" for one in row.calibration]
        shown.add_row(row.gate, *shares, *[NOTHING] * (most - len(shares)))
    return shown


def _threshold_table(figures: Sequence[GateFigures]) -> FittingTable:
    gates = (row.gate for row in figures)
    shown = FittingTable("Accuracy (coverage) above each threshold", ("threshold", *gates))
    for place, first in enumerate(figures[0].above):
        cells = [row.above[place] for row in figures]
        told = (
            NOTHING if cell.n == 0 else f"{percent(cell.accuracy)} ({percent(cell.coverage)})"
            for cell in cells
        )
        shown.add_row(f"{first.threshold:g}", *told)
    return shown


def _percentile_table(figures: Sequence[GateFigures]) -> FittingTable:
    percents = (f"{percentile}%" for percentile in PERCENTILES)
    title = "Percentiles of the confidence"
    shown = FittingTable(title, ("gate", "drafts", *percents), keys=2, left=2)
    for row in figures:
        for kind, values in (("right", row.percentiles_right), ("wrong", row.percentiles_wrong)):
            shown.add_row(row.gate, kind, *(f"{values[p]:.4f}" for p in PERCENTILES))
    return shown


def _as_json(analysis: RunAnalysis, files: Sequence[Path]) -> dict[str, Any]:
    config = analysis.table.config
    return {
        "run": analysis.table.run,
        "dataset": config.dataset,
        "gate": config.gate,
        "top_k": config.top_k,
        "threshold": config.threshold,
        "samples": len(analysis.table.samples),
        "errors": analysis.table.errors,
        "gates": [found.figures.model_dump() for found in analysis.gates.values()],
        "without_a_score": analysis.useless,
        "ties": analysis.ties.model_dump(),
        "figures": [str(file) for file in files],
    }


def _beside_as_json(beside: Beside) -> dict[str, Any]:
    return {
        "splits": {
            split: [row.model_dump() for row in rows] for split, rows in beside.splits.items()
        },
        "splits_left_out": beside.left_out,
        "comparisons": [one.model_dump() for rows in beside.comparisons for one in rows],
    }
