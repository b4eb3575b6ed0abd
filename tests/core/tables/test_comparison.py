from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from speceyes_cli.core.run.columns import columns_of
from speceyes_cli.core.run.records import BranchNote, Record, VerdictNote
from speceyes_cli.core.tables.comparison import (
    NetBenefit,
    Pairs,
    accuracy_of,
    mcnemar_of,
    net_benefit,
    paired,
    speedup_of,
)
from speceyes_cli.core.tables.intervals import Interval, clustered_share, wilson

MakeRecord = Callable[..., Record]
RIGHT, WRONG = (VerdictNote(right=right, provenance="text") for right in (True, False))
OPEN = VerdictNote(right=None, provenance="none")
FAILED = VerdictNote(right=None, provenance="error")


def pairs_of(before: list[Record], after: list[Record]) -> Pairs:
    return paired(columns_of(before), columns_of(after))


def benefit(after: list[Record], before: list[Record]) -> NetBenefit:
    pairs = pairs_of(before, after)
    return net_benefit(pairs.after, pairs.after.places(), pairs)


def accuracy(records: list[Record]) -> Interval | None:
    columns = columns_of(records)
    return accuracy_of(columns, columns.places())


@pytest.fixture
def accepted(make_record: MakeRecord) -> MakeRecord:
    """Like make_record, with the draft accepted."""
    draft = make_record("x").draft
    assert draft is not None
    note = draft.model_copy(update={"accepted": True})

    def make(sample: str, **fields: object) -> Record:
        return make_record(sample, route="small", draft=note, **fields)

    return make


def test_gain_and_harm_are_counted_over_accepted_samples(
    make_record: MakeRecord, accepted: MakeRecord
) -> None:
    cases = [(RIGHT, RIGHT)] * 3 + [(WRONG, OPEN)] * 2 + [(RIGHT, WRONG)] * 4 + [(OPEN, RIGHT)]
    after = [accepted(f"s{i}", verdict=mine) for i, (mine, _) in enumerate(cases)]
    before = [make_record(f"s{i}", verdict=agents) for i, (_, agents) in enumerate(cases)]
    after += [make_record("fell back", verdict=RIGHT), accepted("unjudged", verdict=FAILED)]
    before += [make_record("fell back", verdict=WRONG), make_record("unjudged", verdict=WRONG)]
    assert benefit(after, before) == NetBenefit(3, 2, 4, 1)
    assert benefit(after, []) == NetBenefit()


def test_a_branch_of_its_own_counts_before_the_baseline(
    make_record: MakeRecord, accepted: MakeRecord
) -> None:
    branches = {"large": BranchNote(text="x", verdict=WRONG)}
    after = [accepted("a", verdict=RIGHT, branches=branches)]
    before = [make_record("a", verdict=RIGHT)]
    assert benefit(after, before).gain == 1


def test_mcnemar_leaves_out_what_no_judge_judged(make_record: MakeRecord) -> None:
    verdicts = [(RIGHT, WRONG)] * 6 + [(FAILED, RIGHT)] * 9
    before = [make_record(str(i), verdict=first) for i, (first, _) in enumerate(verdicts)]
    after = [make_record(str(i), verdict=second) for i, (_, second) in enumerate(verdicts)]
    assert mcnemar_of(pairs_of(before, after)) == pytest.approx(2 / 2**6)
    assert mcnemar_of(pairs_of([], [])) is None


def test_samples_that_share_a_picture_widen_the_interval(make_record: MakeRecord) -> None:
    def made(clusters: bool) -> list[Record]:
        return [
            make_record(
                str(number),
                verdict=RIGHT if number // 6 % 3 else WRONG,
                cluster=str(number // 6) if clusters else None,
            )
            for number in range(180)
        ]

    alone, together = accuracy(made(False)), accuracy(made(True))
    assert alone is not None
    assert together is not None
    assert alone.value == together.value == 2 / 3
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert 2.0 < ratio < 3.0  # the root of six, when all six of a picture agree


def test_all_right_is_as_sure_as_there_are_clusters(make_record: MakeRecord) -> None:
    records = [make_record(str(n), verdict=RIGHT, cluster=str(n // 4)) for n in range(80)]
    assert accuracy(records) == wilson(20, 20)


def test_few_clusters_are_no_basis(make_record: MakeRecord) -> None:
    records = [make_record(str(n), verdict=RIGHT, cluster="one") for n in range(8)]
    assert accuracy(records) == wilson(8, 8)


def test_the_cluster_bootstrap_against_its_definition() -> None:
    chance = np.random.default_rng(3)
    clusters = [str(n) for n in chance.integers(30, size=150)]
    right = [bool(one) for one in chance.random(150) < 0.7]
    found = clustered_share(right, clusters)
    assert found is not None
    both = list(zip(right, clusters, strict=True))
    groups = [[one for one, of in both if of == name] for name in set(clusters)]
    shares = []
    for _ in range(4_000):
        drawn = [groups[place] for place in chance.integers(len(groups), size=len(groups))]
        shares.append(sum(map(sum, drawn)) / sum(map(len, drawn)))
    low, high = np.quantile(shares, [0.025, 0.975])
    assert found.value == sum(right) / 150
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_the_speedup_draws_clusters_whole(make_record: MakeRecord) -> None:
    def pairs(clusters: bool) -> float:
        before, after = [], []
        for number in range(120):
            cluster = {"cluster": str(number // 6) if clusters else None}
            slow = 4.0 if number // 6 % 2 else 1.0
            before.append(make_record(str(number), seconds=slow, **cluster))
            after.append(make_record(str(number), seconds=1.0, **cluster))
        speedup = speedup_of(pairs_of(before, after))
        assert speedup is not None
        assert speedup.value == 2.5
        return speedup.high - speedup.low

    assert pairs(True) > 1.8 * pairs(False)
