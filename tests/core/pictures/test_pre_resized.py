from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from speceyes_cli.core.agents import Await, Begin, Begun
from speceyes_cli.core.chat import Answer, Ask, Message, Picture, Reply, Run, Size
from speceyes_cli.core.pictures.pre_resized import LEAST, MOST, pre_resized, seen_size

PICTURE = Picture("p", lambda: Image.new("RGB", (100, 61), "red"))


def asking() -> Generator[Any, Any, Answer]:
    asked = Ask("large", (Message("user", (PICTURE, "?")),), max_new_tokens=1)
    first = yield asked
    yield Run(lambda picture: picture, {"picture": PICTURE})
    begun = yield Begin(_beside())
    yield Await(begun)
    yield asked
    return Answer(first.text, "large")


def _beside() -> Generator[Any, Any, str]:
    yield Ask("small", (Message("user", (PICTURE,)),), max_new_tokens=1)
    return "done"


def shown(ask: Any) -> Picture:
    return next(part for part in ask.messages[0].content if isinstance(part, Picture))


def test_models_see_the_resized_picture_and_tools_the_original() -> None:
    steps = pre_resized(asking())
    first = shown(steps.send(None))
    assert first.open().size == (112, 56)
    run = steps.send(Reply("red", 1, "stop"))
    assert run.arguments["picture"] is PICTURE
    begin = steps.send(None)
    assert shown(next(begin.steps)).open().size == (112, 56)
    steps.send(Begun())
    assert shown(steps.send("done")) is first, "an engine knows a picture by its object"
    with pytest.raises(StopIteration) as end:
        steps.send(Reply("red", 1, "stop"))
    assert end.value.value.text == "red"


def test_a_policy_that_is_dropped_is_closed() -> None:
    closed = []

    def steps() -> Generator[Any, Any, None]:
        try:
            yield Ask("large", (), max_new_tokens=1)
        finally:
            closed.append(True)

    wrapped = pre_resized(steps())
    next(wrapped)
    wrapped.close()
    assert closed == [True]


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_sizes_are_multiples_of_28_that_keep_the_shape(width: int, height: int) -> None:
    seen = seen_size(Size(width, height))
    assert seen.width % 28 == seen.height % 28 == 0
    if max(width, height) <= 100 * min(width, height):
        assert seen.width * seen.height >= LEAST
        assert seen.width * seen.height <= MOST
