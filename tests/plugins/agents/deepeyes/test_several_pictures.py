from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.deepeyes.agent import DeepEyes
from speceyes_plugins.agents.tool_calls import INDEX_KEYS, CallError, read_index

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import Message, Observation, Picture, Reply, Size, ToolError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions


def plain(colour: str, side: int) -> Picture:
    return Picture(colour, lambda: Image.new("RGB", (side, side), colour))


RED, GREEN, BLUE = plain("red", 400), plain("green", 200), plain("blue", 100)
SAMPLE = Sample(
    "s",
    "all",
    GREEN,
    "Which?",
    shown=(GREEN, BLUE),
    earlier=(Message("user", (RED, "Look.")), Message("assistant", ("I do.",))),
)
FRAMES = (Size(40, 40), Size(20, 20), Size(10, 10))


def zoomed(arguments: str) -> Any:
    """What a call with these arguments comes to."""
    agent = DeepEyes(AgentOptions())
    call = f'<tool_call>{{"name": "image_zoom_in_tool", "arguments": {{{arguments}}}}}</tool_call>'
    turn = agent.step(Reply(call, 9, "stop"), AgentState(SAMPLE, agent.open(SAMPLE), 0, FRAMES))
    try:
        run = next(turn)
        turn.send(run.tool(**run.arguments))
    except StopIteration as end:
        return end.value
    raise AssertionError("two tool runs in one turn")


@pytest.mark.parametrize(
    ("named", "colour"),
    [
        ("", (0, 128, 0)),
        (', "img_idx": 0', (255, 0, 0)),
        (', "img_idx": 1', (0, 128, 0)),
        (', "image_index": "2"', (0, 0, 255)),
        (', "img_idx": 2.0', (0, 0, 255)),
    ],
)
def test_a_call_zooms_into_the_picture_that_it_names(
    named: str, colour: tuple[int, int, int]
) -> None:
    outcome = zoomed(f'"bbox_2d": [0, 0, 9, 9]{named}')
    assert isinstance(outcome, Observation)
    [crop] = [part for part in outcome.content if isinstance(part, Picture)]
    assert crop.open().getpixel((5, 5)) == colour


def test_boxes_are_in_the_frame_of_the_picture_that_is_named() -> None:
    outcome = zoomed('"bbox_2d": [0, 0, 20, 20], "img_idx": 0')
    assert isinstance(outcome, Observation)
    [crop] = [part for part in outcome.content if isinstance(part, Picture)]
    assert crop.name == "crop 1 (0, 0, 200, 200)"


@pytest.mark.parametrize("index", ["3", "-1", '"x"', "true", "0.5", "[0]"])
def test_a_picture_that_does_not_exist_is_told(index: str) -> None:
    outcome = zoomed(f'"bbox_2d": [0, 0, 9, 9], "img_idx": {index}')
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "no_picture"
    assert "There is no picture" in outcome.text or "must be a whole number" in outcome.text


def test_the_prompt_shows_the_history_and_says_how_many_pictures_there_are() -> None:
    messages = DeepEyes(AgentOptions()).open(SAMPLE)
    assert messages[1:3] == SAMPLE.earlier
    assert messages[3].content[:2] == (GREEN, BLUE)
    assert "There are 3 pictures" in str(messages[3].content[2])
    assert DeepEyes(AgentOptions()).screen(SAMPLE)[:2] == SAMPLE.earlier


def test_one_picture_is_meant_whatever_number_is_given() -> None:
    agent = DeepEyes(AgentOptions())
    sample = Sample("s", "all", RED, "Which?")
    text = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [0, 0, 9, 9], '
    reply = Reply(f'{text}"img_idx": 1}}}}</tool_call>', 9, "stop")
    turn = agent.step(reply, AgentState(sample, agent.open(sample), 0, (Size(40, 40),)))
    assert next(turn).arguments["picture"] is RED


@pytest.mark.parametrize("name", INDEX_KEYS)
def test_the_argument_has_many_names(name: str) -> None:
    for written in (name, name.upper()):
        place, mends = read_index({written: "1"}, "img_idx", 3)
        assert place == 1
        assert mends[-1] == "a number as text"


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    st.integers(1, 4),
)
def test_any_index_is_a_picture_or_told(index: Any, count: int) -> None:
    try:
        place, _ = read_index({"img_idx": index}, "img_idx", count, count - 1)
    except CallError as error:
        place, kind = 0, error.kind
    else:
        kind = "no_picture"
    assert kind == "no_picture"
    assert 0 <= place < count
