"""The figures of `analyze ablation`: accuracy over speedup, one axis for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speceyes_cli.analysis.ablation import Axis, Curve, Point
from speceyes_cli.analysis.figures.style import (
    FAINT,
    MARKERS,
    Plot,
    legend_above,
    percent_axis,
    series,
)

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase as Figure

LABELS: dict[Axis, str] = {
    "threshold": "threshold (confidence)",
    "top_k": "K (logits per token)",
    "batch_size": "batch size (asks)",
    "gate": "gate",
}


def ablation_plots(curves: Sequence[Curve]) -> list[Plot]:
    """A figure for each axis that runs vary."""
    axes = dict.fromkeys(curve.axis for curve in curves)
    return [_plot(axis, [curve for curve in curves if curve.axis == axis]) for axis in axes]


def _plot(axis: Axis, curves: Sequence[Curve]) -> Plot:
    own = [curve for curve in curves if not curve.published]
    sizes = sorted({point.n for curve in own for point in curve.points if point.n is not None})
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    name = axis.replace("_", "-")
    paper = " Hollow grey marks are the paper's published points." if len(own) < len(curves) else ""
    return Plot(
        name=f"ablation-{name}",
        title=f"Accuracy and speedup by {LABELS[axis].partition(' (')[0]}",
        caption=f"One mark for each run, n = {n} samples; bars are 95% intervals, thin lines the "
        f"agent alone on the same samples.{paper}",
        alt="; ".join(_told(curve) for curve in own) + ".",
        draw=lambda figure: _draw(figure, axis, curves),
        height=4.6,
    )


def _draw(figure: Figure, axis: Axis, curves: Sequence[Curve]) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True)
    names = list(dict.fromkeys(p.value for curve in curves for p in curve.points))
    for place, curve in enumerate(curves):
        style = _style(place, curve, axis)
        for axes, figure_of in ((upper, "accuracy"), (lower, "speedup")):
            points = [p for p in curve.points if getattr(p, figure_of) is not None]
            if points:
                across = [names.index(p.value) if axis == "gate" else p.value for p in points]
                _bars(axes, across, points, figure_of, style | {"label": curve.label})
        if curve.baseline_accuracy is not None and not curve.published:
            upper.axhline(curve.baseline_accuracy, color=style["color"], linewidth=0.6)
    lower.axhline(1, color=FAINT, linewidth=0.6)
    upper.set_ylabel("accuracy")
    lower.set_ylabel("speedup (×)")
    lower.set_xlabel(LABELS[axis])
    if axis == "gate":
        lower.set_xticks(range(len(names)), [str(name) for name in names])
    percent_axis(upper.yaxis)
    legend_above(figure, upper if upper.has_data() else lower, columns=2)


def _bars(axes: Any, across: Sequence[Any], points: Sequence[Point], of: str, style: Any) -> None:
    values = [getattr(p, of) for p in points]
    low = [getattr(p, f"{of}_low") for p in points]
    high = [getattr(p, f"{of}_high") for p in points]
    reach = None
    if None not in low and None not in high:
        reach = [
            [max(0.0, v - bound) for v, bound in zip(values, low, strict=True)],
            [max(0.0, bound - v) for v, bound in zip(values, high, strict=True)],
        ]
    axes.errorbar(across, values, yerr=reach, elinewidth=0.8, **style)


def _style(place: int, curve: Curve, axis: Axis) -> dict[str, Any]:
    style = series(place, markers=True)
    if curve.published:
        style |= {
            "color": FAINT,
            "linestyle": ":",
            "markerfacecolor": "none",
            "marker": MARKERS[place % len(MARKERS)],
        }
    return style | {"linestyle": "none"} if axis == "gate" else style


def _told(curve: Curve) -> str:
    points = (
        f"{point.value}: {100 * (point.accuracy or 0):.1f}%"
        + (f", {point.speedup:.2f} times as fast" if point.speedup is not None else "")
        for point in curve.points
    )
    return f"{curve.label}: {'; '.join(points)}"
