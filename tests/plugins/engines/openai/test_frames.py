from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from qwen_vl_utils.vision_process import smart_resize
from speceyes_plugins.engines.resize_rule import Bounds, ResizeRule, find_rule

from speceyes_cli.core.chat import Size

SHAPES = (Size(32, 32), Size(448, 448), Size(448, 224), Size(2016, 2016))
sides = st.integers(28, 4000)


@given(
    width=sides,
    height=sides,
    factor=st.sampled_from([28, 32]),
    least=st.integers(4, 300),
    more=sides,
)
def test_the_rule_is_that_of_the_published_utility(
    width: int, height: int, factor: int, least: int, more: int
) -> None:
    assume(max(width, height) / min(width, height) <= 20)
    rule = ResizeRule(factor, least * factor**2, (least + more) * factor**2)
    down, across = smart_resize(height, width, factor, rule.min_pixels, rule.max_pixels)
    assume(min(down, across) > 0)
    assert rule.frame(Size(width, height)) == (across, down)


@given(size=st.tuples(sides, sides), factor=st.sampled_from([28, 32]))
def test_a_frame_is_left_as_it_is(size: tuple[int, int], factor: int) -> None:
    rule = ResizeRule(factor, 65_536, 4_064_256)
    frame = rule.frame(Size(*size))
    assert rule.frame(frame) == frame
    assert frame.width % factor == frame.height % factor == 0
    assert rule.tokens(frame) == math.prod(frame) // factor**2


def test_a_picture_that_is_too_thin_is_refused() -> None:
    with pytest.raises(ValueError, match="200 times"):
        ResizeRule(28, 1, 10**6).frame(Size(10, 3000))


@pytest.mark.parametrize(
    ("served", "found"),
    [
        (ResizeRule(28, 3136, 12_845_056), ResizeRule(28, 3135, 2016 * 2016 + 1)),
        (ResizeRule(32, 65_536, 16_777_216), ResizeRule(32, 65_535, 2016 * 2016 + 1)),
        (ResizeRule(28, 3136, 1_003_520), ResizeRule(28, 3135, 35 * 35 * 784 + 1)),
        (
            ResizeRule(28, 25_600, 25_600),
            None,
        ),  # every picture is resized: both families look alike
    ],
)
def test_the_rule_is_found_by_counting(served: ResizeRule, found: ResizeRule | None) -> None:
    counts = {size: served.tokens(size) for size in SHAPES}
    assert find_rule(counts, Bounds(None, None)) == found


@pytest.mark.parametrize("factor", [28, 32])
def test_bounds_that_were_asked_for_settle_it(factor: int) -> None:
    served = ResizeRule(factor, 25_600, 25_600)
    counts = {size: served.tokens(size) for size in SHAPES}
    assert find_rule(counts, Bounds(25_600, 25_600)) == served
    assert find_rule(counts, Bounds(25_600, 60_000)) is None


@given(factor=st.sampled_from([28, 32]), least=st.integers(1, 100), more=st.integers(100, 4000))
def test_a_frame_within_the_found_rule_is_never_resized_by_the_server(
    factor: int, least: int, more: int
) -> None:
    served = ResizeRule(factor, least * 700, (least + more) * 1100)
    found = find_rule({size: served.tokens(size) for size in SHAPES}, Bounds(None, None))
    assume(found is not None and found.factor == factor)
    assert found is not None
    for size in (Size(30, 50), Size(640, 480), Size(1999, 777), Size(4000, 3000)):
        frame = found.frame(size)
        assert served.frame(frame) == frame
