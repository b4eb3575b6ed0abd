from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.chat import Reply
from speceyes_cli.core.gate.decision import Gate, confidence_from_separability
from speceyes_cli.core.gate.early_rejection import log_hopeless, min_hopeless
from speceyes_cli.core.gate.scores import (
    bottom20_score,
    diagnose_ties,
    entropy_score,
    log_score,
    margin_score,
    mean_score,
    min_score,
)
from speceyes_cli.core.gate.token import TokenScore

Score = Callable[[Sequence[TokenScore]], float]
SCORES: list[Score] = [
    min_score,
    mean_score,
    bottom20_score,
    log_score,
    margin_score,
    entropy_score,
]

token = st.builds(
    TokenScore,
    separability=st.floats(-5, 40),
    logprob=st.floats(-30, 0),
    margin=st.floats(0, 40),
    entropy=st.floats(0, math.log(64)),
)
tokens = st.lists(token, min_size=1, max_size=24)
undefined = st.sampled_from(
    [
        TokenScore(math.nan, math.nan, math.nan, math.nan),
        TokenScore(math.inf, 1.0, math.inf, math.inf),
    ]
)


def scores(*separabilities: float) -> list[TokenScore]:
    return [TokenScore(value, -0.1, 1.0, 0.5) for value in separabilities]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("score", SCORES)
@given(tokens)
def test_a_score_is_a_confidence(score: Score, draft: list[TokenScore]) -> None:
    assert 0.0 <= score(draft) <= 1.0


@pytest.mark.parametrize("score", SCORES)
@given(tokens, undefined, st.integers(0, 24))
def test_one_undefined_token_undefines_the_draft(
    score: Score, draft: list[TokenScore], bad: TokenScore, place: int
) -> None:
    assert math.isnan(score([*draft[:place], bad, *draft[place:]]))


@pytest.mark.parametrize("score", SCORES)
@given(tokens, st.randoms())
def test_the_order_of_tokens_does_not_matter(
    score: Score, draft: list[TokenScore], random: st.randoms
) -> None:
    shuffled = list(draft)
    random.shuffle(shuffled)
    assert score(shuffled) == pytest.approx(score(draft), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("score", SCORES)
@given(token, st.integers(1, 30))
def test_a_draft_of_equal_tokens_scores_as_one_of_them(
    score: Score, one: TokenScore, times: int
) -> None:
    assert score([one] * times) == pytest.approx(score([one]), rel=1e-12)


@pytest.mark.parametrize("score", SCORES)
@given(tokens)
def test_a_better_token_never_lowers_the_score(score: Score, draft: list[TokenScore]) -> None:
    first = draft[0]
    better = TokenScore(first.separability + 1, first.logprob / 2, first.margin + 1, 0.0)
    assert score([better, *draft[1:]]) >= score(draft) - 1e-12


def test_the_paper_modes_by_hand() -> None:
    draft = scores(10, 2, 6, 4, 8, 3, 5, 7, 9, 1)
    assert min_score(draft) == pytest.approx(sigmoid(0.6 * 1))
    assert mean_score(draft) == pytest.approx(sigmoid(0.6 * 5.5))
    assert bottom20_score(draft) == pytest.approx(sigmoid(0.6 * 1.5))
    assert bottom20_score(scores(3, 1, 2)) == pytest.approx(sigmoid(0.6 * 1))


def test_log_margin_and_entropy_by_hand() -> None:
    draft = [TokenScore(1, math.log(0.9), 2.0, 0.1), TokenScore(1, math.log(0.4), 0.5, 0.7)]
    assert log_score(draft) == pytest.approx(math.sqrt(0.36))
    assert margin_score(draft) == pytest.approx(sigmoid(0.5))
    assert entropy_score(draft) == pytest.approx(math.exp(-0.4))


def test_thresholds_in_score_space() -> None:
    for threshold, separability in ((0.98, 6.4864), (0.95, 4.9074), (0.99, 7.6585)):
        assert confidence_from_separability(separability - 1e-3) < threshold
        assert confidence_from_separability(separability + 1e-3) > threshold


def test_extreme_separabilities_do_not_overflow() -> None:
    assert confidence_from_separability(-1e308) == pytest.approx(0.0)
    assert confidence_from_separability(1e308) == 1.0
    assert confidence_from_separability(-math.inf) == pytest.approx(0.0)


@given(tokens)
def test_min_is_the_strictest_of_the_separability_modes(draft: list[TokenScore]) -> None:
    assert min_score(draft) <= bottom20_score(draft) + 1e-12
    assert bottom20_score(draft) <= mean_score(draft) + 1e-12


@pytest.mark.parametrize(
    ("hopeless", "score"), [(min_hopeless, min_score), (log_hopeless, log_score)]
)
@given(
    st.lists(st.one_of(token, token, token, undefined), min_size=1, max_size=20),
    st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.95, 0.98, 0.99, 1.0]),
    st.integers(0, 8),
)
def test_what_is_given_up_early_would_never_have_passed(
    hopeless: Callable[[Sequence[TokenScore], float, int], bool],
    score: Score,
    draft: list[TokenScore],
    threshold: float,
    more: int,
) -> None:
    limit = len(draft) + more
    given_up = any(hopeless(draft[:n], threshold, limit) for n in range(1, len(draft) + 1))
    if given_up:
        assert not score(draft) > threshold


