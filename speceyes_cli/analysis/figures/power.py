"""What certifying a loss takes: the chance of success, and the coverage, by number of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speceyes_cli.analysis.figures.style import (
    COLOURS,
    Plot,
    legend_above,
    percent_axis,
    series,
)
from speceyes_cli.analysis.power import Expected, Needed, chance_to_certify, critical_sizes

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase as Figure


def power_plot(needed: Sequence[Needed], max_loss: float, risk: float) -> Plot:
    """The chance to certify against the number of samples, a line for each expected harm."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        most = max((n for one in needed for n in one.samples.values() if n), default=1_000)
        sizes = [n for n, _ in critical_sizes(max_loss, risk) if n <= 2 * most]
        for place, one in enumerate(needed):
            chances = [chance_to_certify(n, one.harm, max_loss, risk) for n in sizes]
            axes.plot(sizes, chances, label=f"harm {one.harm:.2%}", **series(place))
        axes.set_xlabel("independent samples")
        axes.set_ylabel("chance to certify")
        axes.set_ylim(0, 1.02)
        percent_axis(axes.yaxis)
        legend_above(figure, axes, columns=4)

    harms = ", ".join(f"{one.harm:.2%}" for one in needed)
    return Plot(
        name="power",
        title="How many samples certify the loss?",
        caption=f"A loss below {max_loss:g} at risk {risk:g}, by the exact binomial tail, at the "
        "numbers of samples where one more harmful sample is allowed.",
        alt=f"Chance to certify against the number of samples, for expected harms of {harms}.",
        draw=draw,
    )


def coverage_plot(expected: Sequence[Expected], run: str) -> Plot:
    """Coverage of the certified threshold against the number of samples."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        sizes = [one.samples for one in expected]
        axes.fill_between(
            sizes,
            [one.coverage_low for one in expected],
            [one.coverage_high for one in expected],
            color=COLOURS[0],
            alpha=0.2,
            label="8 of 10 runs",
        )
        axes.plot(sizes, [one.coverage for one in expected], label="median", **series(0))
        axes.set_xlabel("samples of the calibration run")
        axes.set_ylabel("coverage at the certified threshold")
        percent_axis(axes.yaxis)
        legend_above(figure, axes)

    return Plot(
        name="expected_coverage",
        title="What coverage to expect?",
        caption=f"Calibration runs drawn from {run}, whole clusters with replacement.",
        alt="Coverage of the certified threshold against the samples of the calibration run.",
        draw=draw,
    )
