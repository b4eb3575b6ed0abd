"""What every figure promises: nothing outside the picture, no two series alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from speceyes_cli.analysis.ablation import Curve, Point, find_curves
from speceyes_cli.analysis.figures.ablation import ablation_plots
from speceyes_cli.analysis.figures.frontier import frontier_plot
from speceyes_cli.analysis.figures.style import draw_figure, legend_above, legends_of, series
from speceyes_cli.analysis.published import published_curves
from speceyes_cli.analysis.replay import FrontierPoint, ReplaySetting, baseline_seconds, replay
from speceyes_cli.analysis.table import read_table
from tests.analysis.conftest import Spec, run_of
from tests.analysis.test_ablation import BASELINE, SPECS


def curves(count: int, label: str) -> list[Curve]:
    return [
        Curve(
            axis="threshold",
            label=label.replace("{}", str(place)),
            points=tuple(
                Point(value=value, run="r", n=9, accuracy=0.5 + place / 100, speedup=1 + place)
                for value in (0.9, 0.95, 0.98)
            ),
        )
        for place in range(count)
    ]


@pytest.mark.parametrize(
    "label", ["split {}", "relative_position, speceyes, K 64, small a/b/{}" * 3]
)
@pytest.mark.parametrize("count", [1, 3, 7, 13, 24])
def test_every_legend_is_inside_and_leaves_room(count: int, label: str) -> None:
    [plot] = ablation_plots(curves(count, label))
    figure = draw_figure(plot, whole=True)
    figure.draw_without_rendering()
    [legend] = legends_of(figure)
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0
    assert box.x1 <= whole.x1
    assert whole.y0 <= box.y0
    assert box.y1 <= whole.y1
    assert len(legend.get_texts()) == count
    figure.draw_without_rendering()
    assert all(one.get_window_extent().height > 60 for one in figure.axes)


def test_no_two_series_look_alike() -> None:
    looks = [series(place, markers=True) for place in range(40)]
    assert len({to_hex(look["color"]) for look in looks}) == 40
    assert len({str(look["marker"]) for look in looks}) == 40


def test_the_papers_points_have_colours_of_their_own() -> None:
    runs = [run_of(SPECS, Path(str(t)), threshold=t) for t in (0.9, 0.98)]
    found = find_curves(runs, []) + published_curves("threshold", "vstar")
    [plot] = ablation_plots(found)
    accuracy = draw_figure(plot, whole=True).axes[0]
    colours = [to_hex(bars.lines[0].get_color()) for bars in accuracy.containers]
    assert len(set(colours)) == len(colours) == len(found)


def test_cached_speedups_are_marked() -> None:
    points = tuple(
        Point(value=t, run="r", n=4, accuracy=1.0, speedup=2.0, speedup_cached=t < 0.95)
        for t in (0.9, 0.98)
    )
    [plot] = ablation_plots([Curve(axis="threshold", label="test", points=points)])
    assert "replayed from the cache" in plot.caption
    assert plot.alt.count("replayed from the cache") == 1
    axes = draw_figure(plot, whole=True).axes
    assert [text.get_text() for one in axes for text in one.texts].count("*") == 1


def test_batch_sizes_stand_beside_the_serial_agent() -> None:
    runs = [run_of(SPECS, Path(str(size)), batch_size=size) for size in (1, 16, 4)]
    [curve] = find_curves(runs, [BASELINE])
    assert curve.reference == 1
    [plot] = ablation_plots([curve, *published_curves("batch_size", "pope")])
    assert "agent alone at batch size 1" in plot.caption
    figure = draw_figure(plot, whole=True)
    [legend] = legends_of(figure)
    assert len(legend.get_texts()) == 1 + 3, "the paper gives speedups alone"
    axes = figure.axes[-1]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks[:3] == ["serial", "1", "2"]
    assert ticks[-1] == "16"
    assert any("serial" in text.get_text() for text in axes.texts)


def test_the_frontier_begins_where_data_is() -> None:
    table = read_table(run_of([Spec(0.99), Spec(0.5)]))
    chosen = replay(
        table, [0.99, 0.5], ReplaySetting("min", 64, 0.98), baseline_seconds(table, None)
    )
    points = [FrontierPoint(0.9, 0.1 * n, 0.7 + n / 50, 2.0 + n / 5) for n in range(6)]
    figure = draw_figure(frontier_plot({"min": points}, chosen), whole=True)
    [axes] = figure.axes
    low, high = axes.get_xlim()
    known = [point.speedup for point in points] + [chosen.speedup or 2.0]
    spread = max(known) - min(known)
    assert min(known) - 0.1 * spread <= low <= min(known)
    assert max(known) <= high <= max(known) + 0.1 * spread


def test_a_legend_without_series_is_none() -> None:
    figure = Figure()
    legend_above(figure, figure.add_subplot())
    assert figure.legends == []
