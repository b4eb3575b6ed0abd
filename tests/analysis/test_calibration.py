"""The guarantee, tried on draws whose truth is known."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from speceyes_cli.analysis.calibration import (
    Unit,
    certify,
    check_levels,
    gather_units,
    grid,
    smallest_n,
)
from speceyes_cli.core.errors import DataError, UsageError

MAX_LOSS, RISK = 0.05, 0.10
DRAWS = 400
WORST = 0.3
"""Harm at confidence 0; it falls in a line to none at 1."""
SURE_OF_ITSELF = 1e-4
"""Chance that a correct procedure fails a test by bad luck, were its seed not fixed."""


def true_harm(threshold: float) -> float:
    """P(confidence > threshold, harmful) where confidence is uniform."""
    return WORST * (1 - threshold) ** 2 / 2


def draw(generator: np.random.Generator, clusters: int, size: int) -> list[tuple[str, float, bool]]:
    """Samples whose clusters share confidence and harm: as dependent as can be."""
    values = generator.uniform(size=clusters)
    harmful = generator.uniform(size=clusters) < WORST * (1 - values)
    return [(f"c{i}", values[i], bool(harmful[i])) for i in range(clusters) for _ in range(size)]


def broken_promises(clusters: int, size: int, *, by_cluster: bool = True) -> int:
    """Of so many calibrations, those whose threshold does more harm than promised."""
    generator = np.random.default_rng(7)
    broken = 0
    for _ in range(DRAWS):
        samples = draw(generator, clusters, size)
        if not by_cluster:
            samples = [(f"{i}", value, harm) for i, (_, value, harm) in enumerate(samples)]
        found = certify(gather_units(samples), MAX_LOSS, RISK)
        assert found is not None
        broken += true_harm(found.threshold) > MAX_LOSS
    return broken


@pytest.mark.parametrize(("clusters", "size"), [(300, 1), (100, 1), (150, 6)])
def test_the_promise_is_broken_no_more_often_than_the_risk(clusters: int, size: int) -> None:
    broken = broken_promises(clusters, size)
    assert broken <= binom.ppf(1 - SURE_OF_ITSELF, DRAWS, RISK)
    assert broken >= 0.1 * RISK * DRAWS  # nor is it kept by accepting next to nothing


def test_taking_dependent_samples_for_independent_breaks_it() -> None:
    broken = broken_promises(150, 6, by_cluster=False)
    assert broken > binom.ppf(1 - SURE_OF_ITSELF, DRAWS, RISK)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("max_loss", "risk"), [(0.02, 0.1), (0.05, 0.1), (0.1, 0.05)])
def test_it_agrees_with_an_independent_implementation(
    seed: int, max_loss: float, risk: float
) -> None:
    risk_control = pytest.importorskip("mapie.risk_control")
    # A power of two: it rounds n * (harmful / n) up, which must be exact.
    samples = draw(np.random.default_rng(seed), 512, 1)
    values = np.array([value for _, value, _ in samples]).reshape(-1, 1)
    harmful = np.array([harm for *_, harm in samples], dtype=int)
    harm = risk_control.BinaryRisk(
        risk_occurrence=lambda truth, accepted: (accepted == 1) & (truth == 1),
        risk_condition=lambda truth, accepted: np.ones_like(accepted, dtype=bool),  # noqa: ARG005
        higher_is_better=False,
    )
    controller = risk_control.BinaryClassificationController(
        predict_function=lambda x: np.hstack([1 - x, x]),
        risk=harm,
        target_level=max_loss,
        confidence_level=1 - risk,
        best_predict_param_choice=risk_control.predicted_positive_fraction,
        list_predict_params=np.array(grid()),
        fwer_method="fixed_sequence",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        controller.calibrate(values, harmful)
    found = certify(gather_units(samples), max_loss, risk)
    assert found is not None
    assert found.threshold == min(controller.valid_predict_params)


def test_the_tail_is_the_exact_binomial() -> None:
    units = [Unit(1, 0.95)] * 3 + [Unit(1, -math.inf)] * 297
    found = certify(units, 0.05, 0.1)
    assert found is not None
    assert (found.threshold, found.harmful, found.n) == (0.0, 3, 300)
    tail = sum(math.comb(300, i) * 0.05**i * 0.95 ** (300 - i) for i in range(4))
    assert found.p_value == pytest.approx(tail)


def test_it_stops_where_the_harm_begins() -> None:
    units = [Unit(1, 0.9415)] * 30 + [Unit(1, -math.inf)] * 270
    found = certify(units, 0.02, 0.1)
    assert found is not None
    assert found.threshold == 0.942
    assert found.harmful == 0


def test_a_cluster_is_harmful_where_any_of_its_samples_is() -> None:
    units = gather_units([("a", 0.9, False), ("a", 0.4, True), ("a", 0.7, True), ("b", 0.9, False)])
    assert units == [Unit(3, 0.7), Unit(1, -math.inf)]


@pytest.mark.parametrize(
    ("max_loss", "risk", "n"), [(0.01, 0.1, 230), (0.01, 0.05, 299), (0.02, 0.1, 114)]
)
def test_the_smallest_n(max_loss: float, risk: float, n: int) -> None:
    assert smallest_n(max_loss, risk) == n
    assert (1 - max_loss) ** n <= risk < (1 - max_loss) ** (n - 1)
    certified = certify([Unit(1, -math.inf)] * n, max_loss, risk)
    assert certified is not None
    with pytest.raises(DataError, match=f"at least {n} are needed"):
        certify([Unit(1, -math.inf)] * (n - 1), max_loss, risk)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_levels_that_are_no_probability(level: float) -> None:
    check_levels(0.02, 0.1)
    with pytest.raises(UsageError, match="--max-loss is a probability"):
        check_levels(level, 0.1)
    with pytest.raises(UsageError, match="--risk is a probability"):
        check_levels(0.02, level)


def test_the_grid_falls_from_one_to_zero_in_readable_steps() -> None:
    values = grid()
    assert (values[0], values[-1]) == (1.0, 0.0)
    assert all(above > below for above, below in pairwise(values))
    assert {0.995, 0.99, 0.98, 0.97, 0.5} <= set(values)
