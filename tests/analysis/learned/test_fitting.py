from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speceyes_cli.analysis.learned.fitting import FEWEST, Example, fit
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.learned import FEATURES, LogisticScore
from speceyes_cli.core.gate.token import FIGURES, TokenScore


def draw(seed: int, n: int = 200) -> list[Example]:
    """Right where the margin is large; separability tells nothing."""
    generator = np.random.default_rng(seed)
    margins = generator.gamma(2.0, 2.0, n)
    right = generator.uniform(size=n) < 1 / (1 + np.exp(3 - margins))
    gaps = generator.uniform(3, 9, n)
    return [
        Example([TokenScore(gap, -0.5, margin, 1.0)], bool(r))
        for gap, margin, r in zip(gaps.tolist(), margins.tolist(), right, strict=True)
    ]


def test_it_finds_what_tells_right_from_wrong() -> None:
    model = fit(draw(0), FIGURES, "x")
    assert model.coefficients["least_margin"] + model.coefficients["mean_margin"] > 0.5
    assert model.coefficients["least_separability"] < 0.2
    assert set(model.left_out) == {
        *("least_log_odds", "draft_log_odds", "greatest_entropy", "mean_entropy", "length")
    }
    score = LogisticScore(model.intercept, model.coefficients)
    assert score([TokenScore(5.0, -0.5, 12.0, 1.0)]) > 0.95
    assert score([TokenScore(5.0, -0.5, 0.0, 1.0)]) < 0.25


def test_it_agrees_with_a_well_kept_library() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    examples = draw(1)
    model = fit(examples, ("margin",), "x")
    margins = np.array([[one.tokens[0].margin] for one in examples])
    scaled = (margins - margins.mean()) / margins.std()
    # Two equal columns share one coefficient's penalty, as one column would with half of it.
    other = linear_model.LogisticRegression(C=2.0, tol=1e-10).fit(
        scaled, [one.right for one in examples]
    )
    whole = sum(model.coefficients.values())
    assert whole == pytest.approx(float(other.coef_[0, 0]) / margins.std(), rel=1e-3)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_no_coefficient_falls_below_zero(seed: int) -> None:
    turned = [Example(one.tokens, not one.right) for one in draw(seed, 80)]
    try:
        model = fit(turned, FIGURES, "x")
    except DataError:
        return  # one class is too rare
    assert all(model.coefficients[name] >= 0 for name in model.coefficients if name != "length")


def test_the_length_may_count_either_way() -> None:
    token = TokenScore(5.0, -0.5, 2.0, 1.0)
    examples = [
        Example([token._replace(margin=2 + i % 7)] * length, length < 3 or i % 9 == 0)
        for i in range(60)
        for length in (1, 2, 3, 4)
    ]
    assert fit(examples, ("margin", "logprob"), "x").coefficients["length"] < 0


def test_the_order_of_drafts_changes_nothing() -> None:
    examples = draw(2)
    one, other = fit(examples, FIGURES, "x"), fit(examples[::-1], FIGURES, "x")
    assert other.coefficients == pytest.approx(one.coefficients, rel=1e-4, abs=1e-5)


def test_drafts_without_defined_figures_are_left_out() -> None:
    undefined = [Example([TokenScore(math.nan, math.nan, math.nan, math.nan)], True)] * 5
    none = [Example([], True)] * 5
    assert fit([*draw(3), *undefined, *none], FIGURES, "x") == fit(draw(3), FIGURES, "x")


@pytest.mark.parametrize(
    ("examples", "given_", "told"),
    [
        ([], FIGURES, "0 right and 0 wrong drafts of x"),
        (draw(0, 12), FIGURES, f"at least {FEWEST} of each are needed"),
        ([one._replace(right=True) for one in draw(0)], FIGURES, "200 right and 0 wrong"),
        ([one._replace(right=False) for one in draw(0)], FIGURES, "0 right and 200 wrong"),
        (draw(0), ("logprob", "entropy"), "Every draft of x has the same least_log_odds"),
        (draw(0), (), "the same lack of statistics"),
    ],
)
def test_what_cannot_be_learned_from(
    examples: list[Example], given_: tuple[str, ...], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        fit(examples, given_, "x")  # type: ignore[arg-type]


def test_every_feature_is_said_to_be_used_or_left_out() -> None:
    model = fit(draw(4), ("margin",), "x")
    assert {*model.coefficients, *model.left_out} == set(FEATURES)
