from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.boxes import Box
from speceyes_plugins.agents.pixel_reasoner.agent import MARGIN, MOST_MARGIN, PixelReasoner, crop

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import (
    Answer,
    Observation,
    Picture,
    Reply,
    Run,
    ToolCall,
    ToolError,
    ToolResults,
)
from speceyes_cli.core.samples import QuestionLayout, Sample
from speceyes_cli.host.specs import AgentOptions


def halves(width: int = 1600, height: int = 800) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image


SAMPLE = Sample("s", "all", Picture("p", halves), "Which?", ("red", "blue"), "blue")


def run(steps: Generator[Run, Any, Any]) -> Any:
    """A step to its end with its tools really run, as the scheduler would."""
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(wanted.tool(**wanted.arguments))
    except StopIteration as end:
        return end.value


def call(box: object, **more: object) -> str:
    arguments = {"bbox_2d": box, "target_image": 1, **more}
    body = json.dumps({"name": "crop_image_normalized", "arguments": arguments})
    return f"Let me look.\n<tool_call>\n{body}\n</tool_call>"


def step(text: str, **changes: Any) -> Any:
    agent = PixelReasoner(AgentOptions())
    reply = replace(Reply(text, 9, "stop", box_frame="pixels"), **changes)
    return run(agent.step(reply, AgentState(SAMPLE, agent.open(SAMPLE), 0)))


def colour_of(outcome: object) -> object:
    assert isinstance(outcome, Observation), outcome
    picture = outcome.content[-1]
    assert isinstance(picture, Picture)
    image = picture.open()
    return image.getpixel((image.width // 2, image.height // 2))


def test_the_function_is_told_in_its_trained_form() -> None:
    [tool] = PixelReasoner(AgentOptions()).tools
    told = tool.as_json()["function"]
    assert told["name"] == "crop_image_normalized"
    assert told["parameters"]["required"] == ["bbox_2d", "target_image"]


@pytest.mark.parametrize(
    ("box", "colour"), [([0, 0, 0.3, 1], (255, 0, 0)), ([0.7, 0.1, 0.9, 0.9], (0, 0, 255))]
)
def test_a_crop_is_shown_with_its_size_in_a_user_turn(box: list[float], colour: object) -> None:
    outcome = step(call(box))
    assert colour_of(outcome) == colour
    text, picture = outcome.content
    width, height = picture.open().size
    assert text.startswith("\n")
    assert f"{width}x{height}" in text
    assert width * height >= 256 * 28 * 28


@pytest.mark.parametrize("size", [(1000, 500), (12_000, 600)])
def test_a_margin_is_added_as_the_models_own_tool_does(size: tuple[int, int]) -> None:
    width, height = size
    picture = Picture("p", lambda: halves(*size))
    seen = crop(picture, Box(0.4, 0.4, 0.6, 0.6), box_frame="fractions", turn=0)
    assert isinstance(seen, Observation)
    [shown] = seen.content
    assert isinstance(shown, Picture)
    across, down = min(MARGIN * width, MOST_MARGIN), min(MARGIN * height, MOST_MARGIN)
    expected = (
        0.4 * width - across,
        0.4 * height - down,
        0.6 * width + across,
        0.6 * height + down,
    )
    edges = [int(side) for side in shown.name.partition("(")[2].rstrip(")").split(",")]
    assert edges == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("target", [0, 2, 99, "x", 1.5, -1])
def test_a_picture_that_does_not_exist_is_told_to_the_model(target: object) -> None:
    outcome = step(call([0, 0, 0.4, 1], target_image=target))
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "no_picture"


def test_boxes_in_pixels_are_told_what_is_meant() -> None:
    outcome = step(call([100, 200, 300, 400]))
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "wrong_frame"
    assert "from 0 to 1" in outcome.text


def test_the_last_call_of_a_turn_is_run() -> None:
    assert colour_of(step(call([0, 0, 0.3, 1]) + call([0.7, 0, 1, 1]))) == (0, 0, 255)


def test_calls_that_an_endpoint_gives_apart_are_all_answered() -> None:
    arguments = [{"bbox_2d": [0, 0, 0.3, 1], "target_image": 1}, {"bbox_2d": [1, 2]}]
    calls = tuple(
        ToolCall("crop_image_normalized", json.dumps(one), str(place))
        for place, one in enumerate(arguments)
    )
    outcome = step("", calls=calls)
    assert isinstance(outcome, ToolResults)
    good, bad = outcome.results
    assert colour_of(good) == (255, 0, 0)
    assert isinstance(bad, ToolError)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So it is \boxed{blue}.", "blue"),
        (r"\boxed{red} no, \boxed{\text{B. blue}}", "B. blue"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\text{a} and \text{b}}", r"\text{a} and \text{b}"),
        (r"\boxed{blue", "blue"),
        ("It is blue.", "It is blue."),
    ],
)
def test_the_boxed_text_is_the_answer(text: str, answer: str) -> None:
    assert step(text) == Answer(answer, "large")


def test_a_reply_that_was_cut_or_is_empty_is_no_answer() -> None:
    for text, finish in (("It is", "length"), ("", "stop"), (r"\boxed{}", "length")):
        outcome = step(text, finish=finish)
        assert isinstance(outcome, ToolError)


@given(st.text("abc 1{}", max_size=20))
def test_matched_braces_within_a_box_are_kept(held: str) -> None:
    inner = held.replace("{", "").replace("}", "").strip()
    said = f"\\boxed{{{{{inner}}}}}"
    assert step(said) == Answer(f"{{{inner}}}", "large")


PIECES = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        '{"name": "crop_image_normalized", "arguments": {"bbox_2d": [0.1, 0.2, 0.3, 0.4]',
        '"target_image": 1',
        "crop_image_normalized",
        ",",
        "}}",
        "\\boxed{",
        "}",
        "blue",
        "<think>",
        "</think>",
    ]
)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["stop", "length"]))
def test_whatever_a_model_writes_ends_in_an_outcome(pieces: list[str], finish: Any) -> None:
    outcome = step("".join(pieces), finish=finish)
    assert isinstance(outcome, Observation | Answer | ToolError)


LAYOUT = QuestionLayout(with_options="Q: {question} ({options})", short_until=" (")


def test_a_users_layout_and_places_hold_for_every_prompt() -> None:
    words = {"screen": "Of {question}, closer?", "instruction": "Look: {question}"}
    agent = PixelReasoner(AgentOptions(prompts=words, question=LAYOUT))
    [screen] = agent.screen(SAMPLE)
    assert screen.content[-1] == "Of Q: Which?, closer?"
    assert agent.open(SAMPLE)[-1].content[-1] == "Look: Q: Which? (A. red\nB. blue)"


def test_a_box_that_a_thought_goes_back_on_is_no_answer() -> None:
    outcome = step("<think>\\boxed{A}? No.</think>It is B.")
    assert isinstance(outcome, Answer)
    assert outcome.text == "It is B."
