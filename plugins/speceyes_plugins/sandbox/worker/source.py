"""From the text a model wrote to a syntax tree: fences, notebook lines and indentation.

Before there is a tree, only these are mended as text. All readers take time in proportion to the
text.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable
from typing import Final, NamedTuple

BLOCK: Final = "<block>"
_LANGUAGE: Final = r"\{?\.?(?:i?python|py|code)[\d.]*+\}?"
_FENCE: Final = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)"  # a fence at the beginning of a line
    r"|(?<![`~])(?:`{3,}+|~{3,}+)(?=[ \t]*+(?:\{?\.?[A-Za-z][\w.+-]*+\}?)?[ \t]*+$)",  # at its end
    re.MULTILINE,
)
_INFO: Final = re.compile(
    rf"[ \t]*+(?:{_LANGUAGE}(?=[ \t\n]|\Z)|[A-Za-z][\w.+-]*+[ \t]*+(?=\n|\Z))?[ \t]*+\n?",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(rf"\s*+('''|\"\"\"){_LANGUAGE}[ \t]*+\n", re.IGNORECASE)
_LANGUAGE_LINE: Final = re.compile(rf"\s*+{_LANGUAGE}:?[ \t]*+\n", re.IGNORECASE)
_USUAL: Final = re.compile(r"\s*+```(?:python|py)?\n[^`]*+(?<=\n)```\s*+")
_NOTEBOOK: Final = re.compile(r"^[ \t]*+[%!].*+\n?", re.MULTILINE)
_PRINT: Final = re.compile(r"^([ \t]*+)print[ \t]++(?![(=])(.++)$", re.MULTILINE)
_QUOTES: Final = str.maketrans("\u201c\u201d\u2018\u2019", "\"\"''")
_SPACES: Final = re.compile("[\u00a0\u2002-\u200a\u202f\u3000]")


class Parsed(NamedTuple):
    """A source that could be read."""

    tree: ast.Module
    source: str
    """The Python within the text."""
    notes: tuple[str, ...]
    """What was mended."""


def parse(text: str) -> Parsed:
    """The Python that a text holds, within fences or bare.

    Raises:
        SyntaxError: also after every mend.
        ValueError: the text holds a null character.
        MemoryError, RecursionError: the text exhausts the parser.
    """
    text = text.replace("\r\n", "\n")
    source = unfenced(text)
    notes = [] if source == text or _USUAL.fullmatch(text) else ["code fence"]
    source = source.strip("\n")
    try:
        return Parsed(ast.parse(source, BLOCK), source, tuple(notes))
    except SyntaxError as error:
        first = error
    for note, mend in MENDS:
        mended = mend(source)
        if mended == source:
            continue
        try:
            return Parsed(ast.parse(mended, BLOCK), mended, (*notes, note))
        except SyntaxError:
            if note not in _ALTERNATIVES:
                source, notes = mended, [*notes, note]
    raise first


def unfenced(text: str) -> str:
    """The code within fences that begin the text; a text that begins otherwise as it is."""
    quoted = _QUOTED.match(text)
    if quoted:
        return text[quoted.end() :].rstrip().removesuffix(quoted.group(1))
    name = _LANGUAGE_LINE.match(text)
    if name:
        text = text[name.end() :]
    return _within_fences(text) if text.lstrip().startswith(("```", "~~~")) else text


def _within_fences(text: str) -> str:
    """Everything between an opening fence and its closing one or the end of the text."""
    marks = list(_FENCE.finditer(text))
    if not marks:
        return text
    if len(marks) == 1 and not text[marks[0].end() :].strip():
        return text[: marks[0].start()]
    blocks = []
    for opening, closing in zip(marks[::2], [*marks[1::2], None], strict=False):
        info = _INFO.match(text, opening.end())
        start = info.end() if info else opening.end()
        blocks.append(text[start : closing.start() if closing else len(text)])
    return "\n".join(block.strip("\n") for block in blocks)


def _first_line_as_the_rest(source: str) -> str:
    first, _, rest = source.partition("\n")
    return first.lstrip() + "\n" + textwrap.dedent(rest)


_ALTERNATIVES: Final = frozenset({"indentation of the first line"})
MENDS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("indentation of the first line", textwrap.dedent),
    ("indentation of the first line", _first_line_as_the_rest),
    ("code fence", _within_fences),
    ("notebook commands left out", lambda source: _NOTEBOOK.sub("", source)),
    ("unusual spaces", lambda source: _SPACES.sub(" ", source)),
    ("unusual quotes", lambda source: source.translate(_QUOTES)),
    ("print as a function", lambda source: _PRINT.sub(r"\1print(\2)", source)),
    ("indentation of the first line", textwrap.dedent),
    ("indentation of the first line", _first_line_as_the_rest),
)
