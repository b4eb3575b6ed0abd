from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from speceyes_cli.analysis.confidence import (
    GateFigures,
    analyze_gate,
    analyze_gates,
    judged_drafts,
)
from speceyes_cli.analysis.scores import acceptable, confidences
from speceyes_cli.analysis.table import read_table
from speceyes_cli.analysis.ties import clearances, diagnose_run, tie_confidence
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.scores import min_score
from tests.analysis.conftest import MakeRun, Spec, run_of

TABLE = read_table(run_of([Spec()]))
SCORES = {"min": min_score}
MIXED = [Spec(0.5 + place / 50, draft_right=place % 4 > 0) for place in range(24)]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40))
def test_areas_agree_with_counting_pairs_and_prefixes(drafts: list[tuple[int, bool]]) -> None:
    right = [ok for _, ok in drafts]
    assume(len(set(right)) == 2)
    assume(len({value for value, _ in drafts}) > 1)
    values = [value / 10 for value, _ in drafts]
    found = analyze_gate(TABLE, "min", values, right).figures
    ups = [v for v, ok in zip(values, right, strict=True) if ok]
    downs = [v for v, ok in zip(values, right, strict=True) if not ok]
    expected = mannwhitneyu(ups, downs).statistic / (len(ups) * len(downs))
    assert found.auroc == pytest.approx(expected)
    assert found.auroc_low <= found.auroc <= found.auroc_high
    # Shuffled ties average out to the expected risk, which AURC reports.
    generator = np.random.default_rng(0)
    areas = []
    for _ in range(300):
        order = np.lexsort((generator.random(len(values)), -np.array(values)))
        wrong = ~np.array(right)[order]
        areas.append((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())
    assert found.aurc == pytest.approx(float(np.mean(areas)), abs=0.06)
    assert found.aurc_best <= found.aurc + 1e-12


def test_a_perfect_score() -> None:
    right = [False] * 10 + [True] * 30
    values = [0.1 + place / 100 for place in range(40)]
    found = analyze_gate(TABLE, "min", values, right)
    assert found.figures.auroc == 1.0
    assert found.figures.aurc == pytest.approx(found.figures.aurc_best)
    assert found.figures.mode_distance > 0
    above = next(row for row in found.figures.above if row.threshold == 0.5)
    assert above.n == 0
    assert above.accuracy is None
    grid, density = found.curves.right
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=0.02)
    assert all(later >= before - 1e-9 for before, later in pairwise(found.curves.rolling[1]))


def test_undefined_scores_are_left_out_and_counted() -> None:
    found = analyze_gate(TABLE, "min", [0.1, 0.9, math.nan, 0.8], [False, True, True, False])
    assert found.figures.n == 3
    assert found.figures.n_right == 1


def test_bins_are_of_equal_size_and_bracketed() -> None:
    found = analyze_gates(read_table(run_of(MIXED)), SCORES)["min"].figures
    assert sum(row.n for row in found.calibration) == found.n == 24
    assert max(row.n for row in found.calibration) - min(row.n for row in found.calibration) <= 1
    assert all(row.accuracy_low <= row.accuracy <= row.accuracy_high for row in found.calibration)


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        ([Spec(0.5 + i / 50) for i in range(20)], "All judged drafts of .* are right"),
        ([Spec(0.5 + i / 50, draft_right=False) for i in range(20)], "are wrong"),
        ([Spec(0.9, draft_right=i % 2 > 0) for i in range(20)], "have the same min score, 0.9"),
        ([Spec(None, draft_right=i % 2 > 0) for i in range(20)], "no draft with a defined min"),
        ([Spec(0.5 + i / 40, one_branch=True) for i in range(20)], "judged .* of its 20 drafts"),
    ],
)
def test_what_cannot_be_told_is_said_in_one_sentence(specs: list[Spec], told: str) -> None:
    with pytest.raises(DataError, match=told):
        analyze_gates(read_table(run_of(specs)), SCORES)


