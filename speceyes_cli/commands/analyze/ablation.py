"""`speceyes analyze ablation`: accuracy and speedup against what runs vary."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from speceyes_cli.analysis.ablation import Curve, Point, find_curves
from speceyes_cli.analysis.figures.ablation import LABELS, ablation_plots
from speceyes_cli.analysis.figures.style import write_plots
from speceyes_cli.analysis.published import MODELS, published_curves
from speceyes_cli.commands.analyze.inputs import open_runs
from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.commands.tables import CACHED, CACHED_NOTE, NOTHING, percent
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.tables.summaries import LoadedRun, baselines_beside
from speceyes_cli.core.text import strip_control


def ablation_command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or folders that hold them."),
    ],
    compare: Annotated[
        str | None,
        typer.Option(envvar="SPECEYES_COMPARE", help='"paper": lay its published points over.'),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(envvar="SPECEYES_OUT", help="Folder for the figures, as PNG and SVG."),
    ] = Path("figures"),
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print JSON, with every point.")
    ] = False,
) -> None:
    """Draw accuracy and speedup against threshold, K, batch size and gate.

    A line goes through runs that differ in one of these only. The speedup is over the baseline run
    among the runs named and those beside them; along batch sizes over that of the smallest batch.
    """
    if compare not in (None, "paper"):
        raise UsageError(f"--compare knows only 'paper', not {compare!r}.")
    runs = open_runs(paths)
    own = find_curves(runs, all_baselines(runs))
    dataset = runs[0].info.config.dataset
    axes = dict.fromkeys(curve.axis for curve in own) if compare else {}
    curves = own + [curve for axis in axes for curve in published_curves(axis, dataset)]
    files = write_plots(ablation_plots(curves), out)
    if json:
        typer.echo(_as_json(curves, files))
        return
    console = Console(highlight=False, emoji=False)
    for axis in dict.fromkeys(curve.axis for curve in curves):
        console.print(_table([curve for curve in curves if curve.axis == axis]))
    if any(point.speedup_cached for curve in curves for point in curve.points):
        console.print(CACHED_NOTE, markup=False)
    if compare:
        console.print(f"The paper's points are of {MODELS}, on the split named.", markup=False)
    console.print(f"Figures in {strip_control(str(out))}", markup=False, soft_wrap=True)


def all_baselines(runs: Sequence[LoadedRun]) -> list[LoadedRun]:
    """The runs, and the baseline runs beside each of them."""
    beside = [found for run in runs for found in baselines_beside(run)]
    return list({run.folder.resolve(): run for run in [*runs, *beside]}.values())


def _table(curves: Sequence[Curve]) -> FittingTable:
    axis = curves[0].axis
    names = ("runs", axis.replace("_", " "), "n", "accuracy (95%)", "speedup (95%)")
    shown = FittingTable(f"By {LABELS[axis]}", names, keys=2)
    for curve in curves:
        for point in curve.points:
            value = point.value if isinstance(point.value, str) else f"{point.value:g}"
            n = NOTHING if point.n is None else str(point.n)
            shown.add_row(curve.label, value, n, _accuracy(point), _speedup(point))
    return shown


def _accuracy(point: Point) -> str:
    if point.accuracy_low is None or point.accuracy_high is None:
        return percent(point.accuracy)
    bounds = f"[{100 * point.accuracy_low:.1f}, {100 * point.accuracy_high:.1f}]"
    return f"{percent(point.accuracy)} {bounds}"


def _speedup(point: Point) -> str:
    if point.speedup is None:
        return NOTHING
    mark = CACHED if point.speedup_cached else ""
    if point.speedup_low is None:
        return f"{point.speedup:.2f}×{mark}"
    fewer = f" n = {point.speedup_n}" if point.speedup_n != point.n else ""
    bounds = f"[{point.speedup_low:.2f}, {point.speedup_high:.2f}]"
    return f"{point.speedup:.2f}× {bounds}{fewer}{mark}"


def _as_json(curves: Sequence[Curve], files: Sequence[Path]) -> str:
    told = {
        "curves": [curve.model_dump() for curve in curves],
        "figures": [str(file) for file in files],
    }
    return json_module.dumps(told, indent=2, ensure_ascii=False)
