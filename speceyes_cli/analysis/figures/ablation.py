"""The figures of `analyze ablation`: accuracy over speedup, one axis for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speceyes_cli.analysis.ablation import Axis, Curve, Point
from speceyes_cli.analysis.figures.style import (
    FAINT,
    INK,
    Plot,
    legend_above,
    percent_axis,
    series,
)

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase as Figure

NAMED: tuple[Axis, ...] = ("gate", "batch_size")
"""Axes along which points stand side by side, each under its name."""
CACHED = "*"
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
    paper = " Hollow marks are the paper's published points." if len(own) < len(curves) else ""
    cached = any(point.speedup_cached for curve in own for point in curve.points)
    replayed = f" {CACHED} rests on calls replayed from the cache, not measured." if cached else ""
    alone = _alone(axis, own)
    return Plot(
        name=f"ablation-{name}",
        title=f"Accuracy and speedup by {LABELS[axis].partition(' (')[0]}",
        caption=f"One mark for each run, n = {n} samples; bars are 95% intervals, thin lines the "
        f"agent alone on the same samples.{alone}{paper}{replayed}",
        alt="; ".join(_told(curve) for curve in own) + ".",
        draw=lambda figure: _draw(figure, axis, curves),
        height=4.6,
    )


def _draw(figure: Figure, axis: Axis, curves: Sequence[Curve]) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True)
    values = dict.fromkeys(point.value for curve in curves for point in curve.points)
    named = axis in NAMED
    names = sorted(values, key=_size) if axis == "batch_size" else list(values)
    for place, curve in enumerate(curves):
        style = _style(place, curve, axis)
        for axes, figure_of in ((upper, "accuracy"), (lower, "speedup")):
            points = [p for p in curve.points if getattr(p, figure_of) is not None]
            if points:
                across = [names.index(p.value) if named else p.value for p in points]
                _bars(axes, across, points, figure_of, style | {"label": curve.label})
                if figure_of == "speedup":
                    _mark_cached(axes, across, points)
        if curve.baseline_accuracy is not None and not curve.published:
            upper.axhline(curve.baseline_accuracy, color=style["color"], linewidth=0.6)
    lower.axhline(1, color=FAINT, linewidth=0.8)
    if axis == "batch_size":
        _name_reference(lower, curves)
    upper.set_ylabel("accuracy")
    lower.set_ylabel("speedup (×)")
    lower.set_xlabel(LABELS[axis])
    if named:
        lower.set_xticks(range(len(names)), [_tick(axis, name) for name in names])
    percent_axis(upper.yaxis)
    legend_above(figure, upper, lower, columns=2)


def _name_reference(axes: Any, curves: Sequence[Curve]) -> None:
    """What the line at 1× stands for."""
    sizes = sorted({curve.reference for curve in curves if curve.reference is not None})
    serial = not sizes or sizes == [1]
    told = "serial" if serial else f"batch {' and '.join(map(str, sizes))}"
    axes.annotate(
        f"agent alone, {told}",
        (0.99, 1),
        (0, 2),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color=INK,
    )


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


def _mark_cached(axes: Any, across: Sequence[Any], points: Sequence[Point]) -> None:
    """A star above each speedup that rests on calls replayed from the cache."""
    for place, point in zip(across, points, strict=True):
        if point.speedup_cached:
            axes.annotate(
                CACHED, (place, point.speedup), (4, 1), textcoords="offset points", fontsize=9
            )


def _alone(axis: Axis, curves: Sequence[Curve]) -> str:
    """Which run is 1× along batch sizes."""
    sizes = {curve.reference for curve in curves if curve.reference is not None}
    if axis != "batch_size" or not sizes:
        return ""
    told = " and ".join(f"batch size {size}" for size in sorted(sizes))
    serial = ", one sample after the other (serial)" if sizes == {1} else ""
    return f" 1× is the agent alone at {told}{serial}."


def _tick(axis: Axis, value: float | str) -> str:
    if axis == "batch_size" and value == 0:
        return "serial"
    return value if isinstance(value, str) else f"{value:g}"


def _size(value: float | str) -> float:
    return value if isinstance(value, int | float) else 0.0


def _style(place: int, curve: Curve, axis: Axis) -> dict[str, Any]:
    style = series(place, markers=True)
    if curve.published:
        style |= {
            "linestyle": ":",
            "markerfacecolor": "none",
        }
    return style | {"linestyle": "none"} if axis == "gate" else style


def _told(curve: Curve) -> str:
    points = (
        f"{point.value}: {100 * (point.accuracy or 0):.1f}%"
        + (f", {point.speedup:.2f} times as fast" if point.speedup is not None else "")
        + (" (replayed from the cache)" if point.speedup_cached else "")
        for point in curve.points
    )
    return f"{curve.label}: {'; '.join(points)}"
