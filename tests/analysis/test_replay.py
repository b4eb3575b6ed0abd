from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.analysis.replay import ReplaySetting, baseline_seconds, frontier, replay
from speceyes_cli.analysis.replay_check import (
    check_prediction,
    choice_of,
    require_comparable,
)
from speceyes_cli.analysis.scores import acceptable, confidences
from speceyes_cli.analysis.table import ScoreTable, read_table, require_both_branches
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.tables.intervals import wilson
from speceyes_cli.core.tables.summaries import summarize
from tests.analysis.conftest import MakeRun, Spec, run_of

VIEWS = list(product((True, False), repeat=2))
SPECS = [
    *(Spec(0.99, draft, agent) for draft, agent in VIEWS),
    *(Spec(0.6, draft, agent) for draft, agent in VIEWS),
    *(Spec(0.99, draft, agent, passed=False) for draft, agent in VIEWS),
    Spec(0.99, finish="length"),
    Spec(None),
]


def values_of(table: ScoreTable) -> list[float]:
    return acceptable(table, confidences(table, min_score))


def test_each_sample_answers_by_the_branch_it_would_take(make_run: MakeRun) -> None:
    table = read_table(make_run(SPECS))
    found = replay(
        table, values_of(table), ReplaySetting("min", 64, 0.9), baseline_seconds(table, None)
    )
    assert found.n == 14
    assert found.coverage == 4 / 14
    assert (found.harm, found.gain, found.both_right, found.both_wrong) == (1 / 14,) * 4
    assert found.agent_accuracy == found.draft_accuracy == 8 / 14
    assert found.accuracy == pytest.approx(found.agent_accuracy + found.gain - found.harm)
    # The screen is paid by all, the draft by those it lets on, the agent by the rest.
    assert found.seconds == pytest.approx((14 * 0.1 + 10 * 0.02 + 10 * 1.0) / 14)
    assert found.speedup == pytest.approx(1.0 / found.seconds)


@given(
    specs=st.lists(
        st.builds(
            Spec,
            score=st.one_of(st.none(), st.floats(0.01, 0.99)),
            draft_right=st.booleans(),
            agent_right=st.booleans(),
            passed=st.booleans(),
            finish=st.sampled_from(["stop", "length"]),
        ),
        min_size=1,
        max_size=12,
    ),
    threshold=st.floats(0.0, 1.0),
)
def test_a_replay_is_what_a_run_at_that_threshold_records(
    specs: list[Spec], threshold: float
) -> None:
    table = read_table(run_of(specs))
    real = read_table(run_of(specs, threshold=threshold))
    found = check_prediction(table, values_of(table), baseline_seconds(table, None), real)
    assert found.exact
    assert found.n == len(specs)


def test_intervals_are_by_clusters_as_in_every_table(make_run: MakeRun) -> None:
    specs = [
        Spec(draft_right=(i // 4) % 3 > 0, agent_right=False, cluster=f"c{i // 4}", split="test")
        for i in range(200)
    ]
    run = make_run(specs, both_branches=True)
    table = read_table(run)
    found = replay(table, values_of(table), ReplaySetting("min", 64, 0.98), [1.0] * 200)
    row = summarize(run, None)[-1]
    assert (found.accuracy, found.accuracy_low) == (row.accuracy, row.accuracy_low)
    alone = wilson(round(200 * found.accuracy), 200)
    assert alone is not None
    assert found.accuracy_high - found.accuracy_low > 1.5 * (alone.high - alone.low)


def test_the_frontier_agrees_with_the_replay_at_each_of_its_points(make_run: MakeRun) -> None:
    scores = [0.3, 0.3, 0.5, 0.7, 0.9, 0.9, 0.95]
    specs = [Spec(score, i % 2 == 0, i % 3 == 0) for i, score in enumerate(scores)]
    table = read_table(make_run([*specs, *SPECS]))
    points = frontier(table, values_of(table), baseline_seconds(table, None))
    assert len(points) == 8  # all to the agent, then one for each of seven distinct scores
    for point in points:
        found = replay(
            table,
            values_of(table),
            ReplaySetting("min", 64, point.threshold),
            baseline_seconds(table, None),
        )
        assert point.coverage == pytest.approx(found.coverage)
        assert point.accuracy == pytest.approx(found.accuracy)
        assert point.speedup == pytest.approx(found.speedup)


def test_speedup_is_over_the_measured_baseline_on_the_samples_it_knows(make_run: MakeRun) -> None:
    table = read_table(make_run([Spec(0.99), Spec(0.5)]))
    measured = make_run([Spec(0.5, seconds=(0.0, 0.0, 3.0)), Spec(failed=True)])
    known = baseline_seconds(table, measured)
    assert known == [3.0, None]
    found = replay(table, values_of(table), ReplaySetting("min", 64, 0.9), known)
    assert found.speedup == pytest.approx(3.0 / 0.12)
    assert frontier(table, values_of(table), [None, None]) == []


def test_a_run_of_one_branch_cannot_be_replayed(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match=r"ran one branch only .* eval --both-branches"):
        require_both_branches(read_table(make_run([Spec(), Spec(0.5, one_branch=True)])))


def test_a_check_finds_the_samples_that_went_another_way(make_run: MakeRun) -> None:
    table = read_table(make_run([Spec(0.99), Spec(0.97), Spec(0.5)]))
    real = read_table(make_run([Spec(0.99), Spec(0.985), Spec(0.5), Spec(0.1)]))
    found = check_prediction(table, values_of(table), baseline_seconds(table, None), real)
    assert not found.exact
    assert found.rerouted == ("test/s1",)
    assert (found.coverage_predicted, found.coverage_measured) == (1 / 3, 2 / 3)


def test_runs_that_cannot_be_compared_name_the_field(make_run: MakeRun) -> None:
    run = make_run([Spec()])
    other = make_run([Spec()], large="another")
    with pytest.raises(DataError, match=r"they differ in large \(.*: 'l', .*: 'another'\)"):
        require_comparable(run, other)
    other = make_run([Spec()], data_fingerprint={"test": "2", "other": None})
    with pytest.raises(DataError, match="they differ in test"):
        require_comparable(run, other)
    engines = {"large": {"revision": "2", "batch_size": 4}}
    other = run._replace(info=run.info.model_copy(update={"engines": engines}))
    with pytest.raises(DataError, match="they differ in large"):
        require_comparable(run, other)
    require_comparable(run, make_run([Spec()], threshold=0.5, batch_size=1))


def test_a_check_needs_a_threshold(make_run: MakeRun) -> None:
    with pytest.raises(UsageError, match="method baseline, which has no threshold"):
        choice_of(read_table(make_run([Spec()], method="baseline", gate=None, threshold=None)))


def test_a_both_branches_run_measures_no_speedup(make_run: MakeRun) -> None:
    table = read_table(make_run([Spec(0.99), Spec(0.5)], both_branches=True))
    found = check_prediction(table, values_of(table), baseline_seconds(table, None), table)
    assert found.exact
    assert found.speedup_measured is None
    assert not math.isnan(found.speedup_predicted or math.nan)
