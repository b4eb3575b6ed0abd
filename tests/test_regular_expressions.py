"""No regular expression of the program repeats what itself repeats: its time would grow as a power.

A repetition inside another is allowed where the inner one is possessive or atomic, so that it is
never tried a second way.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("speceyes_cli", "plugins", "datasets", "judges", "kernels")
FUNCTIONS = frozenset(
    {"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}
)
LONG = 100
"""A repetition of up to this many counts as bounded."""


def expressions(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every expression that a call of `re` spells out."""
    for node in ast.walk(ast.parse(source)):
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or not node.args
        ):
            continue
        of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
        if of_re and node.func.attr in FUNCTIONS:
            text = spelled(node.args[0])
            if text is not None:
                yield node.lineno, text


def spelled(node: ast.expr) -> str | None:
    """The string that an expression spells; a part that is filled in counts as one letter."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(spelled(value) or "x" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{spelled(left) or 'x'}{spelled(right) or 'x'}"
        case _:
            return None


def repeats_repetition(tokens: Any, *, repeated: bool = False) -> bool:
    for operation, argument in tokens:
        within = repeated
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            endless = argument[1] > LONG
            if repeated and endless:
                return True
            within = repeated or endless
        elif operation in (constants.POSSESSIVE_REPEAT, constants.ATOMIC_GROUP):
            within = False
        if any(repeats_repetition(part, repeated=within) for part in parts(operation, argument)):
            return True
    return False


def parts(operation: Any, argument: Any) -> list[Any]:
    """What a part of an expression is made of."""
    if operation is constants.BRANCH:
        return list(argument[1])
    if operation is constants.SUBPATTERN:
        return [argument[3]]
    if operation is constants.ATOMIC_GROUP:
        return [argument]
    repeats = (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT)
    return [argument[2]] if operation in repeats else []


@pytest.mark.parametrize("expression", [r"(a+)+", r"(?:a*b?)*", r"(a|b+)*?", r"(?:\{(?:x*)\})*"])
def test_a_repeated_repetition_is_found(expression: str) -> None:
    assert repeats_repetition(parser.parse(expression))


@pytest.mark.parametrize("expression", [r"a+b*", r"(?:a{1,3}b)*", r"(?:a++b)*", r"(?:(?>a+)b)*"])
def test_other_repetitions_are_none(expression: str) -> None:
    assert not repeats_repetition(parser.parse(expression))


def test_no_expression_repeats_a_repetition() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in expressions(path.read_text("utf-8"))
        if repeats_repetition(parser.parse(text, re.VERBOSE if "\n" in text else 0))
    ]
    assert found == []
