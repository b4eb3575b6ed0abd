"""Every way to certify, tried on draws whose truth is known: a thousand calibration runs each.

A promise may be broken in a share `RISK` of the runs; a test allows for the chance of a thousand
draws, and asks that bounds which must hold are not kept by accepting next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.stats import binom

from speceyes_cli.analysis.calibration import Unit, certify
from speceyes_cli.analysis.certified_points import Cost, Levels, Measure, choose, find_points
from speceyes_cli.analysis.learned.fitting import Example, fit
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.gate.learned import LogisticScore, feature_values
from speceyes_cli.core.gate.token import FIGURES, TokenScore
from tests.run_config import CONFIG

pytestmark = pytest.mark.slow

DRAWS = 1_000
MAX_LOSS, RISK = 0.05, 0.10
LEVELS = Levels((MAX_LOSS,), RISK)
WORST = 0.3
"""Harm at confidence 0; it falls in a line to none at 1."""
MOST_BROKEN = int(binom.ppf(1 - 1e-4, DRAWS, RISK))
"""A correct procedure has more broken promises once in ten thousand times, were no seed fixed."""

Random = np.random.Generator


def count_broken(broken: Callable[[Random], bool]) -> int:
    generator = np.random.default_rng(11)
    return sum(broken(generator) for _ in range(DRAWS))


def true_harm(threshold: float) -> float:
    """P(confidence > threshold, harmful) where confidence is uniform."""
    return WORST * (1 - threshold) ** 2 / 2


def units_of(values: np.ndarray, harmful: np.ndarray, sizes: np.ndarray) -> list[Unit]:
    """Clusters whose samples share confidence and harm: as dependent as can be."""
    return [
        Unit(size, (value,) * size if harms else ())
        for value, harms, size in zip(
            values.tolist(), harmful.tolist(), sizes.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize(("clusters", "size"), [(300, 1), (150, 6)])
def test_units_of_one_size(clusters: int, size: int) -> None:
    def broken(generator: Random) -> bool:
        values = generator.uniform(size=clusters)
        harmful = generator.uniform(size=clusters) < WORST * (1 - values)
        found = certify(units_of(values, harmful, np.full(clusters, size)), MAX_LOSS, RISK)
        assert found is not None
        return true_harm(found.threshold) > MAX_LOSS

    assert 0.1 * RISK * DRAWS <= count_broken(broken) <= MOST_BROKEN


SIZES = np.array([1, 1, 1, 2, 3, 8])
WORST_BY_SIZE = {1: 0.1, 2: 0.2, 3: 0.3, 8: 0.6}
"""Large clusters do more harm: what a bound on the share of harmful clusters does not see."""


def true_sample_harm(threshold: float) -> float:
    weights = sum(size * WORST_BY_SIZE[size] for size in SIZES.tolist()) / SIZES.sum()
    return float(weights) * (1 - threshold) ** 2 / 2


def draw_unequal(generator: Random, clusters: int) -> list[Unit]:
    sizes = generator.choice(SIZES, size=clusters)
    values = generator.uniform(size=clusters)
    worst = np.array([WORST_BY_SIZE[size] for size in sizes.tolist()])
    harmful = generator.uniform(size=clusters) < worst * (1 - values)
    return units_of(values, harmful, sizes)


def test_units_of_different_sizes() -> None:
    accepted = []

    def broken(generator: Random) -> bool:
        found = certify(draw_unequal(generator, 400), MAX_LOSS, RISK)
        accepted.append(0.0 if found is None else 1 - found.threshold)
        return found is not None and true_sample_harm(found.threshold) > MAX_LOSS

    assert count_broken(broken) <= MOST_BROKEN
    best = math.sqrt(2 * MAX_LOSS / true_sample_harm(0) / 2)  # where the harm is at the bound
    assert np.median(accepted) > 0.4 * best


def test_a_bound_on_clusters_would_not_bound_the_samples() -> None:
    def broken(generator: Random) -> bool:
        units = [Unit(1, unit.harmful[:1]) for unit in draw_unequal(generator, 400)]
        found = certify(units, MAX_LOSS, RISK)
        return found is not None and true_sample_harm(found.threshold) > MAX_LOSS

    assert count_broken(broken) > MOST_BROKEN


GATES = 6
FLAT = 0.1
"""Harm of every draft under gates that know nothing."""


def table_of(harmful: np.ndarray, seconds: float = 1.0) -> ScoreTable:
    samples = tuple(
        ScoredSample(
            sample_id=str(number),
            split="test",
            category=None,
            cluster=str(number),
            picture_digest=None,
            route="large",
            right=True,
            passed_screen=None,
            draft=None,
            draft_right=not harms,
            agent_right=True,
            seconds={"draft": 0.1, "agent": seconds},
        )
        for number, harms in enumerate(harmful.tolist())
    )
    return ScoreTable("drawn", CONFIG, samples, errors=0, undecided=0)


def blind_gates(generator: Random, n: int) -> tuple[ScoreTable, Mapping[Measure, list[float]]]:
    """Gates that order the same drafts at random: the best of them is best by luck."""
    harmful = generator.uniform(size=n) < FLAT
    values = {Measure(f"g{i}", 64): generator.uniform(size=n).tolist() for i in range(GATES)}
    return table_of(harmful), values


def blind_harm(threshold: float) -> float:
    return FLAT * (1 - threshold)


def test_the_best_of_several_gates() -> None:
    def broken(generator: Random) -> bool:
        table, candidates = blind_gates(generator, 300)
        point = choose(find_points(table, candidates, LEVELS), LEVELS, None)
        return blind_harm(point.threshold) > MAX_LOSS

    assert count_broken(broken) <= MOST_BROKEN


def test_the_best_of_several_gates_without_a_correction_breaks_it() -> None:
    def broken(generator: Random) -> bool:
        table, candidates = blind_gates(generator, 300)
        points = [
            point
            for measure, values in candidates.items()
            for point in find_points(table, {measure: values}, LEVELS)
        ]
        return blind_harm(choose(points, LEVELS, None).threshold) > MAX_LOSS

    assert count_broken(broken) > MOST_BROKEN


def test_all_points_of_a_frontier_hold_together() -> None:
    levels = Levels((0.03, 0.05, 0.08), RISK)

    def broken(generator: Random) -> bool:
        table, candidates = blind_gates(generator, 300)
        two = dict(list(candidates.items())[:2])
        points = find_points(table, two, levels)
        return any(blind_harm(point.threshold) > point.max_loss for point in points)

    assert count_broken(broken) <= MOST_BROKEN


def test_the_cheapest_of_what_is_certified() -> None:
    cost = Cost(wrong=5.0, second=1.0)

    def broken(generator: Random) -> bool:
        values = generator.uniform(size=300)
        harmful = generator.uniform(size=300) < WORST * (1 - values)
        points = find_points(table_of(harmful), {Measure("g", 64): values.tolist()}, LEVELS, cost)
        return true_harm(choose(points, LEVELS, cost).threshold) > MAX_LOSS

    assert count_broken(broken) <= MOST_BROKEN


def draw_drafts(generator: Random, n: int) -> tuple[list[list[TokenScore]], np.ndarray]:
    """Drafts of one token whose two informative statistics share the truth between them."""
    gap, sure = generator.normal(size=(2, n))
    right = generator.uniform(size=n) < 1 / (1 + np.exp(-(1.5 * gap + 1.5 * sure + 1.5)))
    tokens = [
        [TokenScore(10 + a, math.log1p(-0.5 / (1 + math.exp(b))), abs(c), 1.0)]
        for a, b, c in zip(
            gap.tolist(), sure.tolist(), generator.normal(size=n).tolist(), strict=True
        )
    ]
    return tokens, right


def test_a_learned_gate_certified_on_what_it_never_saw() -> None:
    large = np.random.default_rng(5)
    population, right = draw_drafts(large, 20_000)
    names = ("least_separability", "mean_separability", "least_log_odds", "draft_log_odds")
    features = {
        name: np.array([feature_values([name], one) for one in population])[:, 0]
        for name in (*names, "least_margin", "mean_margin")
    }

    def broken(generator: Random) -> bool:
        tokens, verdicts = draw_drafts(generator, 300)
        examples = [Example(one, bool(r)) for one, r in zip(tokens, verdicts, strict=True)]
        model = fit(examples[:100], FIGURES, "the draw")
        score = LogisticScore(model.intercept, model.coefficients)
        values = [score(one) for one in tokens[100:]]
        found = find_points(table_of(~verdicts[100:]), {Measure("learned", 64): values}, LEVELS)
        odds = sum(features[name] * weight for name, weight in model.coefficients.items())
        sure = 1 / (1 + np.exp(-(odds + model.intercept)))
        return bool(((sure > found[0].threshold) & ~right).mean() > MAX_LOSS)

    assert count_broken(broken) <= MOST_BROKEN
