from __future__ import annotations

import math

import pytest

from speceyes_cli.analysis.certified_points import (
    CertifiedPoint,
    Cost,
    Levels,
    Measure,
    check_cost,
    choose,
    find_points,
    share_of_risk,
)
from speceyes_cli.analysis.scores import acceptable, confidences
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.run.records import BranchNote, Record, VerdictNote
from speceyes_cli.core.tables.summaries import LoadedRun
from tests.analysis.conftest import MakeRun, Spec

MIN, UPSIDE_DOWN = Measure("min", 64), Measure("other", 64)
SPECS = [Spec(0.5 + i / 1_000, draft_right=i > 20, agent_right=i % 10 > 0) for i in range(400)]


@pytest.fixture
def table(make_run: MakeRun) -> ScoreTable:
    return read_table(make_run(SPECS))


def values_of(table: ScoreTable) -> list[float]:
    return acceptable(table, confidences(table, min_score))


def test_one_gate_and_one_loss_use_the_whole_risk(table: ScoreTable) -> None:
    levels = Levels((0.02,), 0.1)
    [point] = find_points(table, {MIN: values_of(table)}, levels)
    assert point.p_value <= 0.1
    assert share_of_risk(levels, 1) == 0.1
    assert choose([point], levels, None) == point
    assert point.coverage == point.accepted / 400
    answers = [
        s.draft_right if value > point.threshold else s.agent_right
        for s, value in zip(table.samples, values_of(table), strict=True)
    ]
    assert point.accuracy == pytest.approx(sum(map(bool, answers)) / 400)
    assert point.seconds == pytest.approx(1.12 - point.coverage, abs=0.001)


@pytest.mark.parametrize(
    ("draft", "agent", "harmful"),
    [
        ("a kite", "a bird", 40),
        ("a kite", "a kite ", 0),
        ("a kite", "", 0),
    ],
)
def test_what_nobody_could_judge_may_be_harm(
    make_run: MakeRun, draft: str, agent: str, harmful: int
) -> None:
    run = make_run([Spec(0.5 + i / 1_000) for i in range(400)])
    undecided = VerdictNote(right=None, provenance="none")

    def unclear(record: Record) -> Record:
        branches = {
            "small": BranchNote(text=draft, verdict=undecided),
            "large": BranchNote(text=agent, verdict=undecided),
        }
        return record.model_copy(update={"branches": branches})

    records = [unclear(one) if i % 10 == 0 else one for i, one in enumerate(run.records)]
    table = read_table(LoadedRun.of(run.folder, run.info, records))
    [point] = find_points(table, {MIN: values_of(table)}, Levels((0.2,), 0.1))
    assert (point.accepted, point.harmful) == (400, harmful)


def test_a_verdict_that_settles_it_is_enough(make_run: MakeRun) -> None:
    run = make_run([Spec(0.5 + i / 1_000) for i in range(400)])

    def judged(record: Record, draft: bool | None, agent: bool | None) -> Record:
        rights, texts = {"small": draft, "large": agent}, {"small": "a kite", "large": "a bird"}
        branches = {
            role: BranchNote(text=texts[role], verdict=VerdictNote(right=right, provenance="none"))
            for role, right in rights.items()
        }
        return record.model_copy(update={"branches": branches})

    cases = [(True, None), (None, False), (False, None), (None, True), (None, None)]
    records = [judged(one, *cases[i % 5]) for i, one in enumerate(run.records)]
    table = read_table(LoadedRun.of(run.folder, run.info, records))
    assert [sample.may_harm for sample in table.samples[:5]] == [False, False, True, True, True]


def test_gates_and_losses_share_the_risk(table: ScoreTable) -> None:
    values = values_of(table)
    levels = Levels((0.02, 0.05), 0.1)
    points = find_points(table, {MIN: values, UPSIDE_DOWN: [1 - v for v in values]}, levels)
    assert share_of_risk(levels, 2) == 0.025
    assert [(p.gate, p.max_loss) for p in points][:2] == [("min", 0.02), ("min", 0.05)]
    assert all(point.p_value <= 0.025 for point in points)
    chosen = choose(points, levels, None)
    assert (chosen.gate, chosen.max_loss) == ("min", 0.02)
    assert points[1].accepted >= points[0].accepted


def test_the_cheapest_certified_threshold(table: ScoreTable) -> None:
    levels, values = Levels((0.1,), 0.1), values_of(table)

    def threshold(cost: Cost) -> CertifiedPoint:
        return choose(find_points(table, {MIN: values}, levels, cost), levels, cost)

    [loosest] = find_points(table, {MIN: values}, levels)
    fast = threshold(Cost(wrong=0.0, second=1.0))
    assert fast.accepted == loosest.accepted
    careful = threshold(Cost(wrong=1_000.0, second=1.0))
    # Harmful drafts lie at confidences up to 0.519; at 0.52 both are wrong, and accepting is free.
    assert careful.threshold == 0.519
    assert careful.cost == pytest.approx(1_000 * (1 - careful.accuracy) + careful.seconds)
    assert careful.p_value <= 0.1


@pytest.mark.parametrize("cost", [Cost(0.0, 0.0), Cost(-1.0, 1.0), Cost(math.nan, 1.0)])
def test_costs_that_are_none(cost: Cost) -> None:
    check_cost(Cost(0.0, 1.0))
    with pytest.raises(UsageError, match="--cost-"):
        check_cost(cost)


def test_a_loss_that_cannot_be_promised_has_no_point(table: ScoreTable) -> None:
    levels = Levels((0.001, 0.05), 0.1)  # 0.1% takes 2,302 samples
    [point] = find_points(table, {MIN: values_of(table)}, levels)
    assert point.max_loss == 0.05
    with pytest.raises(DataError, match=r"certified for a loss of 0.001, but for 0.05"):
        choose([point], levels, None)
    with pytest.raises(DataError, match="at least 2302 are needed"):
        find_points(table, {MIN: values_of(table)}, Levels((0.001,), 0.1))
