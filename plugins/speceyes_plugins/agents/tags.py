"""What agents share: reading tags from a reply, and prompts from TOML files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from speceyes_cli.plugin import METHOD_KEYS, Answer, Reply, UsageError

__all__ = [
    "Tagged",
    "after_thought",
    "all_tagged",
    "answers_first",
    "last_tagged",
    "load_prompts",
    "untagged_answer",
    "without_partial_tag",
]

THOUGHT = "think"
FENCE = re.compile(r"(?i)(```|~~~)[ \t]*+\{?\.?(?:i?python|py)[\d.]*+\}?[ \t]*+\n")


class Tagged(NamedTuple):
    """What stands between an opening tag and its closing tag."""

    content: str
    start: int
    """Where the opening tag begins in the text."""
    end: int
    """Where the closing tag ends; the text's length where there is none."""
    closed: bool
    """Whether the closing tag was there. A server that cuts off its stop text leaves it out."""


@lru_cache
def _tag(name: str, slash: str) -> re.Pattern[str]:
    """A tag in any case, with blanks and attributes; linear, since every blank is taken once."""
    return re.compile(rf"<\s*+{slash}{name}(?:\s[^<>]*+)?>", re.IGNORECASE)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    return found


def last_tagged(text: str, name: str) -> Tagged | None:
    """What follows the last opening tag, as in `all_tagged`; None where there is none."""
    found = all_tagged(text, name)
    return found[-1] if found else None


def all_tagged(text: str, name: str) -> list[Tagged]:
    """What follows each opening tag, up to its closing tag, the next opening one or the end.

    Tags may be in any case, hold blanks and attributes: `< Answer >`, `<tool_call id="1">`. A
    closing tag of which only the beginning is there, such as `</ans`, is left out.
    """
    openings = list(_tag(name, "").finditer(text))
    found: list[Tagged] = []
    for opening, following in zip(openings, [*openings[1:], None], strict=False):
        end = following.start() if following is not None else len(text)
        closing = _tag(name, r"/\s*+").search(text, opening.end(), end)
        stop = end if closing is None else closing.start()
        content = text[opening.end() : stop]
        if closing is None:
            found.append(Tagged(without_partial_tag(content), opening.start(), end, closed=False))
        else:
            found.append(Tagged(content, opening.start(), closing.end(), closed=True))
    return found


def answers_first(answer: Tagged, call: Tagged) -> bool:
    """Whether the turn ends with the answer: at whichever closes first, else with the later one.

    What a model writes after its call's closing tag rests on a picture that it has not been shown.
    """
    first = min(answer, call, key=lambda tagged: tagged.start)
    return (first is answer) == first.closed


def untagged_code(text: str) -> str | None:
    """The first block that a fence calls Python, behind the thought; None where there is none.

    What a model writes after it rests on results that it has not been shown.
    """
    said = after_thought(text) or ""
    opening = FENCE.search(said)
    if opening is None:
        return None
    rest = said[opening.end() :]
    block, _, _ = rest.partition(opening.group(1))
    closing = _tag("code", r"/\s*+").search(block)
    return block[: closing.start()] if closing else block


def without_partial_tag(text: str) -> str:
    """The text without a closing tag at its end that was cut before its `>`."""
    start = text.rfind("<")
    return text[:start] if start >= 0 and re.fullmatch(r"(?:/\w*+)?", text[start + 1 :]) else text


def after_thought(text: str) -> str | None:
    """What follows the thought, the whole text where there is none; None for one without an end."""
    end = _last(_tag(THOUGHT, r"/\s*+"), text)
    if end is not None:
        return text[end.end() :]
    return None if _tag(THOUGHT, "").search(text) else text


def untagged_answer(reply: Reply) -> Answer | None:
    """A reply without tags as the answer, its details marked; for the last turn of an agent's loop.

    None where nothing is left beside the thought, and where the token limit cut the reply.
    """
    said = after_thought(reply.text) if reply.finish == "stop" else None
    said = without_partial_tag(said).strip() if said is not None else ""
    return Answer(said, "large", details={"untagged": True}) if said else None


def load_prompts(package: str, replacement: Mapping[str, str] | None) -> Mapping[str, str]:
    """The prompts packaged with an agent, with a user's texts put over them.

    Raises `UsageError` for a key that the agent does not have.
    """
    packaged = resources.files(package).joinpath("prompts.toml").read_text(encoding="utf-8")
    prompts: dict[str, str] = tomllib.loads(packaged)
    own = replacement or {}
    unknown = sorted(set(own) - set(prompts))
    if unknown:
        known = ", ".join((*prompts, *METHOD_KEYS))
        raise UsageError(f"--prompts: unknown key {unknown[0]!r}; known: {known}")
    return {**prompts, **own}
