r"""Reads what a model puts in \boxed{}."""

from __future__ import annotations

import re

OPENING = re.compile(r"\\boxed\s*+\{")
WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*+\{")


def boxed_answer(text: str) -> str | None:
    r"""What the last \boxed{} holds; None where there is none with something in it.

    Braces within it are matched. One that is not closed counts to the end of its line, and a
    wrapper such as \text{} around all of it is left out.
    """
    for opening in reversed(list(OPENING.finditer(text))):
        held = _unwrapped(_held(text, opening.end()).strip())
        if held:
            return held
    return None


def _unwrapped(text: str) -> str:
    wrapper = WRAPPER.match(text)
    if wrapper is None:
        return text
    held = _held(text, wrapper.end())
    whole = wrapper.end() + len(held) + 1 == len(text)
    return held.strip() if whole else text


def _held(text: str, start: int) -> str:
    depth = 1
    for place in range(start, len(text)):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return text[start:place]
    return text[start:].partition("\n")[0]
