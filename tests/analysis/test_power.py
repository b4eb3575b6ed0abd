from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from speceyes_cli.analysis.calibration import smallest_n
from speceyes_cli.analysis.figures.power import coverage_plot, power_plot
from speceyes_cli.analysis.figures.style import render
from speceyes_cli.analysis.power import (
    chance_to_certify,
    check_harm,
    critical_sizes,
    expect,
    samples_needed,
)
from speceyes_cli.analysis.scores import acceptable, confidences
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.scores import min_score
from tests.analysis.conftest import MakeRun, Spec


@pytest.mark.parametrize(("max_loss", "risk"), [(0.02, 0.1), (0.01, 0.05), (0.3, 0.2)])
def test_each_further_harmful_sample_asks_for_more(max_loss: float, risk: float) -> None:
    sizes = [size for size, _ in zip(critical_sizes(max_loss, risk), range(20), strict=False)]
    assert sizes[0] == (smallest_n(max_loss, risk), 0)
    for n, harmful in sizes:
        assert binom.cdf(harmful, n, max_loss) <= risk < binom.cdf(harmful, n - 1, max_loss)


def test_the_chance_is_what_draws_show() -> None:
    generator = np.random.default_rng(3)
    n, harm, max_loss, risk = 400, 0.008, 0.02, 0.1
    harmful = generator.binomial(n, harm, 20_000)
    passed = (binom.cdf(harmful, n, max_loss) <= risk).mean()
    assert chance_to_certify(n, harm, max_loss, risk) == pytest.approx(passed, abs=0.015)


@pytest.mark.parametrize("harm", [0.0, 0.0025, 0.005, 0.01])
def test_the_samples_needed_are_the_least(harm: float) -> None:
    needed = samples_needed(harm, 0.02, 0.1)
    for chance, n in needed.samples.items():
        assert n is not None
        assert chance_to_certify(n, harm, 0.02, 0.1) >= chance
        assert all(
            chance_to_certify(fewer, harm, 0.02, 0.1) < chance for fewer in range(max(1, n - 60), n)
        )
    assert samples_needed(0.0, 0.02, 0.1).samples[0.9] == 114


def test_more_than_is_searched_for() -> None:
    needed = samples_needed(0.00999, 0.01, 0.1)
    assert needed.samples[0.9] is None
    assert render(power_plot([needed], 0.01, 0.1)).png


@pytest.mark.parametrize("harm", [-0.1, 0.02, 0.5, float("nan")])
def test_a_harm_that_no_run_certifies(harm: float) -> None:
    with pytest.raises(UsageError, match="--harm is a share from 0 to below"):
        check_harm(harm, 0.02)


@pytest.fixture
def pilot(make_run: MakeRun) -> ScoreTable:
    specs = [
        Spec(0.5 + i / 800, draft_right=i > 100 or i % 3 > 0, cluster=f"c{i // 2}")
        for i in range(300)
    ]
    return read_table(make_run(specs))


def test_larger_runs_certify_more(pilot: ScoreTable) -> None:
    values = acceptable(pilot, confidences(pilot, min_score))
    few, some, many = expect(pilot, values, (0.05, 0.1), (40, 200, 1_000))
    assert (few.certified, few.coverage) == (0.0, 0.0)  # 20 clusters cannot
    assert 0 < some.coverage <= many.coverage < 0.9
    assert many.certified == 1.0
    assert many.coverage_low <= many.coverage <= many.coverage_high
    assert render(coverage_plot([few, some, many], "pilot")).png
