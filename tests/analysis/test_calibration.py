"""The guarantee, tried on draws whose truth is known."""

from __future__ import annotations

import itertools
import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom

from speceyes_cli.analysis.calibration import (
    Unit,
    certify,
    check_levels,
    examine,
    gather_units,
    grid,
    smallest_n,
    wealth,
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


def test_taking_dependent_samples_for_independent_breaks_it() -> None:
    generator = np.random.default_rng(7)
    broken = 0
    for _ in range(DRAWS):
        samples = draw(generator, clusters=150, size=6)
        alone = [(f"{i}", value, harm) for i, (_, value, harm) in enumerate(samples)]
        found = certify(gather_units(alone), MAX_LOSS, RISK)
        assert found is not None
        broken += true_harm(found.threshold) > MAX_LOSS
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
    units = [Unit(1, (0.95,))] * 3 + [Unit(1, ())] * 297
    found = certify(units, 0.05, 0.1)
    assert found is not None
    assert (found.threshold, found.harmful, found.n) == (0.0, 3, 300)
    tail = sum(math.comb(300, i) * 0.05**i * 0.95 ** (300 - i) for i in range(4))
    assert found.p_value == pytest.approx(tail)


def test_it_stops_where_the_harm_begins() -> None:
    units = [Unit(1, (0.9415,))] * 30 + [Unit(1, ())] * 270
    found = certify(units, 0.02, 0.1)
    assert found is not None
    assert found.threshold == 0.942
    assert found.harmful == 0


def test_a_cluster_is_harmful_where_any_of_its_samples_is() -> None:
    units = gather_units([("a", 0.9, False), ("a", 0.4, True), ("a", 0.7, True), ("b", 0.9, False)])
    assert units == [Unit(3, (0.4, 0.7)), Unit(1, ())]


@pytest.mark.parametrize(
    ("max_loss", "risk", "n"), [(0.01, 0.1, 230), (0.01, 0.05, 299), (0.02, 0.1, 114)]
)
def test_the_smallest_n(max_loss: float, risk: float, n: int) -> None:
    assert smallest_n(max_loss, risk) == n
    assert (1 - max_loss) ** n <= risk < (1 - max_loss) ** (n - 1)
    certified = certify([Unit(1, ())] * n, max_loss, risk)
    assert certified is not None
    with pytest.raises(DataError, match=f"at least {n} are needed"):
        certify([Unit(1, ())] * (n - 1), max_loss, risk)


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


def test_clusters_of_different_sizes_are_bounded_by_samples() -> None:
    clean = [Unit(size, ()) for size in (1, 2, 3, 6) * 100]
    found = certify(clean, 0.02, 0.1)
    assert found is not None
    assert (found.threshold, found.test, found.n) == (0.0, "betting", 400)
    one_of_six = [Unit(6, (0.9,)), *clean[:-1]]
    all_of_six = [Unit(6, (0.9,) * 6), *clean[:-1]]
    tests = [examine(units, 0.02)(0.5).p_value for units in (clean, one_of_six, all_of_six)]
    assert tests == sorted(tests)
    assert tests[1] < tests[2] / 2  # five of its six samples do no harm


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=6),
    st.integers(1, 4),
)
def test_no_bet_is_expected_to_win_where_the_harm_is_at_the_bound(
    population: list[tuple[int, int]], n: int
) -> None:
    clusters = [(size, min(size, harmful)) for size, harmful in population]
    bound = sum(harmful for _, harmful in clusters) / sum(size for size, _ in clusters)
    assume(0.01 < bound < 0.9)
    largest = max(size for size, _ in clusters)
    drawn = [
        wealth(
            np.array([harmful for _, harmful in draw]),
            np.array([size for size, _ in draw]),
            largest,
            bound,
        )
        for draw in itertools.product(clusters, repeat=n)
    ]
    assert np.mean(drawn) <= 1 + 1e-9


def test_too_few_clusters_of_different_sizes() -> None:
    units = [Unit(size, ()) for size in (1, 6) * 20]
    with pytest.raises(DataError, match="140 samples in 40 clusters of up to 6 cannot certify"):
        certify(units, 0.02, 0.1)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.lists(st.floats(0, 1), max_size=4)), min_size=1, max_size=9
    ),
    st.floats(0.05, 0.6),
)
def test_the_p_value_only_grows_as_the_threshold_loosens(
    rows: list[tuple[int, list[float]]], max_loss: float
) -> None:
    units = [Unit(size, tuple(values[:size])) for size, values in rows]
    test_at = examine(units, max_loss)
    values = [test_at(threshold).p_value for threshold in grid()[::50]]
    assert all(later >= before for before, later in pairwise(values))


def test_a_threshold_above_all_scores_stops_no_walk_and_spoils_holms_procedure() -> None:
    risk_control = pytest.importorskip("mapie.risk_control")
    samples = draw(np.random.default_rng(0), 512, 1)
    scores = np.array([value for _, value, _ in samples]).reshape(-1, 1)
    harmless = np.array([not harm for *_, harm in samples], dtype=int)

    def valid(thresholds: list[float], **options: str) -> list[float]:
        controller = risk_control.BinaryClassificationController(
            predict_function=lambda x: np.hstack([1 - x, x]),
            risk="precision",
            target_level=0.8,
            confidence_level=0.9,
            best_predict_param_choice="recall",
            list_predict_params=np.array(thresholds),
            **options,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's own
            controller.calibrate(scores, harmless)
        return sorted(np.asarray(controller.valid_predict_params).tolist())

    assert valid([0.5, 0.9]) == [0.5, 0.9]
    assert valid([1.5, 0.5, 0.9]) == []
    assert valid([1.5, 0.9, 0.5], fwer_method="fixed_sequence") == [0.5, 0.9]
    found = certify(gather_units(samples), 0.2, 0.1)
    assert found is not None
    assert found.threshold < 0.5 < max(scores) < grid()[0]
