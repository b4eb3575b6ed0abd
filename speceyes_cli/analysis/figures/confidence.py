"""The figures of `analyze confidence`: every gate side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speceyes_cli.analysis.confidence import BINS, THRESHOLDS, WINDOW_SHARE, GateAnalysis
from speceyes_cli.analysis.figures.style import (
    DASHES,
    FAINT,
    INK,
    RIGHT,
    WRONG,
    Plot,
    legend_above,
    mark_threshold,
    percent_axis,
    series,
)
from speceyes_cli.analysis.ties import NEAR_MARGIN, Clearance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase as Figure

Gates = Mapping[str, GateAnalysis]
_MANY_POINTS = 1_000
"""More points than this are drawn as pixels in the SVG."""
_LEAST_MARGIN = 1e-6
"""Logits: an exact tie has no place on a logarithmic axis."""


def confidence_plots(
    gates: Gates, threshold: float | None, ties: Sequence[Clearance], tied_gate: str
) -> list[Plot]:
    """Every figure of one run; `threshold` is the run's, `ties` its drafts under `tied_gate`."""
    plots = [
        density_plot(gates, threshold),
        rolling_plot(gates),
        threshold_plot(gates, threshold),
        risk_plot(gates),
        calibration_plot(gates),
    ]
    return plots + ([tie_plot(ties, threshold, tied_gate)] if ties else [])


def density_plot(gates: Gates, threshold: float | None) -> Plot:
    """Where right and wrong drafts lie, a panel for each gate."""

    def panel(axes: Axes, found: GateAnalysis) -> None:
        highest = max(found.curves.right[1].max(), found.curves.wrong[1].max())
        for (across, up), colour, dash, label in (
            (found.curves.right, RIGHT, DASHES[0], "right"),
            (found.curves.wrong, WRONG, DASHES[1], "wrong"),
        ):
            up = up / highest  # noqa: PLW2901 - the same, in other units
            axes.plot(across, up, color=colour, linestyle=dash, label=label)
            axes.fill_between(across, up, color=colour, alpha=0.12, linewidth=0)
        mark_threshold(axes, threshold)
        axes.set_title(f"{found.figures.gate}, modes {found.figures.mode_distance:.3f} apart")
        axes.set_ylim(bottom=0)

    return Plot(
        name="densities",
        title="Confidence of right and wrong drafts",
        caption=f"Kernel density of the confidence, as a share of each panel's peak, {_n(gates)}. "
        f"All panels share their axes.{_bar_note(threshold)}",
        alt=f"Densities of the confidence of right and wrong drafts. {_apart(gates)}",
        draw=lambda figure: _panels(figure, gates, panel, ("confidence", "density")),
        height=_panel_height(gates),
    )


def rolling_plot(gates: Gates) -> Plot:
    """Accuracy from the least to the most sure draft."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, (gate, found) in enumerate(gates.items()):
            axes.plot(*found.curves.rolling, label=gate, **series(place))
        axes.set_xlabel("rank of confidence, least to most sure")
        axes.set_ylabel("accuracy of the drafts around")
        axes.set_ylim(-0.02, 1.02)
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        legend_above(figure, axes)

    return Plot(
        name="rolling-accuracy",
        title="Accuracy over the rank of confidence",
        caption=f"Right drafts in a window of {WINDOW_SHARE:.0%} of all drafts, at least ten; "
        f"{_n(gates)}. A good gate climbs steeply.",
        alt="Rolling accuracy of drafts from the least to the most sure, a line for each gate.",
        draw=draw,
    )


def threshold_plot(gates: Gates, threshold: float | None) -> Plot:
    """What each threshold lets through, and how much of it is right."""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for place, (gate, found) in enumerate(gates.items()):
            above = [row for row in found.figures.above if row.accuracy is not None]
            style = series(place, markers=True)
            bars = [row.threshold for row in above]
            upper.plot(_stretch(bars), [row.accuracy for row in above], label=gate, **style)
            rows = found.figures.above
            bars = [row.threshold for row in rows]
            lower.plot(_stretch(bars), [row.coverage for row in rows], **style)
        upper.set_ylabel("accuracy")
        lower.set_ylabel("coverage")
        lower.set_xlabel("threshold (stretched towards 1)")
        shown = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995]
        lower.set_xticks(_stretch(shown), [f"{bar:g}" for bar in shown])
        for axes in (upper, lower):
            percent_axis(axes.yaxis)
            if threshold is not None and THRESHOLDS[0] <= threshold <= THRESHOLDS[-1]:
                mark_threshold(axes, _stretch([threshold])[0])
        legend_above(figure, upper)

    return Plot(
        name="thresholds",
        title="What lies above each threshold",
        caption=f"Drafts whose confidence exceeds the threshold: right ones among them (above) "
        f"and their share of all (below), {_n(gates)}.{_bar_note(threshold)}",
        alt="Accuracy and coverage of drafts above each threshold from 0.5 to 0.995, by gate.",
        draw=draw,
        height=4.6,
    )


def risk_plot(gates: Gates) -> Plot:
    """Error rate against coverage."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, (gate, found) in enumerate(gates.items()):
            label = f"{gate}, AURC {found.figures.aurc:.3f}"
            axes.plot(*found.curves.risk, label=label, **series(place))
        first = next(iter(gates.values())).figures
        wrong = 1 - first.n_right / first.n
        axes.axhline(wrong, color=FAINT, linewidth=0.8)
        axes.annotate(
            "no gate", (0.0, wrong), (2, 2), textcoords="offset points", fontsize=7, color=INK
        )
        axes.set_xlabel("coverage, surest drafts first")
        axes.set_ylabel("wrong among them")
        axes.set_ylim(bottom=-0.005)
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        legend_above(figure, axes, columns=2)

    return Plot(
        name="risk-coverage",
        title="Risk and coverage",
        caption=f"Error rate of the surest drafts up to each coverage; AURC is the area below, "
        f"lower is better; {_n(gates)}.",
        alt="Risk-coverage curves. Area below: "
        + ", ".join(f"{gate} {found.figures.aurc:.3f}" for gate, found in gates.items())
        + ".",
        draw=draw,
    )


