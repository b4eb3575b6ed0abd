from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.gate.token import TokenScore, score_fields, score_from, within
from speceyes_cli.core.run.records import TokenNote

number = st.floats(allow_nan=True, allow_infinity=True)
token = st.builds(
    TokenScore,
    number,
    number,
    number,
    number,
    st.sampled_from(["", "nan", "infinite"]),
    st.lists(st.floats(0, 40), max_size=9).map(tuple),
)


@given(token)
def test_a_score_comes_back_from_its_note_with_nan_where_it_is_undefined(score: TokenScore) -> None:
    note = TokenNote.model_validate_json(TokenNote(**score_fields(score)).model_dump_json())
    for known, read in zip(score, score_from(note), strict=True):
        if isinstance(known, float) and not math.isfinite(known):
            assert math.isnan(read)  # type: ignore[arg-type]
        else:
            assert read == known


def test_a_note_has_every_statistic_of_a_score() -> None:
    assert set(TokenNote.model_fields) == {"text", *TokenScore._fields}


@given(st.lists(token, max_size=4), st.integers(2, 12))
def test_a_gate_sees_the_rivals_of_its_k_only(scores: list[TokenScore], k: int) -> None:
    for whole, seen in zip(scores, within(scores, k), strict=True):
        assert seen.rivals == whole.rivals[: k - 1]
        assert str(seen._replace(rivals=())) == str(whole._replace(rivals=()))
