from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import speceyes_cli.core.tables
from speceyes_cli.analysis.ablation import AXES, find_curves
from speceyes_cli.analysis.figures.ablation import ablation_plots
from speceyes_cli.analysis.figures.style import render
from speceyes_cli.analysis.published import published_curves
from speceyes_cli.core.errors import DataError
from tests.analysis.conftest import Spec, run_of

SPECS = [Spec(0.96 + place / 500, draft_right=place % 3 > 0) for place in range(12)]
BASELINE = run_of(
    [Spec(passed=False, seconds=(0.0, 0.0, 3.0)) for _ in range(12)],
    Path("base"),
    method="baseline",
    small=None,
    gate=None,
    top_k=None,
    threshold=None,
    batch_size=1,
)


def test_a_line_goes_through_runs_that_differ_in_one_thing() -> None:
    runs = [run_of(SPECS, Path(str(t)), threshold=t, batch_size=1) for t in (0.98, 0.95, 0.97)]
    runs.append(run_of(SPECS, Path("k"), threshold=0.9, top_k=32))
    [curve] = find_curves(runs, [BASELINE])
    assert curve.axis == "threshold"
    assert [point.value for point in curve.points] == [0.95, 0.97, 0.98]
    assert all(point.speedup is not None and point.speedup > 1 for point in curve.points)
    assert curve.baseline_accuracy == 1.0
    assert [point.n for point in curve.points] == [12, 12, 12]


def test_runs_with_one_value_are_all_points() -> None:
    runs = [run_of(SPECS, Path(name), threshold=t) for name, t in (("a", 0.98), ("b", 0.95))]
    runs.append(run_of(SPECS[:6], Path("again"), threshold=0.95))
    [curve] = find_curves(runs, [])
    assert [(point.value, point.n) for point in curve.points] == [(0.95, 12), (0.95, 6), (0.98, 12)]
    with pytest.raises(DataError, match="No two of the runs named"):
        find_curves(runs[1:], [])


def test_the_agent_alone_is_that_of_the_same_samples() -> None:
    longer = [Spec(passed=False, agent_right=place < 12) for place in range(24)]
    baseline = run_of(longer, Path("longer"), **BASELINE.info.config.model_dump())
    runs = [run_of(SPECS, Path(str(t)), threshold=t, batch_size=1) for t in (0.98, 0.95)]
    [curve] = find_curves(runs, [baseline])
    assert curve.baseline_accuracy == 1.0


def test_batch_sizes_are_measured_against_the_smallest_baseline() -> None:
    runs = [run_of(SPECS, Path(str(size)), batch_size=size) for size in (1, 4, 8)]
    [curve] = find_curves(runs, [BASELINE])
    assert curve.axis == "batch_size"
    assert all(point.speedup == curve.points[0].speedup for point in curve.points)
    assert curve.points[0].speedup is not None


def test_runs_that_vary_nothing_alone_are_told_so() -> None:
    runs = [run_of(SPECS), run_of(SPECS, Path("other"), threshold=0.9, top_k=32)]
    with pytest.raises(DataError, match=r"No two of the runs named \(2\) differ"):
        find_curves(runs, [])


@pytest.mark.parametrize("axis", AXES)
def test_the_published_points_are_the_papers(axis: str) -> None:
    tables = tomllib.loads(Path(speceyes_cli.core.tables.__path__[0], "paper.toml").read_text())
    curves = published_curves(axis, "vstar")  # type: ignore[arg-type]
    assert curves
    assert all(curve.published for curve in curves)
    speedups = [point.speedup for point in curves[0].points]
    expected = {
        "threshold": list(
            reversed(tables["sweep"]["deepeyes"]["vstar"]["direct_attributes"]["speedup"][1:])
        ),
        "top_k": tables["top_k"]["deepeyes"]["vstar"]["direct_attributes"]["speedup"],
        "batch_size": tables["batch"]["deepeyes"]["pope"]["adversarial"],
        "gate": sorted(
            tables["deepeyes"][g]["speedup"][0] for g in ("min", "mean", "log", "bottom20")
        ),
    }[axis]
    assert (sorted(speedups) if axis == "gate" else speedups) == expected  # type: ignore[type-var]


def test_a_figure_is_told_in_words_and_drawn() -> None:
    gates = [run_of(SPECS, Path(gate), gate=gate) for gate in ("min", "$mean")]
    curves = find_curves(gates, []) + published_curves("gate", "dots")
    [plot] = ablation_plots(curves)
    assert "n = 12 samples" in plot.caption
    assert "min: " in plot.alt
    drawn = render(plot)
    assert drawn.png.startswith(b"\x89PNG")
    assert "$mean" in drawn.svg
    assert drawn.png == render(plot).png
