"""Accuracy against predicted speedup, a line for each gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from speceyes_cli.analysis.replay import FrontierPoint, Replayed

_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""Told apart without colour."""


def frontier_figure(frontiers: Mapping[str, Sequence[FrontierPoint]], chosen: Replayed) -> Figure:
    """Every gate's frontier, from the agent alone at the left end, and the run's choice marked."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes: Any = figure.add_subplot()
    for place, (gate, points) in enumerate(frontiers.items()):
        axes.plot(
            [point.speedup for point in points],
            [100 * point.accuracy for point in points],
            label=gate,
            linestyle=_LINES[place % len(_LINES)],
        )
    if chosen.speedup is not None:
        label = f"{chosen.gate} > {chosen.threshold:g}"
        axes.plot(chosen.speedup, 100 * chosen.accuracy, "o", color="black", label=label)
    axes.set_xlabel("predicted speedup over the agent alone (×)")
    axes.set_ylabel("accuracy (%)")
    axes.legend(frameon=False)
    caption = f"K = {chosen.top_k}, n = {chosen.n}; each line runs over all thresholds of its gate."
    figure.supxlabel(caption, fontsize=8, color="0.35")
    return figure


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure as PNG and SVG into a folder, which is made; the two files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png", folder / f"{name}.svg"]
    for file in files:
        figure.savefig(file, dpi=200)
    return files
