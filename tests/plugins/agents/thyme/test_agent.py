from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.thyme.agent import Thyme

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import (
    Answer,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    ToolError,
)
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.plugin_options import OptionValues
from speceyes_cli.host.specs import AgentOptions

OUT = "/mnt/data/temp_processed_images"
CROP = f"""
from PIL import Image
image = Image.open("/mnt/data/input.jpg")
image.crop((0, 0, 100, 100)).save("{OUT}/a.png")
print("{OUT}/a.png")
"""


def half_red() -> Image.Image:
    picture = Image.new("RGB", (400, 300), "white")
    picture.paste("red", (0, 0, 200, 300))
    return picture


def sample(name: str = "s") -> Sample:
    return Sample(name, "all", Picture("p", half_red), "Which?", ("red", "green"), "red")


@pytest.fixture(scope="module")
def agent() -> Iterator[Thyme]:
    made = Thyme(AgentOptions())
    yield made
    made.close()


def block(code: str) -> str:
    return f"<think>closer</think>\n<code>\n```python\n{code}\n```\n</code>"


def step(
    agent: Thyme, text: str, name: str = "s", number: int = 0
) -> Observation | Answer | ToolError:
    """One turn with the code really run, as the scheduler would."""
    one = sample(name)
    turn = agent.step(Reply(text, 10, "stop"), AgentState(one, agent.open(one), number))
    try:
        run = next(turn)
        assert isinstance(run, Run)
        turn.send(run.tool(**run.arguments))
    except StopIteration as end:
        return end.value
    pytest.fail("the agent wanted two tool runs in one turn")


def test_the_prompt_gives_path_and_size(agent: Thyme) -> None:
    text = agent.open(sample())[1].content[1]
    assert isinstance(text, str)
    assert "/mnt/data/input.jpg, 400x300 pixels" in text


def test_a_crop_comes_back_as_a_picture_in_tags(agent: Thyme) -> None:
    seen = step(agent, block(CROP))
    assert isinstance(seen, Observation), seen
    opening, crop, closing = seen.content
    assert (opening, closing) == ("\n<sandbox_output>", "</sandbox_output>\n")
    assert isinstance(crop, Picture)
    assert crop.open().size == (100, 100)
    assert crop.open().getpixel((50, 50)) == (255, 0, 0)


def test_several_pictures_come_back_in_order(agent: Thyme) -> None:
    code = "from PIL import Image\n" + "".join(
        f'Image.new("RGB", ({w}, 80)).save("{OUT}/{w}.png")\nprint("{OUT}/{w}.png")\n'
        for w in (90, 120)
    )
    seen = step(agent, block(code))
    assert isinstance(seen, Observation)
    widths = [p.open().width for p in seen.content if isinstance(p, Picture)]
    assert widths == [90, 120]


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("<CODE>\n```python\nprint(6 * 7)\n```\n</CODE>", False),
        ('< code lang="python" >\nprint(6 * 7)\n</ code >', False),
        ("<think>x</think>\n```python\nprint(6 * 7)\n```\nIt printed 43.", True),
        ("```Py\nprint(6 * 7)", True),
        ("~~~python\nprint(6 * 7)\n~~~", True),
        ("``` {.python}\nprint(6 * 7)\n</code>", True),
    ],
)
def test_code_is_found_however_its_tags_are_spelt(agent: Thyme, text: str, noted: bool) -> None:
    seen = step(agent, text)
    assert isinstance(seen, Observation), seen
    assert seen.content[1] == "42"
    assert ("code without tags" in seen.notes) == noted


def test_an_answer_without_tags_is_kept_on_the_last_turn_only(agent: Thyme) -> None:
    earlier, last = step(agent, "It is red."), step(agent, "It is red.", number=agent.max_turns - 1)
    assert isinstance(earlier, ToolError)
    assert isinstance(last, Answer)
    assert (last.text, last.details) == ("It is red.", {"untagged": True})


def test_printed_values_come_back_as_text(agent: Thyme) -> None:
    seen = step(agent, block("print(6 * 7)"))
    assert isinstance(seen, Observation)
    assert seen.content[1] == "42"


def test_long_text_is_cut_and_says_so(agent: Thyme) -> None:
    seen = step(agent, block("print('x' * 5000)"))
    assert isinstance(seen, Observation)
    assert seen.content[1] == "x" * 4000 + "\n[output cut]"
    assert seen.notes == ("printed text cut at 4000 characters",)