def test_a_useless_gate_is_left_out_beside_a_good_one() -> None:
    table = read_table(run_of(MIXED))
    found = analyze_gates(table, {"flat": lambda _: 0.5, **SCORES})
    assert list(found) == ["min"]
    assert len(judged_drafts(table).right) == 24


def test_the_tie_diagnostic(make_run: MakeRun) -> None:
    # K = 64 with one tied rival is 0.991; at K = 44 a tie stays below.
    assert tie_confidence(64) == pytest.approx(0.991, abs=5e-4)
    assert tie_confidence(44) < 0.98 < tie_confidence(46)
    assert math.isnan(tie_confidence(2))
    table = read_table(make_run([Spec(0.99), Spec(0.9), Spec(None)]))
    values = confidences(table, min_score)
    found = diagnose_run(table, acceptable(table, values))
    assert found.passes
    assert (found.drafts, found.tied, found.accepted_nearly_tied) == (3, 0, 0)
    assert [tie.margin for tie in clearances(table, values)] == [1.0, 1.0]


def test_the_calibration_of_equal_confidences_does_not_depend_on_their_order() -> None:
    right = [place % 10 < 7 for place in range(150)] + [True] * 75 + [False] * 75
    values = [0.7] * 150 + [0.9] * 150
    straight = analyze_gate(TABLE, "min", values, right).figures
    turned = analyze_gate(TABLE, "min", values[::-1], right[::-1]).figures
    assert straight == turned
    assert [row.n for row in straight.calibration] == [150, 150]
    assert straight.calibration_error == pytest.approx((0.0 + 0.4) / 2)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=4, max_size=60),
    st.randoms(use_true_random=False),
)
def test_no_figure_depends_on_the_order_of_samples(
    drafts: list[tuple[int, bool]], mixing: random.Random
) -> None:
    assume(len({ok for _, ok in drafts}) == 2)
    assume(len({value for value, _ in drafts}) > 1)

    def figures(order: list[tuple[int, bool]]) -> GateFigures:
        values = [value / 10 for value, _ in order]
        return analyze_gate(TABLE, "min", values, [ok for _, ok in order]).figures

    assert figures(drafts) == figures(mixing.sample(drafts, len(drafts)))


def test_without_ties_the_bins_are_deciles() -> None:
    values = [0.5 + place / 1_000 for place in range(200)]
    found = analyze_gate(TABLE, "min", values, [place % 3 > 0 for place in range(200)]).figures
    assert [row.n for row in found.calibration] == [20] * 10


def test_the_debiased_error_of_true_confidences_is_near_zero() -> None:
    generator = np.random.default_rng(4)
    plain, debiased = [], []
    for _ in range(200):
        values = generator.uniform(0.5, 1.0, 300)
        right = generator.uniform(size=300) < values
        found = analyze_gate(TABLE, "min", values.tolist(), right.tolist()).figures
        plain.append(found.calibration_error)
        debiased.append(found.calibration_error_debiased)
    assert np.mean(plain) > 0.04
    assert np.mean(debiased) < 0.6 * np.mean(plain)


def test_the_debiased_error_keeps_what_is_really_wrong() -> None:
    generator = np.random.default_rng(5)
    values = generator.uniform(0.5, 1.0, 4_000)
    right = generator.uniform(size=4_000) < values - 0.2
    found = analyze_gate(TABLE, "min", values.tolist(), right.tolist()).figures
    assert found.calibration_error_debiased == pytest.approx(0.2, abs=0.02)


def test_the_rank_correlation_has_its_p() -> None:
    values = [0.5 + place / 100 for place in range(40)]
    knows = analyze_gate(TABLE, "min", values, [place > 15 for place in range(40)]).figures
    blind = analyze_gate(TABLE, "min", values, [place % 2 > 0 for place in range(40)]).figures
    assert knows.spearman_p is not None
    assert blind.spearman_p is not None
    assert knows.spearman_p < 1e-6
    assert blind.spearman_p > 0.2
