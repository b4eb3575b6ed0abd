from __future__ import annotations

import math

import pytest
import torch
from speceyes_kernels import token_statistics

from speceyes_cli.analysis.scores import (
    acceptable,
    check_top_k,
    confidences,
    finite_scores,
    largest_k,
    require_two_classes,
    rescore,
)
from speceyes_cli.analysis.table import read_table, read_tables
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from tests.analysis.conftest import MakeRun, Spec


def test_a_both_branches_run_tells_both_verdicts(make_run: MakeRun) -> None:
    specs = [
        Spec(0.99, draft_right=False, agent_right=True, cluster="car"),
        Spec(0.5, draft_right=True, agent_right=False),
        Spec(failed=True),
    ]
    table = read_table(make_run(specs))
    assert table.both_branches
    assert table.errors == 1
    first, second = table.samples
    assert (first.route, first.right, first.draft_right, first.agent_right) == (
        "small",
        False,
        False,
        True,
    )
    assert (second.route, second.right, second.draft_right, second.agent_right) == (
        "large",
        False,
        True,
        False,
    )
    assert first.seconds == {"screen": 0.1, "draft": 0.02, "agent": 1.0}


def test_a_run_of_one_branch_knows_the_verdict_of_that_branch_only(make_run: MakeRun) -> None:
    table = read_table(make_run([Spec(0.99, one_branch=True), Spec(0.5, one_branch=True)]))
    assert not table.both_branches
    assert [(s.draft_right, s.agent_right) for s in table.samples] == [(True, None), (None, True)]


def test_clusters_are_shared_by_splits_and_loners_stay_alone(make_run: MakeRun) -> None:
    specs = [
        Spec(cluster="car"),
        Spec(cluster="car", split="other"),
        Spec(),
        Spec(split="other"),
    ]
    first, second, third, fourth = (s.cluster for s in read_table(make_run(specs)).samples)
    assert first == second
    assert len({first, third, fourth}) == 3


def test_what_the_gate_would_never_accept(make_run: MakeRun) -> None:
    specs = [Spec(0.9), Spec(None), Spec(0.9, finish="length"), Spec(0.9, finish="rejected")]
    table = read_table(make_run(specs))
    values = confidences(table, min_score)
    assert math.isnan(values[1])
    assert acceptable(table, values)[1:] == [-math.inf] * 3
    assert acceptable(table, values)[0] == pytest.approx(0.9)


@pytest.mark.parametrize("k", [2, 3, 17, 64, 128])
def test_kept_logits_give_the_statistics_of_any_smaller_k(k: int) -> None:
    logits = torch.randn(4, 500, generator=torch.Generator().manual_seed(k)) * 3
    top = logits.topk(128).values
    wanted = token_statistics(logits, k=k)
    for row in range(4):
        gaps = tuple((top[row, 0] - top[row, 1:]).tolist())
        kept = TokenScore(0.0, float(wanted.logprob[row]), 0.0, 0.0, rivals=gaps)
        found = rescore(kept, k)
        if k > 2:  # with one rival the deviation is nothing but rounding
            assert found.separability == pytest.approx(float(wanted.separability[row]), rel=1e-3)
        assert found.margin == pytest.approx(float(wanted.margin[row]), rel=1e-4)
        assert found.entropy == pytest.approx(float(wanted.entropy[row]), rel=1e-4)
        assert found.logprob == kept.logprob


def test_the_k_a_run_can_tell(make_run: MakeRun) -> None:
    table = read_table(make_run([Spec(rivals=(1.0, 2.0, 4.0)), Spec(rivals=(1.0, 3.0))]))
    assert largest_k(table) == 3
    check_top_k(table, 64)
    assert len(confidences(table, min_score, 3)) == 2
    with pytest.raises(UsageError, match=r"cannot tell K = 4: .* any K from 2 to 3"):
        confidences(table, min_score, 4)
    bare = read_table(make_run([Spec()]))
    with pytest.raises(UsageError, match=r"K = 64 needs; eval --both-branches keeps more"):
        check_top_k(bare, 32)


def test_runs_of_different_data_are_refused(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match=r"different data: .* 'dots', .* 'pope'"):
        read_tables([make_run([Spec()]), make_run([Spec()], dataset="pope")])
    assert len(read_tables([make_run([Spec()]), make_run([Spec()], threshold=0.5)])) == 2


def test_scores_that_say_nothing_are_refused(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match="no answered sample"):
        read_table(make_run([Spec(failed=True)]))
    missing = read_table(make_run([Spec(None), Spec(None)]))
    with pytest.raises(DataError, match="no draft with a defined min score"):
        finite_scores(missing, confidences(missing, min_score), "min")
    constant = read_table(make_run([Spec(0.9), Spec(0.9)]))
    with pytest.raises(DataError, match=r"All 2 drafts .* the same min score, 0.9"):
        finite_scores(constant, confidences(constant, min_score), "min")
    with pytest.raises(DataError, match="are right"):
        require_two_classes(constant, [True, True])
