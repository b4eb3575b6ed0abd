"""What Thyme is shown: its opening turn and the results of its code, inside its own turn."""

from __future__ import annotations

from collections.abc import Mapping

from speceyes_cli.plugin import Message, Picture, Sample, Size, question_text
from speceyes_plugins.sandbox.values import PICTURE

RESULTS_OPEN = "\n<sandbox_output>"
RESULTS_CLOSE = "</sandbox_output>\n"


def opening(sample: Sample, size: Size, prompts: Mapping[str, str]) -> tuple[Message, ...]:
    """The picture, its path and size, the question."""
    where = prompts["picture"].format(path=PICTURE, width=size.width, height=size.height)
    text = f"{where}\n{question_text(sample)}\n{prompts['instruction']}"
    return (Message("system", (prompts["system"],)), Message("user", (sample.picture, text)))


def results(content: tuple[str | Picture, ...]) -> tuple[str | Picture, ...]:
    """Pictures or text in the tags the model knows them by."""
    return (RESULTS_OPEN, *content, RESULTS_CLOSE)
