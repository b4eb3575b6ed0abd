"""Accuracy against predicted speedup, a line for each gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from speceyes_cli.analysis.figures.style import INK, Plot, legend_above, percent_axis, series
from speceyes_cli.analysis.replay import FrontierPoint, Replayed

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase as Figure


def frontier_plot(frontiers: Mapping[str, Sequence[FrontierPoint]], chosen: Replayed) -> Plot:
    """Every gate's frontier, from the agent alone at the left end, and the run's choice marked."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, (gate, points) in enumerate(frontiers.items()):
            across = [point.speedup for point in points]
            axes.plot(across, [point.accuracy for point in points], label=gate, **series(place))
        if chosen.speedup is not None:
            label = f"{chosen.gate} > {chosen.threshold:g}"
            axes.plot(chosen.speedup, chosen.accuracy, "o", color=INK, label=label)
        axes.set_xlabel("predicted speedup over the agent alone (×)")
        axes.set_ylabel("accuracy")
        percent_axis(axes.yaxis)
        legend_above(figure, axes, columns=4)

    return Plot(
        name="frontier",
        title="What each gate would give",
        caption=f"K = {chosen.top_k}, n = {chosen.n}; each line runs over all thresholds of its "
        "gate. The dot is the run's own choice."
        + (" Times rest on calls replayed from the cache." if chosen.cached else ""),
        alt=f"Accuracy against predicted speedup for the gates {', '.join(frontiers)}.",
        draw=draw,
    )
