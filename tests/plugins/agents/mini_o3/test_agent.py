from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.mini_o3.agent import MAX_TURNS, MiniO3

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import Answer, Observation, Picture, Reply, Run, ToolError
from speceyes_cli.core.methods.policies import extend
from speceyes_cli.core.samples import QuestionLayout, Sample
from speceyes_cli.host.specs import AgentOptions


def halves() -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (1600, 800), "red")
    image.paste("blue", (800, 0, 1600, 800))
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


def grounding(box: object, source: object = "original_image") -> str:
    body = json.dumps({"bbox_2d": box, "source": source})
    return f"<think>closer</think><grounding>{body}</grounding>"


def start(agent: MiniO3, turn: int = 0) -> AgentState:
    return AgentState(SAMPLE, agent.open(SAMPLE), turn)


def step(text: str, state: AgentState | None = None, **changes: Any) -> Any:
    agent = MiniO3(AgentOptions())
    reply = replace(Reply(text, 9, "stop", box_frame="pixels"), **changes)
    return run(agent.step(reply, state or start(agent)))


def colour_of(outcome: object) -> object:
    assert isinstance(outcome, Observation), outcome
    text, crop = outcome.content
    assert isinstance(text, str)
    assert isinstance(crop, Picture)
    image = crop.open()
    return image.getpixel((image.width // 2, image.height // 2))


def test_the_form_is_told_before_the_question() -> None:
    system, user = MiniO3(AgentOptions()).open(SAMPLE)
    assert "<grounding>" in str(system.content[0])
    assert user.content[0] is SAMPLE.picture


@pytest.mark.parametrize(
    ("box", "colour"), [([0, 0, 0.48, 1], (255, 0, 0)), ([0.52, 0.1, 0.9, 0.9], (0, 0, 255))]
)
def test_a_box_is_in_fractions_whatever_the_models_family(box: list[float], colour: object) -> None:
    outcome = step(grounding(box))
    assert colour_of(outcome) == colour
    assert outcome.notes == ()


def test_an_observation_is_numbered_and_can_be_looked_into() -> None:
    agent = MiniO3(AgentOptions())
    state = start(agent)
    first = Reply(grounding([0.25, 0, 0.75, 1]), 9, "stop")
    seen = run(agent.step(first, state))
    assert "Observation 1" in seen.content[0]
    messages = extend(state.messages, first, seen, continues_turn=False)
    later = AgentState(SAMPLE, messages, 1)
    again = step(grounding([0, 0, 0.4, 1], "observation_1"), later)
    assert colour_of(again) == (255, 0, 0)
    assert "Observation 2" in again.content[0]
    assert colour_of(step(grounding([0.6, 0, 1, 1], "observation_1"), later)) == (0, 0, 255)


@pytest.mark.parametrize("source", ["observation_1", "observation_99", "elsewhere", -1, [1], True])
def test_a_picture_that_does_not_exist_is_told_to_the_model(source: object) -> None:
    outcome = step(grounding([0, 0, 0.4, 1], source))
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "no_picture"
    assert "original_image" in outcome.text


@pytest.mark.parametrize("source", [None, "", "original", "Original Image", 0, "observation_0"])
def test_the_original_is_meant_by_many_names(source: object) -> None:
    assert colour_of(step(grounding([0, 0, 0.4, 1], source))) == (255, 0, 0)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (grounding([100, 200, 300, 400]), "wrong_frame"),
        (grounding([0, 0, 1000, 1000]), "wrong_frame"),
        (grounding([0.1, 0.2, 0.3]), "bad_box"),
        (grounding([0.3, 0.3, 0.3, 0.9]), "bad_box"),
        ("<grounding>nothing</grounding>", "bad_json"),
        ("<grounding>", "bad_json"),
        ("<think>hm</think> red", "no_action"),
        ("", "no_action"),
    ],
)
def test_what_cannot_be_run_is_told_with_its_kind(text: str, kind: str) -> None:
    outcome = step(text)
    assert isinstance(outcome, ToolError)
    assert outcome.kind == kind


def test_an_answer_ends_the_loop() -> None:
    assert step("<think>so</think><answer>blue</answer>").text == "blue"
    assert step(grounding([0, 0, 0.4, 1]) + "<answer>blue</answer>") != Answer("blue", "large")
    assert step("<answer>blue</answer>" + grounding([0, 0, 0.4, 1])).text == "blue"


def test_an_answer_without_tags_is_kept_on_the_last_turn() -> None:
    agent = MiniO3(AgentOptions())
    last = start(agent, MAX_TURNS - 1)
    assert step("<think>so</think> blue", last).text == "blue"


PIECES = st.sampled_from(
    [
        "<grounding>",
        "</grounding>",
        "<answer>",
        "</answer>",
        "<think>",
        "</think>",
        '{"bbox_2d": [0.1, 0.2, 0.3, 0.4]',
        '"source": ',
        '"observation_1"',
        '"original_image"',
        ",",
        "}",
        "[[",
        "blue",
        "\n",
    ]
)


@given(st.lists(PIECES, max_size=14), st.sampled_from(["stop", "length"]))
def test_whatever_a_model_writes_ends_in_an_outcome(pieces: list[str], finish: Any) -> None:
    outcome = step("".join(pieces), finish=finish)
    assert isinstance(outcome, Observation | Answer | ToolError)


LAYOUT = QuestionLayout(with_options="Q: {question} ({options})", short_until=" (")


def test_a_users_layout_and_places_hold_for_every_prompt() -> None:
    words = {"screen": "Of {question}, closer?"}
    agent = MiniO3(AgentOptions(prompts=words, question=LAYOUT))
    [screen] = agent.screen(SAMPLE)
    assert screen.content[-1] == "Of Q: Which?, closer?"
    assert agent.open(SAMPLE)[-1].content[-1] == "\nQ: Which? (A. red\nB. blue)"
