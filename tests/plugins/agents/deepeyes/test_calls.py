"""Calls and replies as models write them, and the box or the error that each must give."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.deepeyes.agent import MAX_TURNS, TOOL, DeepEyes

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import (
    Answer,
    BoxFrame,
    Observation,
    Picture,
    Reply,
    Run,
    Size,
    ToolError,
)
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.plugin_options import OptionValues
from speceyes_cli.host.specs import AgentOptions
from tests.plugins.agents.deepeyes.call_forms import ARGUMENTS, MARKUP, MENDED, STRICT

SEEN = Size(1000, 800)
SAMPLE = Sample(
    "s", "all", Picture("p", lambda: Image.new("RGB", SEEN)), "Which?", ("red", "green"), "red"
)
BOX = (10, 20, 110, 120)
SLACK = 0.25  # seconds that a busy machine may take from a thread; time squared would be more
PLAIN = STRICT[1]


def answer_to(
    text: str,
    turn: int = 0,
    finish: str = "stop",
    told: BoxFrame | None = None,
    **chosen: str,
) -> tuple[Run | None, Observation | Answer | ToolError]:
    """The tool run that a reply asks for, if any, and how its turn ends."""
    own = OptionValues(tuple((name.replace("_", "-"), value) for name, value in chosen.items()))
    agent = DeepEyes(AgentOptions(options=own))
    state = AgentState(SAMPLE, agent.open(SAMPLE), turn, (SEEN,))
    reply = Reply(text, 10, "length" if finish == "length" else "stop", box_frame=told)
    step = agent.step(reply, state)
    run = None
    try:
        run = next(step)
        step.send(run.tool(**run.arguments))
    except StopIteration as end:
        return run, end.value
    pytest.fail("the agent wanted two tool runs in one turn")


def plain(arguments: str) -> str:
    return f'{{"name": "{TOOL}", "arguments": {arguments}}}'


def tagged(call: str) -> str:
    return f"<think>closer</think>\n<tool_call>\n{call}\n</tool_call>"


@pytest.mark.parametrize("call", [*STRICT, *MENDED])
def test_a_call_is_read_in_every_form_and_what_was_mended_is_noted(call: str) -> None:
    run, outcome = answer_to(tagged(call))
    assert run is not None, outcome
    assert run.arguments["box"] == BOX
    assert isinstance(outcome, Observation)
    assert outcome.notes == run.notes
    assert bool(run.notes) == (call not in STRICT)


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        ('{"name": "image_rotate", "arguments": {"angle": 90}}', "unknown_tool", "image_rotate"),
        ('{"name": "image_rotate", "bbox_2d": [1, 2, 30, 40]}', "unknown_tool", TOOL),
        ("image_rotate(90)", "unknown_tool", TOOL),
        ('{"name": "image_zoom_out_tool", "bbox_2d": [1, 2, 30, 40]}', "unknown_tool", TOOL),
        ("image_rotate\n" + ARGUMENTS[0], "unknown_tool", TOOL),
        ('{"image_rotate": {"angle": 90}}', "unknown_tool", TOOL),
        ("<function=image_rotate><parameter=angle>90</parameter>", "unknown_tool", TOOL),
        (plain('{"bbox_2d": [0.01, 0.02, 0.1, 0.15]}'), "wrong_frame", "1000x800"),
        (plain('{"bbox_2d": [0, 300, 1000, 301]}'), "bad_box", "too thin"),
        (plain('{"bbox_2d": [2000, 0, 3000, 9]}'), "bad_box", "outside"),
        (plain('{"label": "a sign"}'), "bad_box", "no bbox_2d"),
        (plain("{}"), "bad_box", "no bbox_2d"),
        (plain('{"bbox_2d": [1, 2, 3]}'), "bad_box", "3 were given"),
        (plain('{"bbox_2d": [' + "9" * 5000 + ", 2, 3, 4]}"), "bad_json", "digits"),
        ("", "bad_json", "empty"),
        ("zoom, please", "bad_json", "not valid JSON"),
        ("{" * 50_000, "bad_json", "longer than"),
        ("{" * 9_900, "bad_json", ""),
    ],
)
def test_an_error_says_what_is_wrong_with_this_call(call: str, kind: str, said: str) -> None:
    run, outcome = answer_to(tagged(call))
    assert isinstance(outcome, ToolError)
    assert outcome.kind == kind
    assert said in outcome.text
    assert outcome.text.startswith("<tool_response>")
    assert run is None or kind == "bad_box"


def test_a_call_without_tags_is_run() -> None:
    run, _ = answer_to(f"<think>closer</think>\n{PLAIN}")
    assert run is not None
    assert run.arguments["box"] == BOX
    assert run.notes == ("a call without tags",)


@pytest.mark.parametrize("text", [f"I could use {TOOL} here.", f"<think>{PLAIN}</think>"])
def test_talk_of_the_tool_is_no_call(text: str) -> None:
    run, outcome = answer_to(text)
    assert run is None
    assert isinstance(outcome, ToolError)
    assert outcome.kind == "no_action"


@pytest.mark.parametrize("turn", [0, MAX_TURNS - 1])
def test_a_broken_call_without_tags_is_no_answer(turn: int) -> None:
    run, outcome = answer_to(PLAIN.replace('"bbox_2d": [', "]"), turn)
    assert run is None
    assert isinstance(outcome, ToolError)


def test_what_a_call_may_be_cut_to_is_never_another_box() -> None:
    """A reply cut at every position: the whole box or an error, an answer where it is one."""
    for text in (tagged(PLAIN), tagged(MARKUP), "<think>x</think><answer>green</answer>"):
        for end in range(len(text) + 1):
            for turn in (0, MAX_TURNS - 1):
                run, outcome = answer_to(text[:end], turn, "length")
                assert run is None or run.arguments["box"] == BOX
                assert isinstance(outcome, Observation | ToolError | Answer)
                if isinstance(outcome, Answer):
                    assert "green".startswith(outcome.text)


@pytest.mark.parametrize(
    ("told", "chosen", "used", "box"),
    [
        (None, {}, "pixels", (10, 20, 110, 120)),
        ("pixels", {}, "pixels", (10, 20, 110, 120)),
        ("relative", {}, "relative", (10, 16, 110, 96)),
        ("relative", {"box_frame": "pixels"}, "pixels", (10, 20, 110, 120)),
        ("pixels", {"box_frame": "relative"}, "relative", (10, 16, 110, 96)),
    ],
)
def test_the_engine_tells_what_boxes_are_measured_in_and_an_option_overrides(
    told: BoxFrame | None, chosen: dict[str, str], used: str, box: tuple[int, ...]
) -> None:
    run, outcome = answer_to(tagged(PLAIN), told=told, **chosen)
    assert run is not None
    assert run.arguments["box_frame"] == used
    assert isinstance(outcome, Observation)
    crop = next(part for part in outcome.content if isinstance(part, Picture))
    assert crop.name == f"crop 1 {box}"


def test_rounding_as_upstream_cuts_is_an_option() -> None:
    body = PLAIN.replace("[10, 20, 110, 120]", "[10.5, 20.5, 110.5, 120.5]")
    for chosen, region in (("outward", (10, 20, 111, 121)), ("truncate", (10, 20, 110, 120))):
        _, outcome = answer_to(tagged(body), box_rounding=chosen)
        assert isinstance(outcome, Observation)
        crop = next(part for part in outcome.content if isinstance(part, Picture))
        assert crop.name == f"crop 1 {region}"


FRAGMENTS = (
    *(
        "<tool_call>",
        "</tool_call>",
        "<answer>",
        "</",
        "<think>",
        "</think>",
        "<",
        "```json\n",
        "✿",
    ),
    *("{", "}", "[", "]", "(", '"', "'", "\\", ",", ":", " ", "\n", "10", TOOL, "<parameter=a>"),
    *('{"name": "', '"arguments": ', f'{{"name": "{TOOL}", ', '{"bbox_2d": [', "<function=", "/*"),
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join), st.sampled_from([0, 5]))
def test_fragments_never_raise(text: str, turn: int) -> None:
    assert isinstance(answer_to(text, turn)[1], Observation | ToolError | Answer)


@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4).map("".join))
@settings(max_examples=20)
def test_the_time_for_repeated_fragments_grows_in_proportion(fragment: str) -> None:
    agent = DeepEyes(AgentOptions())
    state = AgentState(SAMPLE, agent.open(SAMPLE), 0, (SEEN,))

    def seconds(length: int) -> float:
        text = "<tool_call>" + (fragment * length)[:length]
        best = 1.0
        for _ in range(3):
            began = time.thread_time()
            with contextlib.suppress(StopIteration):
                next(agent.step(Reply(text, 1, "stop"), state))
            best = min(best, time.thread_time() - began)
        return best

    for length in (2_400, 25_000):
        assert seconds(4 * length) < 8 * seconds(length) + SLACK


@pytest.mark.parametrize("sign", ["<", "{", "[", '"', "\\", "9", " ", "a", "`", ",", "\0", "字"])
def test_a_hundred_thousand_signs_of_one_kind(sign: str) -> None:
    for text in (sign * 100_000, "<tool_call>" + sign * 9_900, "<answer>" + sign * 100_000):
        for turn in (0, MAX_TURNS - 1):
            assert isinstance(answer_to(text, turn)[1], Observation | ToolError | Answer)
