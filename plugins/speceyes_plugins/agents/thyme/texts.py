"""What Thyme is shown: its opening turn and the results of its code, inside its own turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.plugin import (
    QUESTION,
    Message,
    Picture,
    Sample,
    Size,
    UsageError,
    fill,
    one_line,
    question_turns,
    with_question,
)
from speceyes_plugins.sandbox.values import PICTURE


class Other(NamedTuple):
    """A further picture of the conversation."""

    place: int
    """Among all of them, from 0."""
    path: str
    size: Size

    @property
    def ordinal(self) -> str:
        """What a model is told that it is."""
        return f"Picture {self.place + 1} of the conversation"


FACTS = ("path", "width", "height")
"""What the words about the picture may have in braces."""
_BRACES = re.compile(r"\{([^{}]*)\}|[{}]")
RESULTS = "{results}"


def opening(
    sample: Sample,
    question: str,
    size: Size,
    prompts: Mapping[str, str],
    others: Sequence[Other] = (),
) -> tuple[Message, ...]:
    """The conversation, the paths and sizes of its pictures, the question.

    An instruction that has a place for the question is the whole text.
    """
    facts = {"path": PICTURE, "width": str(size.width), "height": str(size.height)}
    further = [
        f"{one.ordinal} is {one.path}, {one.size.width}x{one.size.height} pixels." for one in others
    ]
    text = with_question(prompts["instruction"], "\n".join([*further, question]), facts)
    if QUESTION not in prompts["instruction"]:
        text = f"{fill(prompts['picture'], facts)}\n{text}"
    return question_turns(sample, text, prompts["system"])


def check_prompts(prompts: Mapping[str, str]) -> None:
    """Raise `UsageError` when the words about the picture have braces that stand for nothing."""
    for found in _BRACES.finditer(prompts["picture"]):
        if found[1] not in FACTS:
            known = ", ".join(f"{{{name}}}" for name in FACTS)
            raise UsageError(
                f"--prompts: 'picture' has {one_line(found[0], 40)}, which stands for nothing; "
                f"known are {known}."
            )


def results(content: tuple[str | Picture, ...], observation: str) -> tuple[str | Picture, ...]:
    """Pictures or text in the tags the model knows them by."""
    before, _, behind = observation.partition(RESULTS)
    return tuple(part for part in (before, *content, behind) if part)