def calibration_plot(gates: Gates) -> Plot:
    """Whether a confidence of p means right in a share p of cases."""

    def panel(axes: Axes, found: GateAnalysis) -> None:
        bins = found.figures.calibration
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        axes.errorbar(
            [row.confidence for row in bins],
            [row.accuracy for row in bins],
            yerr=[
                [row.accuracy - row.accuracy_low for row in bins],
                [row.accuracy_high - row.accuracy for row in bins],
            ],
            fmt="o",
            color=RIGHT,
            elinewidth=0.8,
        )
        error = found.figures.calibration_error_debiased
        axes.set_title(f"{found.figures.gate}, error {error:.3f}")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)

    return Plot(
        name="calibration",
        title="Calibration",
        caption=f"Accuracy against mean confidence in {BINS} bins of equal size, bars are 95% "
        f"Wilson intervals, {_n(gates)}; the error is less what chance alone adds. On the diagonal "
        "a confidence is a probability; a gate needs only the right order.",
        alt="Reliability diagrams. Calibration error: "
        + ", ".join(
            f"{g} {found.figures.calibration_error_debiased:.3f}" for g, found in gates.items()
        )
        + ".",
        draw=lambda figure: _panels(figure, gates, panel, ("confidence", "accuracy")),
        height=_panel_height(gates),
    )


def tie_plot(ties: Sequence[Clearance], threshold: float | None, gate: str) -> Plot:
    """Confidence against the smallest gap between the two best tokens."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        kinds = (
            (True, RIGHT, "o", "right"),
            (False, WRONG, "x", "wrong"),
            (None, FAINT, ".", "not judged"),
        )
        for right, colour, marker, label in kinds:
            found = [tie for tie in ties if tie.right is right]
            if found:
                axes.plot(
                    [max(tie.margin, _LEAST_MARGIN) for tie in found],
                    [tie.confidence for tie in found],
                    marker,
                    color=colour,
                    label=label,
                    alpha=0.7,
                    markersize=3.5,
                    rasterized=len(ties) > _MANY_POINTS,
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda margin, _: f"{margin:g}")
        axes.axvline(NEAR_MARGIN, color=FAINT, linewidth=0.8)
        if threshold is not None:
            axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.set_xlabel("smallest gap of first to second logit in the draft (logits)")
        axes.set_ylabel(f"confidence, {gate}")
        legend_above(figure, axes)

    return Plot(
        name="ties",
        title="Ties that the gate cannot see",
        caption=f"One mark for each draft, n = {len(ties)}. Left of the line at {NEAR_MARGIN:g} "
        f"the draft was nearly a coin flip.{_bar_note(threshold)}",
        alt=f"Confidence against the smallest logit gap of {len(ties)} drafts.",
        draw=draw,
    )


def _panels(
    figure: Figure,
    gates: Gates,
    panel: Callable[[Axes, GateAnalysis], None],
    labels: tuple[str, str],
) -> None:
    """One panel for each gate, two in a row, axes shared."""
    rows = -(-len(gates) // 2)
    grid: Any = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    for axes, found in zip(grid.flat, gates.values(), strict=False):
        panel(axes, found)
    for axes in list(grid.flat)[len(gates) :]:
        axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel(labels[0])
    for axes in grid[:, 0]:
        axes.set_ylabel(labels[1])
    if grid[0][0].get_legend_handles_labels()[1]:
        legend_above(figure, grid[0][0])


def _panel_height(gates: Gates) -> float:
    return 0.4 + 1.5 * -(-len(gates) // 2)


def _stretch(thresholds: Sequence[float]) -> list[float]:
    """Places on an axis that gives the last percents as much room as the first tens."""
    return [-math.log10(1 - threshold) for threshold in thresholds]


def _n(gates: Gates) -> str:
    sizes = {found.figures.n for found in gates.values()}
    if len(sizes) == 1:
        first = next(iter(gates.values())).figures
        return f"n = {first.n} drafts, {first.n_right} right"
    return f"n = {min(sizes)} to {max(sizes)} drafts, by gate"


def _bar_note(threshold: float | None) -> str:
    return "" if threshold is None else f" The dotted line is the run's threshold, {threshold:g}."


def _apart(gates: Gates) -> str:
    told = (f"{gate} {found.figures.mode_distance:.3f}" for gate, found in gates.items())
    return f"Distance of their modes: {', '.join(told)}."
