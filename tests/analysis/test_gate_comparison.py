from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.analysis.gate_comparison import compare_gates, coverage_at
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.core.errors import DataError
from tests.analysis.conftest import MakeRun, Spec


@pytest.fixture
def table(make_run: MakeRun) -> ScoreTable:
    generator = random.Random(0)
    specs = [
        Spec(0.5, draft_right=generator.random() < 0.7, cluster=f"c{i // 2}") for i in range(400)
    ]
    return read_table(make_run(specs))


def knowing(table: ScoreTable, noise: float, seed: int = 1) -> list[float]:
    generator = random.Random(seed)
    return [bool(s.draft_right) + generator.gauss(0, noise) for s in table.samples]


def test_a_better_gate_is_told_from_a_worse(table: ScoreTable) -> None:
    values = {"good": knowing(table, 0.3), "bad": knowing(table, 3.0, seed=2)}
    [found] = compare_gates(table, "good", values)
    assert (found.gate, found.other, found.n) == ("good", "bad", 400)
    assert found.aurc.gate < found.aurc.other
    assert found.aurc.high < 0
    assert found.coverage is not None
    assert found.coverage.gate > found.coverage.other
    assert found.coverage.low > 0


def test_the_interval_of_a_gate_beside_itself_is_zero(table: ScoreTable) -> None:
    values = knowing(table, 0.5)
    [found] = compare_gates(table, "one", {"one": values, "two": list(values)})
    assert (found.aurc.low, found.aurc.high) == (0.0, 0.0)
    assert found.coverage is not None
    assert (found.coverage.low, found.coverage.high) == (0.0, 0.0)


def test_the_interval_covers_the_difference_of_equal_gates(table: ScoreTable) -> None:
    values = {"one": knowing(table, 1.0, seed=3), "two": knowing(table, 1.0, seed=4)}
    [found] = compare_gates(table, "one", values)
    assert found.aurc.low < 0 < found.aurc.high


def test_what_the_screen_holds_back_is_not_covered(make_run: MakeRun) -> None:
    table = read_table(make_run([Spec(0.5, passed=place % 4 > 0) for place in range(400)]))
    values = {"one": [1 - place / 400 for place in range(400)], "two": [0.5] * 400}
    [found] = compare_gates(table, "one", values)
    assert found.coverage is not None
    assert (found.coverage.gate, found.coverage.other) == (0.75, 0.75)


def test_drafts_without_a_score_are_left_out(table: ScoreTable) -> None:
    values = {"one": knowing(table, 1.0), "two": [-np.inf] * 10 + knowing(table, 1.0)[10:]}
    assert compare_gates(table, "one", values)[0].n == 390
    with pytest.raises(DataError, match="No judged draft"):
        compare_gates(table, "one", {"one": values["one"], "two": [np.nan] * 400})


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30),
    st.floats(0, 0.5),
    st.randoms(use_true_random=False),
)
def test_coverage_at_a_harm_is_the_largest_that_a_threshold_allows(
    rows: list[tuple[int, bool]], harm: float, mixing: random.Random
) -> None:
    def covered(order: list[tuple[int, bool]]) -> float:
        return coverage_at(
            np.array([float(score) for score, _ in order]), np.array([h for _, h in order]), harm
        )

    n = len(rows)
    allowed = [
        sum(score > bar for score, _ in rows)
        for bar in range(-1, 6)
        if sum(h for score, h in rows if score > bar) <= harm * n
    ]
    assert covered(rows) == max(allowed) / n
    assert covered(mixing.sample(rows, n)) == covered(rows)