def test_variables_live_on_within_a_trajectory_only(agent: Thyme) -> None:
    step(agent, block("x = 5\nprint(x)"), "first")
    again = step(agent, block("print(x + 1)"), "first")
    assert isinstance(again, Observation)
    assert again.content[1] == "6"
    other = step(agent, block("print(x)"), "second")
    assert isinstance(other, ToolError)
    assert "NameError" in other.text
    agent.forget(sample("first").key)
    gone = step(agent, block("print(x)"), "first")
    assert isinstance(gone, ToolError)


def test_fresh_state_starts_every_block_anew() -> None:
    fresh = Thyme(AgentOptions(options=OptionValues((("state", "fresh"),))))
    try:
        step(fresh, block("x = 5\nprint(x)"))
        assert isinstance(step(fresh, block("print(x)")), ToolError)
    finally:
        fresh.close()


def test_repairs_are_noted(agent: Thyme) -> None:
    code = CROP.replace("/mnt/data/input.jpg", "/data/wrong.png")
    seen = step(agent, block(code))
    assert isinstance(seen, Observation), seen
    assert seen.notes


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (block("print("), "syntax"),
        (block("x = 1"), "no_output"),
        (block(f'print("{OUT}/none.png")'), "missing_file"),
        (block("1 / 0"), "exception"),
        ("I would rather talk.", "no_action"),
        ("", "no_action"),
    ],
)
def test_what_fails_is_told_to_the_model(agent: Thyme, text: str, kind: str) -> None:
    seen = step(agent, text)
    assert isinstance(seen, ToolError)
    assert seen.kind == kind
    assert "<sandbox_output>" in seen.text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>clear</think><answer>red</answer>", "red"),
        (block(CROP) + "<answer> green", "green"),
    ],
)
def test_an_answer_ends_the_loop(agent: Thyme, text: str, answer: str) -> None:
    seen = step(agent, text)
    assert isinstance(seen, Answer)
    assert seen.text == answer


@pytest.mark.parametrize("text", ["<think>```python\nprint(42)\n```", "```json\n{}\n```", "`a`"])
def test_other_blocks_are_no_code(agent: Thyme, text: str) -> None:
    assert isinstance(step(agent, text), ToolError)


def test_repairs_of_code_that_fails_are_noted(agent: Thyme) -> None:
    one = sample()
    turn = agent.step(Reply(block("cv.x\n1 / 0"), 1, "stop"), AgentState(one, agent.open(one), 0))
    run = next(turn)
    assert isinstance(run, Run)
    seen = run.tool(**run.arguments)
    assert isinstance(seen, ToolError)
    assert seen.notes == ("cv. -> cv2.", "added: import cv2")


PIECES = ["<code>", "</code>", "```", "~~~", "<answer>", "<", "<think>", "</think>", "py", "\n"]
WHOLE = f"<think>closer</think>\n<code>\n```python\n{CROP}```\n</code>\n<answer>red</answer>"


@given(
    st.integers(0, len(WHOLE)).map(lambda end: WHOLE[:end])
    | st.lists(st.sampled_from(PIECES)).map("".join)
)
def test_any_reply_is_an_answer_code_or_told(agent: Thyme, text: str) -> None:
    one = sample()
    turn = agent.step(Reply(text, 10, "length"), AgentState(one, agent.open(one), 0))
    outcome: object
    try:
        outcome = next(turn)
    except StopIteration as end:
        outcome = end.value
    assert isinstance(outcome, Run | Answer | ToolError)


def test_code_may_open_every_picture_of_the_conversation(agent: Thyme) -> None:
    earlier = Picture("earlier", lambda: Image.new("RGB", (60, 40), "blue"))
    one = Sample(
        "several",
        "all",
        Picture("p", half_red),
        "Which?",
        earlier=(Message("user", (earlier, "Look.")), Message("assistant", ("I do.",))),
    )
    opened = agent.open(one)
    assert opened[1:3] == one.earlier
    assert "Picture 1 of the conversation is /mnt/data/picture_1.png, 60x40" in str(opened[3])
    code = block(
        "from PIL import Image\n"
        "print(Image.open('/mnt/data/picture_1.png').size, Image.open('/mnt/data/input.jpg').size)"
    )
    turn = agent.step(Reply(code, 10, "stop"), AgentState(one, opened, 0))
    run = next(turn)
    assert isinstance(run, Run)
    with pytest.raises(StopIteration) as end:
        turn.send(run.tool(**run.arguments))
    assert "(60, 40) (400, 300)" in str(end.value.value)
