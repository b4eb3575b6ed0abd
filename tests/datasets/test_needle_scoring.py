from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_datasets.needle.plugin import SIZE, make_sample
from speceyes_datasets.needle.problems import SPLITS, Split
from speceyes_datasets.needle.scene import COLOURS
from speceyes_datasets.needle.scoring import score_answer

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.samples import Sample, Verdict

PICTURE = Picture("none", lambda: (_ for _ in ()).throw(AssertionError("not opened")))
DISC = "small, white dot on the left"
ROW = "red, blue, pink"


def about(answer: str | None) -> Sample:
    return Sample("1", "descriptions", PICTURE, "?", (), answer, meta={"disc": "red"})


@pytest.mark.parametrize(
    ("answer", "said", "right"),
    [
        (DISC, "small, white dot on the left", True),
        (DISC, "Small; the white dot is on its left side.", True),
        (DISC, "The red disc is small, with a white dot on the left.", True),
        (DISC, "It is on the left: a white dot. The disc is small.", True),
        (DISC, "small, white, left; not blue", None),
        (DISC, "large, white dot on the left", False),
        (DISC, "small, white dot on the right", False),
        (DISC, "small, red dot on the left", False),
        (DISC, "small, white dot", False),
        (DISC, "small, white and blue dots on the left", False),
        (DISC, "small, not white, on the left", None),
        (DISC, "small, white or blue dot on the left", None),
        (DISC, "smallwhite left", None),
        (DISC, "a dot on a disc", None),
        (DISC, "", None),
        ("white, left", "white, left", True),
        ("white, left", "a large disc, white dot, left side", True),
        ("white, left", "left, white", True),
        ("white, left", "white", False),
        (ROW, "red, blue, pink", True),
        (ROW, "the red, the blue and the pink disc", True),
        (ROW, "red, pink, blue", False),
        (ROW, "red, blue", False),
        (ROW, "red, blue, pink, black", False),
        (ROW, "blue, pink", False),
        ("red, nothing, blue", "a red disc, then nothing, then a blue disc", True),
        ("red, nothing, blue", "red, blue, nothing", False),
        ("red, nothing, blue", "red, blue", False),
        (None, "red", None),
    ],
)
def test_a_description_is_read_by_its_attributes(
    answer: str | None, said: str, right: bool | None
) -> None:
    assert score_answer(about(answer), said).right is right


@given(st.sampled_from(SPLITS), st.integers(0, SIZE - 1))
def test_the_known_answer_is_right(split: Split, seed: int) -> None:
    sample = make_sample(split, seed)
    assert sample.answer is not None
    assert score_answer(sample, sample.answer).right is True


ROWS = st.lists(st.sampled_from(COLOURS), min_size=2, max_size=6, unique=True)


@given(ROWS.flatmap(lambda row: st.tuples(st.just(row), st.permutations(row))))
def test_only_the_rows_own_order_is_right(rows: tuple[list[str], list[str]]) -> None:
    row, said = rows
    found = score_answer(about(", ".join(row)), " ".join(said))
    assert found == Verdict(row == said, "text")


@given(st.text())
def test_any_text_has_a_verdict(text: str) -> None:
    assert score_answer(about(DISC), text).right in (True, False, None)
