"""Texts with open places as prompts of ours, in which places have names in braces."""

from __future__ import annotations

import re

from speceyes_cli.plugin import UsageError
from speceyes_plugins.agents.clones.values import PICTURE, Items, Place, Text

__all__ = ["as_template", "in_question", "letters_and_option"]

NAMES = (
    ("width", re.compile(r"width\W*$", re.IGNORECASE)),
    ("height", re.compile(r"height\W*$", re.IGNORECASE)),
    ("question", re.compile(r"question|prompt|query|problem", re.IGNORECASE)),
    ("path", re.compile(r"path|url|image|img|file", re.IGNORECASE)),
)
"""What a place of another's code means, by the first pattern that its expression has."""
BRACED = re.compile(r"\{(?:question|options|option|letter|path|width|height|picture|reminder)\}")


def as_template(text: Text, where: str, allowed: tuple[str, ...]) -> str:
    """The text with names in braces; `UsageError` for a place that means nothing of ours."""
    whole = ""
    for part in text.parts:
        if isinstance(part, str):
            if braced := BRACED.search(part):
                raise UsageError(
                    f"--prompts: the text at {where} has {braced[0]} itself, which cannot be told "
                    "from a place that is filled in."
                )
            whole += part
            continue
        name = "options" if isinstance(part, Items) else meaning(part)
        if name not in allowed:
            shown = part.expression if isinstance(part, Place) else "a list"
            raise UsageError(
                f"--prompts: the text at {where} is computed ({shown} is known only when the code "
                "runs); write it into a TOML file yourself (`speceyes prompts export` begins one)."
            )
        whole += f"{{{name}}}"
    return whole


def meaning(place: Place) -> str:
    """Our name for a place of another's code; empty where there is none."""
    if place == PICTURE:
        return "picture"
    return next((name for name, found in NAMES if found.search(place.expression)), "")


def letters_and_option(each: Text) -> str | None:
    """One option's line, with {letter} and {option}; None where it is laid out otherwise."""
    places = each.places
    options = [p for p in places if re.search(r"opt|choice", p.expression, re.IGNORECASE)]
    if len(places) != 2 or len(options) != 1 or len(each.places) != len(set(places)):  # noqa: PLR2004
        return None
    names = {place: "option" if place in options else "letter" for place in places}
    return "".join(
        part if isinstance(part, str) else f"{{{names[part]}}}"
        for part in each.parts
        if isinstance(part, str | Place)
    )


def in_question(text: str) -> str:
    """A text that stands right behind the question."""
    return f"{{question}}{text}"
