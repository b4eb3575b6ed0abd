"""What an exception says, made fit for the end of a sentence."""

from __future__ import annotations

from speceyes_cli.core.secrets import hide_hub_token
from speceyes_cli.core.text import one_line, strip_control

LONGEST = 200
"""Characters that are told of it."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without a stop at its end; its class where it has none.

    Keys of the Hugging Face hub and passwords in addresses are hidden, and a long line is cut.
    """
    said = strip_control(hide_hub_token(str(error))).strip()
    line = one_line(said.partition("\n")[0], LONGEST)
    return line.rstrip(". ") or type(error).__name__