@given(tokens, st.floats(0.5, 0.999))
def test_early_rejection_by_min_misses_nothing(draft: list[TokenScore], threshold: float) -> None:
    gives_up = any(min_hopeless(draft[:n], threshold, 99) for n in range(1, len(draft) + 1))
    assert gives_up == (not min_score(draft) > threshold)


def test_nothing_is_hopeless_before_the_first_token() -> None:
    assert not min_hopeless([], 0.98, 20)
    assert not log_hopeless([], 0.98, 20)


def test_a_gate_accepts_only_above_its_threshold() -> None:
    draft = Reply("red", 1, "stop", tuple(scores(6.4864)))
    gate = Gate("min", min_score)
    at_the_bar = replace(gate, threshold=gate.confidence(draft))
    assert not at_the_bar.accepts(draft)
    assert replace(gate, threshold=math.nextafter(at_the_bar.threshold, 0)).accepts(draft)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "draft",
    [
        Reply("red", 1, "length", tuple(scores(50))),
        Reply("red", 1, "rejected", tuple(scores(50))),
        Reply("", 1, "stop", tuple(scores(50))),
        Reply("red", 0, "stop", ()),
        Reply("red", 1, "stop", (TokenScore(math.nan, math.nan, math.nan, math.nan),)),
        Reply("red", 1, "stop", (TokenScore(math.inf, math.inf, math.inf, math.inf),)),
    ],
)
def test_no_gate_accepts_a_bad_draft(score: Score, draft: Reply) -> None:
    assert not Gate("any", score, threshold=0.0).accepts(draft)


def test_a_tie_passes_at_64_and_is_diagnosed() -> None:
    """Two tied tokens far above 62 others come to 0.991."""
    tie = TokenScore(math.sqrt((64 - 1 - 1) / 1), math.log(0.5), 0.0, math.log(2))
    assert min_score([tie]) == pytest.approx(0.991, abs=1e-3)
    found = diagnose_ties([tie, TokenScore(9.0, -0.01, 7.0, 0.0)])
    assert found.tied_tokens == 1
    assert found.lowest_margin == 0.0
    assert found.lowest_probability == pytest.approx(0.5)


def test_ties_of_nothing_are_undefined() -> None:
    found = diagnose_ties([])
    assert found.tied_tokens == 0
    assert math.isnan(found.lowest_margin)
    assert math.isnan(found.lowest_probability)


@pytest.mark.parametrize(("margin", "stands"), [(0.0, False), (0.00009, False), (0.001, True)])
def test_a_draft_that_a_tie_decided_stands_only_where_ties_are_accepted(
    margin: float, stands: bool
) -> None:
    sure = TokenScore(20.0, -0.01, 5.0, 0.1)
    tied = sure._replace(margin=margin)
    draft = Reply("red", 2, "stop", (sure, tied))
    gate = Gate("min", min_score)
    assert gate.accepts(draft)
    assert replace(gate, rejects_ties=True).accepts(draft) is stands
    untold = Reply("red", 1, "stop", (sure._replace(margin=math.nan),))
    assert replace(gate, rejects_ties=True).accepts(untold)
