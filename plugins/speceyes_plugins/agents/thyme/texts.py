"""What Thyme is shown: its opening turn and the results of its code, inside its own turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.plugin import (
    Message,
    Picture,
    Sample,
    Size,
    UsageError,
    one_line,
    question_text,
    question_turns,
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
RESULTS_OPEN = "\n<sandbox_output>"
RESULTS_CLOSE = "</sandbox_output>\n"


def opening(
    sample: Sample, size: Size, prompts: Mapping[str, str], others: Sequence[Other] = ()
) -> tuple[Message, ...]:
    """The conversation, the paths and sizes of its pictures, the question."""
    facts = {"path": PICTURE, "width": str(size.width), "height": str(size.height)}
    where = _BRACES.sub(lambda found: facts[found[1]], prompts["picture"])
    further = [
        f"{one.ordinal} is {one.path}, {one.size.width}x{one.size.height} pixels." for one in others
    ]
    text = "\n".join([where, *further, question_text(sample), prompts["instruction"]])
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


def results(content: tuple[str | Picture, ...]) -> tuple[str | Picture, ...]:
    """Pictures or text in the tags the model knows them by."""
    return (RESULTS_OPEN, *content, RESULTS_CLOSE)
