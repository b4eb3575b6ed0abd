from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.deepeyes.agent import MAX_TURNS, DeepEyes, observation

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import Answer, Observation, Picture, Reply, Run, Size, ToolError
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.samples import QuestionLayout, Sample
from speceyes_cli.host.specs import AgentOptions

ORIGINAL = Size(1680, 840)
SEEN = Size(168, 84)


def quadrants() -> Image.Image:
    """Red, green / blue, white."""
    picture = Image.new("RGB", ORIGINAL, "white")
    half = (ORIGINAL.width // 2, ORIGINAL.height // 2)
    picture.paste("red", (0, 0, *half))
    picture.paste("green", (half[0], 0, ORIGINAL.width, half[1]))
    picture.paste("blue", (0, half[1], half[0], ORIGINAL.height))
    return picture


SAMPLE = Sample("s", "all", Picture("p", quadrants), "Which?", ("red", "green"), "red")


def call(box: object, **extra: object) -> str:
    arguments = {"bbox_2d": box, **extra}
    body = json.dumps({"name": "image_zoom_in_tool", "arguments": arguments})
    return f"<think>closer</think>\n<tool_call>\n{body}\n</tool_call>"


def step(text: str, turn_number: int = 0) -> Observation | Answer | ToolError:
    """One turn with the tool really run, as the scheduler would."""
    agent = DeepEyes(AgentOptions())
    state = AgentState(SAMPLE, agent.open(SAMPLE), turn_number, (SEEN,))
    turn = agent.step(Reply(text, 10, "stop"), state)
    try:
        run = next(turn)
        assert isinstance(run, Run)
        turn.send(run.tool(**run.arguments))
    except StopIteration as end:
        return end.value
    pytest.fail("the agent wanted two tool runs in one turn")


def crop_of(outcome: object) -> Image.Image:
    assert isinstance(outcome, Observation), outcome
    return next(part for part in outcome.content if isinstance(part, Picture)).open()


@pytest.mark.parametrize(
    ("box", "colour"),
    [
        ([0, 0, 84, 42], (255, 0, 0)),
        ([90, 0, 168, 40], (0, 128, 0)),
        ([0, 50, 80, 84], (0, 0, 255)),
        ([100.5, 50.5, 160.0, 80.0], (255, 255, 255)),
    ],
)
def test_a_box_is_mapped_from_the_frame_the_model_saw(
    box: list[float], colour: tuple[int, int, int]
) -> None:
    crop = crop_of(step(call(box, label="x")))
    assert crop.getpixel((crop.width // 2, crop.height // 2)) == colour


def test_a_crop_is_taken_from_the_original_pixels() -> None:
    crop = crop_of(step(call([0, 0, 28, 28])))
    assert crop.size == (280, 280)


def test_a_box_beyond_the_edge_is_cut_and_noted() -> None:
    outcome = step(call([90, -20, 400, 40]))
    assert crop_of(outcome).getpixel((5, 5)) == (0, 128, 0)
    assert isinstance(outcome, Observation)
    assert "cut to the picture" in outcome.notes[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<tool_call>{not json</tool_call>", "bad_json"),
        ("<tool_call>[1, 2]</tool_call>", "bad_box"),
        ("<tool_call></tool_call>", "bad_json"),
        ("<tool_call>zoom, please</tool_call>", "bad_json"),
        ('<tool_call>{"name": "image_zoom_in_tool"}</tool_call>', "bad_box"),
        ("<tool_call>[" + "9" * 5000 + "]</tool_call>", "bad_json"),
        ('<tool_call>{"name": "search", "arguments": {}}</tool_call>', "unknown_tool"),
        (call([1, 2, 3]), "bad_box"),
        (call(None), "bad_box"),
        (call([1, 2, True, 4]), "bad_box"),
        (call([10, 10, 10, 40]), "bad_box"),
        (call([500, 500, 600, 600]), "bad_box"),
        (call([float("nan"), 0, 1, 1]), "bad_box"),
        (call([float("inf"), 0, 1, 1]), "bad_box"),
        ("I would rather talk.", "no_action"),
        ("", "no_action"),
    ],
)
def test_a_broken_call_is_told_to_the_model(text: str, kind: str) -> None:
    outcome = step(text)
    assert isinstance(outcome, ToolError)
    assert outcome.kind == kind
    assert outcome.text.startswith("<tool_response>")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>clear</think><answer>red</answer>", "red"),
        ("<answer> B. green ", "B. green"),
        ("<answer>first</answer> no, <answer>second</answer>", "second"),
        ("<answer></answer>", ""),
        ("<Answer>green</Answer>", "green"),
        (call([0, 0, 84, 42]).removesuffix("</tool_call>") + "no: <answer>red</answer>", "red"),
        ("<answer>red</answer>" + call([0, 0, 84, 42]), "red"),
    ],
)
def test_an_answer_ends_the_loop(text: str, answer: str) -> None:
    outcome = step(text)
    assert isinstance(outcome, Answer)
    assert outcome.text == answer
    assert outcome.source == "large"


def test_what_follows_a_call_is_made_up() -> None:
    crop = crop_of(step(call([0, 0, 84, 42]) + "<answer>blue</answer>"))
    assert crop.getpixel((5, 5)) == (255, 0, 0)


def test_an_answer_without_tags_is_kept_on_the_last_turn_only() -> None:
    earlier, last = step("It is green."), step("It is green.", MAX_TURNS - 1)
    assert isinstance(earlier, ToolError)
    assert isinstance(last, Answer)
    assert (last.text, last.details) == ("It is green.", {"untagged": True})


def test_a_call_whose_closing_tag_was_eaten_still_runs() -> None:
    crop = crop_of(step(call([0, 0, 84, 42]).removesuffix("</tool_call>")))
    assert crop.getpixel((5, 5)) == (255, 0, 0)


@given(st.text())
def test_no_reply_raises(text: str) -> None:
    assert isinstance(step(text), Answer | ToolError | Observation)


numbers = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3), st.booleans())


@given(st.lists(numbers, max_size=6))
def test_no_box_raises(box: list[object]) -> None:
    assert isinstance(step(call(box)), ToolError | Observation)


def test_own_prompts_replace_ours() -> None:
    agent = DeepEyes(AgentOptions(prompts={"system": "Look twice."}))
    assert agent.open(SAMPLE)[0].content == ("Look twice.",)


def test_an_unknown_prompt_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown key 'sistem'; known: screen_system, screen"):
        DeepEyes(AgentOptions(prompts={"sistem": "x"}))


def test_a_text_with_a_place_for_the_question_is_the_whole_text() -> None:
    texts = {
        "screen_system": "Short.",
        "screen": "Q: {question} Zoom?",
        "instruction": "{question}!",
    }
    layout = QuestionLayout(
        "{question} [{options}] Please.", option="({letter}) {option}", short_until="Please"
    )
    agent = DeepEyes(AgentOptions(prompts=texts, question=layout))
    system, user = agent.screen(SAMPLE)
    assert (system.role, system.content) == ("system", ("Short.",))
    assert user.content[1] == "Q: Which? [(A) red\n(B) green]  Zoom?"
    assert agent.open(SAMPLE)[1].content[1] == "Which? [(A) red\n(B) green] Please.!"


def test_a_crop_stands_where_the_layout_has_it() -> None:
    prompts = {**DeepEyes(AgentOptions()).prompts, "observation": "<r>{picture}</r>{reminder}"}
    crop = Picture("c", quadrants)
    assert observation(crop, prompts) == ("<r>", crop, f"</r>{prompts['reminder']}")
