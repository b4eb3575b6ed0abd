"""Text from a model or a file, made fit for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

_ESCAPE_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"  # OSC, DCS and kin, up to their terminator
    r"[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
)
_CONTROL = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions that reorder what is read
    "\ud800-\udfff]"  # lone surrogates, which cannot be written as UTF-8
)
LONGEST_TAG = 64
"""Characters of the longest control token in angle brackets that is looked for."""
UNSEEN = f"(?>{_ESCAPE_SEQUENCE}|{_CONTROL})"
"""A pattern of what `strip_control` takes out; it never tries a second reading."""
_ESCAPES = re.compile(_ESCAPE_SEQUENCE)
_CONTROLS = re.compile(_CONTROL)


def strip_control(text: str) -> str:
    """The text without escape sequences and control characters; tab and newline stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, width: int = 200) -> str:
    """The text on one line of at most `width` characters, an ellipsis where it was cut."""
    line = " ".join(strip_control(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def without_tokens(text: str, tokens: Collection[str]) -> str:
    """The text without these tokens, however they are nested: none can be put together from parts.

    Linear in the text's length: what is kept never holds a token, and a token that a character ends
    is taken off the end.
    """
    if not any(token in text for token in tokens):
        return text
    by_last: dict[str, set[str]] = {}
    for token in filter(None, tokens):
        by_last.setdefault(token[-1], set()).add(token)
    kept: list[str] = []
    for character in text:
        kept.append(character)
        for token in sorted(by_last.get(character, ()), key=len, reverse=True):
            if kept[-len(token) :] == list(token):
                del kept[-len(token) :]
                break
    return "".join(kept)


def without_tags(text: str, is_token: Callable[[str], bool]) -> str:
    """The text without what stands in angle brackets and is a token, however it is nested.

    Linear in the text's length; a token has at most `LONGEST_TAG` characters.
    """
    kept: list[str] = []
    begun: list[int] = []  # where the angle brackets that may still be closed stand
    for character in text:
        kept.append(character)
        if character == "<":
            begun.append(len(kept) - 1)
        elif character == ">" and begun:
            start = begun.pop()
            if len(kept) - start <= LONGEST_TAG and is_token("".join(kept[start:])):
                del kept[start:]
            else:
                begun.clear()  # a token holds no closing bracket
    return "".join(kept)


def writable(text: str) -> str:
    """The text with ? for each lone surrogate, which no file or request can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
