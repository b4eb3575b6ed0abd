from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speceyes_plugins.engines.chat_rendering import ChatRenderer
from transformers import AutoProcessor

from speceyes_cli.core.chat import Ask, Message, Picture, Role
from speceyes_cli.core.errors import UsageError
from tests.plugins.asking import picture
from tests.plugins.engines.betraying_templates import (
    CLOSES_THOUGHTS,
    DROPS_LATER_PICTURES,
    DROPS_PICTURES,
    NO_PICTURES,
    NUMBERS_PICTURES,
    PICTURES_FIRST,
    PLAIN,
    REFUSES_SYSTEM,
)

SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"
FINE = {"plain": PLAIN, "drops pictures": DROPS_PICTURES, "closes thoughts": CLOSES_THOUGHTS}


@pytest.fixture(scope="module")
def processor(untrained: dict[Role, Path]) -> Any:
    return AutoProcessor.from_pretrained(untrained["small"])


def renderer(processor: Any, template: str) -> ChatRenderer:
    processor.chat_template = template
    return ChatRenderer(processor, "--large eyes")


def question(*content: str | Picture) -> Ask:
    messages = (Message("system", ("Look.",)), Message("user", (picture(1), *content)))
    return Ask("large", messages, 9, phase="agent")


def going_on(ask: Ask, *content: str | Picture) -> Ask:
    messages = (*ask.messages, Message("assistant", content))
    return replace(ask, messages=messages, continue_turn=True)


parts = st.lists(
    st.one_of(st.text("ab <>/think\n\t", max_size=12), st.integers(0, 3).map(picture)), max_size=6
)


@pytest.mark.parametrize("template", FINE.values(), ids=FINE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=parts)
def test_an_unfinished_turn_follows_what_the_model_read_word_for_word(
    processor: Any, template: str, content: list[str | Picture]
) -> None:
    chat = renderer(processor, template)
    ask = question("What colour?")
    written = "".join(part if isinstance(part, str) else SHOWN for part in content)
    assert chat.render(going_on(ask, *content)) == chat.render(ask) + written


def test_the_library_itself_loses_what_is_kept_here(processor: Any) -> None:
    chat = [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "one "},
                {"type": "image"},
                {"type": "text", "text": "two "},
            ],
        },
    ]
    found = {}
    for name, template in FINE.items():
        processor.chat_template = template
        found[name] = processor.apply_chat_template(
            chat, tokenize=False, continue_final_message=True
        ).rpartition("assistant\n")[2]
    assert found == {
        "plain": f"one {SHOWN}two ",
        "drops pictures": "one two ",
        "closes thoughts": f"<think>\n\n</think>\n\none {SHOWN}two",
    }


def test_a_word_is_asked_for_without_a_thought_where_the_template_can(processor: Any) -> None:
    chat = renderer(processor, CLOSES_THOUGHTS)
    ask = question("What colour?")
    assert chat.render(ask).endswith("assistant\n<think>\n")
    for phase in ("screen", "draft", "score"):
        assert chat.render(replace(ask, phase=phase)).endswith("<think>\n\n</think>\n\n")
    thinking = replace(ask, phase="draft", scored_after="</think>")
    assert chat.render(thinking).endswith("assistant\n<think>\n")


@pytest.mark.parametrize("template", [PICTURES_FIRST, NUMBERS_PICTURES])
def test_a_picture_of_no_known_place_keeps_an_unfinished_turn_from_being_shown_one(
    processor: Any, template: str
) -> None:
    chat = renderer(processor, template)
    ask = question("What colour?")
    assert chat.rehearse(ask) is None
    assert chat.rehearse(going_on(ask, "one ")) is None
    assert chat.rehearse(going_on(ask, "one ", picture(2))) == (
        "its chat template refuses the conversation (it does not show how a picture is written in "
        "its place)"
    )


@pytest.mark.parametrize("template", [DROPS_PICTURES, CLOSES_THOUGHTS])
def test_pictures_of_a_finished_turn_stand_where_the_model_wrote_them(
    processor: Any, template: str
) -> None:
    ask = question("What colour?")
    written = ("one ", picture(2), " two <|im_end|>", picture(3), "three")
    turns = (Message("assistant", written), Message("user", ("How good is it?",)))
    chat = renderer(processor, template)
    text = chat.render(replace(ask, messages=(*ask.messages, *turns), phase="score"))
    turn = f"one {SHOWN} two {SHOWN}three<|im_end|>\n<|im_start|>user\nHow good is it?"
    assert turn in text
    assert text.count(SHOWN) == 3


def test_what_a_template_does_to_a_conversation_is_told(processor: Any) -> None:
    ask = question("What colour?")
    finished = (*ask.messages, Message("assistant", ("one", picture(2))), Message("user", ("?",)))
    assert renderer(processor, PLAIN).rehearse(replace(ask, messages=finished)) is None
    later = (*ask.messages, Message("assistant", ("one",)), Message("user", (picture(2), "?")))
    said = renderer(processor, DROPS_LATER_PICTURES).rehearse(replace(ask, messages=later))
    assert said == "its chat template shows 1 of the conversation's 2 pictures"
    said = renderer(processor, REFUSES_SYSTEM).rehearse(ask)
    assert said == "its chat template refuses the conversation (System role not supported)"
    deaf = renderer(processor, PLAIN.replace("{% for message in messages %}", UNSYSTEMATIC))
    assert deaf.rehearse(ask) == "its chat template leaves out text of the system turn"


UNSYSTEMATIC = "{% for message in messages if message.role != 'system' %}"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (NO_PICTURES, "--large eyes cannot be asked: its chat template leaves pictures out"),
        ("{{ nothing.at_all }}", "its chat template refuses a question about two pictures"),
        ("{{ raise_exception('No.') }}", r"two pictures \(No\)"),
        (None, "its chat template refuses a question about two pictures"),
    ],
)
def test_a_template_that_shows_no_picture_is_one_sentence(
    processor: Any, template: str | None, says: str
) -> None:
    processor.chat_template = template
    with pytest.raises(UsageError, match=says):
        ChatRenderer(processor, "--large eyes")
