from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.gate.learned import FEATURES, LogisticScore, feature_values
from speceyes_cli.core.gate.token import TokenScore

tokens = st.builds(
    TokenScore,
    separability=st.floats(0, 20),
    logprob=st.floats(-20, 0),
    margin=st.floats(0, 30),
    entropy=st.floats(0, 5),
)
weights = st.fixed_dictionaries(
    {name: st.floats(0, 3) for name, feature in FEATURES.items() if feature.monotone}
)


@given(st.lists(tokens, min_size=1, max_size=6), weights, st.data())
def test_a_token_that_stands_further_clear_never_lowers_the_score(
    draft: list[TokenScore], coefficients: dict[str, float], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(draft) - 1))
    token = draft[place]
    surer = token._replace(
        separability=token.separability + data.draw(st.floats(0, 5)),
        logprob=token.logprob * data.draw(st.floats(0, 1)),
        margin=token.margin + data.draw(st.floats(0, 5)),
        entropy=token.entropy * data.draw(st.floats(0, 1)),
    )
    score = LogisticScore(-2.0, coefficients)
    improved = [*draft[:place], surer, *draft[place + 1 :]]
    assert score(improved) >= score(draft) - 1e-12


@given(st.lists(tokens, min_size=1, max_size=6))
def test_every_feature_of_defined_tokens_is_finite(draft: list[TokenScore]) -> None:
    values = feature_values(FEATURES, draft)
    assert values is not None
    assert all(math.isfinite(value) for value in values)


@pytest.mark.parametrize("statistic", ["separability", "logprob", "margin", "entropy"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_draft_with_an_undefined_figure_has_no_score(
    statistic: str, value: float, place: int
) -> None:
    draft = [TokenScore(5.0, -0.1, 2.0, 0.3)] * 2
    draft[place] = draft[place]._replace(**{statistic: value})
    score = LogisticScore(0.0, dict.fromkeys(FEATURES, 1.0))
    assert math.isnan(score(draft))
    others = {name: 1.0 for name, feature in FEATURES.items() if feature.needs != statistic}
    assert LogisticScore(0.0, others)(draft) > 0.5


def test_a_probability_above_one_is_undefined() -> None:
    assert feature_values(["least_log_odds"], [TokenScore(5.0, 0.1, 2.0, 0.3)]) is None


def test_it_says_what_it_needs() -> None:
    assert LogisticScore(0.0, {"least_margin": 1.0, "mean_margin": 2.0}).needs == ("margin",)
    assert LogisticScore(0.0, {"length": 1.0}).needs == ("logprob",)
