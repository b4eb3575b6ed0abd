from __future__ import annotations

import pytest
from PIL import Image
from speceyes_plugins.agents.thyme.agent import Thyme
from speceyes_plugins.agents.thyme.texts import results

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions

SAMPLE = Sample("a", "test", Picture("a", lambda: Image.new("RGB", (40, 30))), "What?")


def thyme(picture: str) -> Thyme:
    return Thyme(AgentOptions(prompts={"picture": picture}))


def test_own_words_about_the_picture_have_its_facts() -> None:
    agent = thyme("{path}: {width} by {height}, {width}")
    [_, asked] = agent.open(SAMPLE)
    assert "/mnt/data/input.jpg: 40 by 30, 40" in str(asked.content[1])


@pytest.mark.parametrize(
    "picture",
    [
        "{",
        "}",
        "{}",
        "{0}",
        "{widht}",
        "{width:>99999999}",
        "{path.__class__}",
        "{{width}}",
    ],
)
def test_braces_that_stand_for_nothing_are_told(picture: str) -> None:
    with pytest.raises(UsageError, match="stands for nothing; known are"):
        thyme(picture)


def test_braces_elsewhere_are_text() -> None:
    own = {"instruction": 'write {"a": {}} {width}'}
    [_, asked] = Thyme(AgentOptions(prompts=own)).open(SAMPLE)
    assert 'write {"a": {}} {width}' in str(asked.content[1])


def test_an_instruction_with_the_question_is_the_whole_text() -> None:
    own = {"instruction": "<image>\n{question} at {path}, {width}x{height}, {other}"}
    [_, asked] = Thyme(AgentOptions(prompts=own)).open(SAMPLE)
    text = "<image>\nQuestion: What? at /mnt/data/input.jpg, 40x30, {other}"
    assert asked.content == (SAMPLE.picture, text)


def test_results_stand_where_the_layout_has_them() -> None:
    assert results((SAMPLE.picture,), "<o>{results}</o>") == ("<o>", SAMPLE.picture, "</o>")
