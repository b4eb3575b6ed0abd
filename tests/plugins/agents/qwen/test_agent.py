from __future__ import annotations

import json
import logging
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.qwen.agent import MAX_CALLS, Qwen

from speceyes_cli.core.agents import AgentState, ToolCaller
from speceyes_cli.core.chat import (
    Answer,
    Observation,
    Picture,
    Reply,
    Run,
    Size,
    ToolCall,
    ToolError,
    ToolResults,
    chat_pictures,
)
from speceyes_cli.core.methods.policies import extend, turn_note
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions

ORIGINAL = Size(1600, 800)
SEEN = Size(320, 160)
RELATIVE = Reply("", 10, "stop", box_frame="relative")


def quadrants() -> Image.Image:
    """Red, green / blue, white."""
    picture = Image.new("RGB", ORIGINAL, "white")
    half = (ORIGINAL.width // 2, ORIGINAL.height // 2)
    picture.paste("red", (0, 0, *half))
    picture.paste("green", (half[0], 0, ORIGINAL.width, half[1]))
    picture.paste("blue", (0, half[1], half[0], ORIGINAL.height))
    return picture


SAMPLE = Sample("s", "all", Picture("p", quadrants), "Which?", ("red", "green"), "red")


def make(**options: str) -> Qwen:
    return Qwen(AgentOptions(options={name.replace("_", "-"): v for name, v in options.items()}))


def call(name: str = "image_zoom_in_tool", **arguments: object) -> str:
    body = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{body}\n</tool_call>"


def start(agent: Qwen) -> AgentState:
    return AgentState(SAMPLE, agent.open(SAMPLE), 0, (SEEN,))


def run(steps: Generator[Run, Any, Any]) -> Any:
    """A step to its end with its tools really run, as the scheduler would."""
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(wanted.tool(**wanted.arguments))
    except StopIteration as end:
        return end.value


def step(text: str, agent: Qwen | None = None, state: AgentState | None = None) -> Any:
    agent = agent or make()
    return run(agent.step(replace(RELATIVE, text=text), state or start(agent)))


def results(outcome: Any) -> tuple[Observation | ToolError, ...]:
    assert isinstance(outcome, ToolResults), outcome
    return outcome.results


def crop_of(result: object) -> Image.Image:
    assert isinstance(result, Observation), result
    [crop] = result.content
    assert isinstance(crop, Picture)
    return crop.open()


def colour_of(result: object) -> object:
    crop = crop_of(result)
    return crop.getpixel((crop.width // 2, crop.height // 2))


def test_the_tools_are_told_with_the_ask() -> None:
    agent = make()
    assert isinstance(agent, ToolCaller)
    [zoom] = agent.tools
    told = zoom.as_json()["function"]
    assert told["name"] == "image_zoom_in_tool"
    assert list(told["parameters"]["properties"]) == ["bbox_2d", "label", "img_idx"]
    assert [tool.name for tool in make(tools="all").tools] == [
        "image_zoom_in_tool",
        "image_rotate_tool",
        "image_enlarge_tool",
    ]


@pytest.mark.parametrize(
    ("box", "colour"),
    [
        ([0, 0, 490, 490], (255, 0, 0)),
        ([510, 0, 1000, 490], (0, 128, 0)),
        ([0, 510, 490, 1000], (0, 0, 255)),
    ],
)
def test_a_relative_box_is_a_thousandth_of_the_picture(box: list[int], colour: object) -> None:
    [result] = results(step(call(bbox_2d=box, label="x", img_idx=0)))
    assert colour_of(result) == colour


def test_a_box_in_pixels_is_measured_in_the_picture_as_shown() -> None:
    agent = make()
    reply = replace(RELATIVE, text=call(bbox_2d=[170, 0, 310, 70], img_idx=0), box_frame="pixels")
    [result] = results(run(agent.step(reply, start(agent))))
    assert colour_of(result) == (0, 128, 0)


def test_the_units_of_boxes_can_be_told() -> None:
    agent = make(box_frame="pixels")
    [result] = results(step(call(bbox_2d=[170, 0, 310, 70], img_idx=0), agent))
    assert colour_of(result) == (0, 128, 0)


def test_a_small_crop_is_shown_large() -> None:
    [result] = results(step(call(bbox_2d=[0, 0, 20, 40], img_idx=0)))
    crop = crop_of(result)
    assert crop.width * crop.height >= 256 * 32 * 32
    assert (crop.width % 32, crop.height % 32) == (0, 0)


def test_any_earlier_picture_can_be_zoomed_into() -> None:
    agent = make()
    state = start(agent)
    first = replace(RELATIVE, text=call(bbox_2d=[250, 0, 750, 490], img_idx=0))
    messages = extend(state.messages, first, run(agent.step(first, state)), continues_turn=False)
    assert [message.role for message in messages] == ["user", "assistant", "tool"]
    assert len(chat_pictures(messages)) == 2
    later = AgentState(SAMPLE, messages, 1, (SEEN, SEEN))
    left, right = (call(bbox_2d=box, img_idx=1) for box in ([0, 0, 480, 999], [520, 0, 999, 999]))
    found = results(step(left + right, agent, later))
    assert [colour_of(one) for one in found] == [(255, 0, 0), (0, 128, 0)]


def test_every_call_of_a_turn_has_its_result() -> None:
    good = call(bbox_2d=[0, 0, 490, 490], img_idx=0)
    outcome = step(good + call(bbox_2d=[0, 0, 1, 1], img_idx=0) + good + "<tool_call>{</tool_call>")
    first, fractions, third, unread = results(outcome)
    assert isinstance(first, Observation)
    assert isinstance(third, Observation)
    assert isinstance(fractions, ToolError)
    assert isinstance(unread, ToolError)
    note = turn_note(outcome)
    assert (note["outcome"], note["calls"]) == ("observation", 4)
    assert note["kinds"] == [fractions.kind, "bad_json"]


def test_calls_beyond_the_limit_are_told_so() -> None:
    found = results(step(call(bbox_2d=[0, 0, 490, 490], img_idx=0) * (MAX_CALLS + 2)))
    late = [one for one in found if isinstance(one, ToolError)]
    assert [one.kind for one in late] == ["too_many_calls"] * 2


@pytest.mark.parametrize("index", [1, -1, 7, 1.5, "two", True, [0], 10**30])
def test_a_picture_that_does_not_exist_is_told_to_the_model(index: object) -> None:
    [result] = results(step(call(bbox_2d=[0, 0, 490, 490], img_idx=index)))
    assert isinstance(result, ToolError)
    assert result.kind == "no_picture"
    assert "img_idx" in result.text or "picture 0" in result.text


@pytest.mark.parametrize("arguments", [{}, {"img_idx": None}, {"img_idx": "0"}, {"index": 0.0}])
def test_the_first_picture_is_meant_where_none_is_named(arguments: dict[str, object]) -> None:
    [result] = results(step(call(bbox_2d=[0, 0, 490, 490], **arguments)))
    assert colour_of(result) == (255, 0, 0)
    assert isinstance(result, Observation)
    assert result.notes


@pytest.mark.parametrize(
    "box",
    [[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [1200, 300, 1500, 700], ["10%", "10%", "20%", "20%"]],
)
def test_a_box_in_the_wrong_frame_is_told_what_is_meant(box: list[object]) -> None:
    [result] = results(step(call(bbox_2d=box, img_idx=0)))
    assert isinstance(result, ToolError)
    assert result.kind == "wrong_frame"
    assert "from 0 to 1000" in result.text


def test_a_box_above_the_frame_in_pixels_is_told_so_too() -> None:
    agent = make(box_frame="pixels")
    [result] = results(step(call(bbox_2d=[100, 100, 1200, 700], img_idx=0), agent))
    assert isinstance(result, ToolError)
    assert result.kind == "wrong_frame"
    assert "320x160" in result.text


def test_a_box_that_reaches_a_little_beyond_the_picture_is_cut() -> None:
    [result] = results(step(call(bbox_2d=[510, 0, 1020, 490], img_idx=0)))
    assert colour_of(result) == (0, 128, 0)


def test_of_several_pictures_any_can_be_named_and_the_usual_one_is_meant() -> None:
    other = Picture("other", lambda: Image.new("RGB", (64, 64), "yellow"))
    sample = replace(SAMPLE, shown=(other, SAMPLE.picture, "Two pictures."))
    agent = make()
    state = AgentState(sample, agent.open(sample), 0, (Size(64, 64), SEEN))
    box = [0, 0, 490, 490]
    text = call(bbox_2d=box) + call(bbox_2d=box, img_idx=0) + call(bbox_2d=box, img_idx=1)
    found = results(step(text, agent, state))
    assert [colour_of(one) for one in found] == [(255, 0, 0), (255, 255, 0), (255, 0, 0)]


def test_without_a_picture_no_call_can_be_run() -> None:
    agent, sample = make(), replace(SAMPLE, shown=())
    found = results(
        step(call(bbox_2d=[0, 0, 9, 9]), agent, AgentState(sample, agent.open(sample), 0))
    )
    assert [one.kind for one in found if isinstance(one, ToolError)] == ["no_picture"]


def test_a_tool_that_is_not_there_is_told_with_those_that_are() -> None:
    [result] = results(step(call("image_rotate_tool", angle=90, img_idx=0)))
    assert isinstance(result, ToolError)
    assert result.kind == "unknown_tool"
    assert "image_zoom_in_tool" in result.text


def test_a_picture_can_be_turned_and_enlarged() -> None:
    agent = make(tools="all")
    turned, larger = results(
        step(
            call("image_rotate_tool", angle=90, img_idx=0)
            + call("image_enlarge_tool", factor=1.5, img_idx=0),
            agent,
        )
    )
    assert crop_of(turned).size == (ORIGINAL.height, ORIGINAL.width)
    assert crop_of(turned).getpixel((10, 10)) == (0, 0, 255)  # what was below left is now on top
    assert crop_of(larger).size == (2400, 1200)


def test_a_number_that_a_tool_needs_is_asked_for() -> None:
    agent = make(tools="all")
    for bad in ({}, {"angle": "left"}, {"angle": None}, {"angle": float("nan")}):
        [result] = results(step(call("image_rotate_tool", **bad), agent))
        assert isinstance(result, ToolError)
        assert result.kind == "bad_argument"


def test_prose_is_the_answer() -> None:
    for text in (
        "The disc is red.",
        "<think>large</think>\n\nThe disc is red.",
        "large</think>The disc is red.",
        "So it is. <answer>The disc is red.</answer>",
        "I used image_zoom_in_tool on [1, 2, 3, 4].",
    ):
        outcome = step(text)
        assert isinstance(outcome, Answer)
        assert outcome.source == "large"
    assert step("<think>large</think>\n\nThe disc is red.").text == "The disc is red."


def test_a_call_within_an_ended_thought_is_none() -> None:
    thought = f"<think>I could say {call(bbox_2d=[0, 0, 1, 1])}</think>Red."
    assert step(thought) == Answer("Red.", "large")


@pytest.mark.parametrize("text", ["", "  ", "<think>hm</think>", "<think>endless"])
def test_a_turn_that_says_nothing_goes_on(text: str) -> None:
    outcome = step(text)
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "no_action"


def test_a_reply_that_was_cut_is_no_answer() -> None:
    agent = make()
    cut = replace(RELATIVE, text="The disc is", finish="length")
    outcome = run(agent.step(cut, start(agent)))
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "too_long"


def test_calls_that_an_endpoint_gives_apart_are_run() -> None:
    agent = make()
    made = (
        ToolCall("image_zoom_in_tool", '{"bbox_2d": [0, 0, 490, 490], "img_idx": 0}', "a"),
        ToolCall("image_zoom_in_tool", '{"bbox_2d": [0, 0', "b"),
        ToolCall("image_zoom_in_tool", "nonsense", "c"),
        ToolCall("image_zoom_in_tool", "", "d"),
    )
    reply = replace(RELATIVE, text="", calls=made)
    outcome = run(agent.step(reply, start(agent)))
    first, cut, nonsense, empty = results(outcome)
    assert colour_of(first) == (255, 0, 0)
    kinds = [one.kind for one in (cut, nonsense, empty) if isinstance(one, ToolError)]
    assert len(kinds) == 3
    messages = extend((), reply, outcome, continues_turn=False)
    assert messages[0].calls == made
    assert [message.call_id for message in messages[1:]] == ["a", "b", "c", "d"]


def test_a_model_without_tool_training_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    agent = make()
    with caplog.at_level(logging.WARNING):
        for _ in range(9):
            step("Red.", agent)
        assert not caplog.records
        for _ in range(20):
            step("Red.", agent)
    [said] = caplog.records
    assert "first 10 turns" in said.getMessage()


def test_one_call_among_the_first_turns_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    agent = make()
    step("Red.", agent)
    step(call(bbox_2d=[0, 0, 490, 490]), agent)
    for _ in range(20):
        step("Red.", agent)
    assert not caplog.records


PIECES = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        '{"name": "image_zoom_in_tool", "arguments": {',
        '"bbox_2d": [1, 2, 300, 400]',
        '"img_idx": ',
        "0",
        "9",
        ",",
        "}}",
        "image_rotate_tool",
        "Red.",
        "[[",
        "\n",
    ]
)


@given(st.lists(PIECES, max_size=16), st.sampled_from(["stop", "length"]))
def test_whatever_a_model_writes_ends_in_an_outcome(pieces: list[str], finish: Any) -> None:
    agent = make(tools="all")
    reply = replace(RELATIVE, text="".join(pieces), finish=finish)
    outcome = run(agent.step(reply, start(agent)))
    assert isinstance(outcome, ToolResults | Answer | ToolError)
    if isinstance(outcome, ToolResults):
        assert outcome.results
        extend((), reply, outcome, continues_turn=False)
    if isinstance(outcome, Answer):
        assert outcome.text.strip() == outcome.text != ""


def test_a_native_call_that_the_token_limit_cut_is_told_and_not_guessed_at() -> None:
    def calls(finish: Any) -> Any:
        whole = '{"bbox_2d": [0, 0, 500, 500], "img_idx": 0}'
        made = (ToolCall("image_zoom_in_tool", whole), ToolCall("image_zoom_in_tool", whole[:26]))
        agent = make()
        reply = replace(RELATIVE, calls=made, finish=finish)
        return results(run(agent.step(reply, start(agent))))

    first, last = calls("length")  # [0, 0, 500, 50
    assert isinstance(first, Observation)
    assert isinstance(last, ToolError)
    assert last.kind == "bad_json"
    assert last.text == "The arguments are not valid JSON: it is cut off."
    assert all(isinstance(one, Observation) for one in calls("stop"))


def test_an_answer_that_a_thought_goes_back_on_is_none() -> None:
    thought = "<think>So <answer>green</answer>? No, it is red.</think>\n"
    for said in ("red", "<answer>red</answer>"):
        outcome = step(thought + said)
        assert isinstance(outcome, Answer)
        assert outcome.text == "red"
