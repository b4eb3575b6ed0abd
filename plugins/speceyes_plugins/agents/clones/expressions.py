"""Expressions of somebody's Python, evaluated by reading them: nothing is run."""

from __future__ import annotations

import ast
import inspect
import string
import textwrap
from collections.abc import Mapping, Sequence
from typing import Protocol

from speceyes_plugins.agents.clones.values import (
    Items,
    Listed,
    Part,
    Place,
    Table,
    Text,
    Value,
    joined,
)

__all__ = ["Known", "evaluate", "open_place"]

Names = Mapping[str, Value]
LONGEST = 400_000
"""Characters of a text that is put together; more is left as an open place."""
STRIPS = ("strip", "lstrip", "rstrip")


class Known(Protocol):
    """What surrounds an expression: the module it stands in, and others that it imports."""

    def name(self, name: str) -> Value | None:
        """A name of the module or of what it imports."""

    def attribute(self, owner: str, name: str) -> Value | None:
        """A name of an imported module, or of a class."""

    def call(self, function: str, arguments: Sequence[Value], named: Names) -> Value | None:
        """What a function of the clone gives; None where it is not known."""


def open_place(node: ast.expr) -> Text:
    """What cannot be told without running it."""
    return Text((Place(ast.unparse(node)),))


def evaluate(node: ast.expr, names: Names, known: Known) -> Value:
    """What the expression comes to; a part that cannot be told becomes a place."""
    found = _evaluate(node, names, known)
    if found is None or (isinstance(found, Text) and _length(found) > LONGEST):
        return open_place(node)
    return found


def _evaluate(  # noqa: C901, PLR0911 - one case for each kind of expression
    node: ast.expr, names: Names, known: Known
) -> Value | None:
    match node:
        case ast.Constant(value=str(value)):
            return joined((value,))
        case ast.Constant(value=bool() | None):
            return None
        case ast.Constant(value=int() | float()):
            return Text((str(node.value),))
        case ast.JoinedStr(values=values):
            return _formatted(values, names, known)
        case ast.Name(id=name):
            return names[name] if name in names else known.name(name)
        case ast.Attribute():
            return _attribute(node, names, known)
        case ast.Dict(keys=keys, values=values):
            return _table(keys, values, names, known)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return Listed(tuple(evaluate(element, names, known) for element in elements))
        case ast.BinOp(left=left, op=operator, right=right):
            return _combined(evaluate(left, names, known), operator, right, names, known)
        case ast.Subscript(value=value, slice=index):
            return _element(evaluate(value, names, known), index, names, known)
        case ast.Call():
            return _called(node, names, known)
    return None


def _formatted(values: Sequence[ast.expr], names: Names, known: Known) -> Text:
    parts: tuple[Part, ...] = ()
    for value in values:
        if not isinstance(value, ast.FormattedValue):
            parts += _text(evaluate(value, names, known), value).parts
        elif value.format_spec is None and value.conversion in (-1, ord("s")):
            parts += _text(evaluate(value.value, names, known), value.value).parts
        else:
            parts += (Place(ast.unparse(value.value)),)
    return joined(parts)


def _text(value: Value, node: ast.expr) -> Text:
    """The value as it is put into a text."""
    return value if isinstance(value, Text) else open_place(node)


def _attribute(node: ast.Attribute, names: Names, known: Known) -> Value | None:
    if isinstance(node.value, ast.Name) and node.value.id not in names:
        return known.attribute(node.value.id, node.attr)
    owner = evaluate(node.value, names, known)
    return owner.entries.get(node.attr) if isinstance(owner, Table) else None


def _table(
    keys: Sequence[ast.expr | None], values: Sequence[ast.expr], names: Names, known: Known
) -> Table | None:
    entries: dict[str, Value] = {}
    for key, value in zip(keys, values, strict=True):
        found = evaluate(value, names, known)
        if key is None:
            if not isinstance(found, Table):
                return None
            entries |= found.entries
            continue
        name = evaluate(key, names, known)
        if not isinstance(name, Text) or name.plain is None:
            return None
        entries[name.plain] = found
    return Table(entries)


def _combined(
    left: Value, operator: ast.operator, right_node: ast.expr, names: Names, known: Known
) -> Value | None:
    right = evaluate(right_node, names, known)
    if isinstance(operator, ast.Add):
        if isinstance(left, Text) and isinstance(right, Text):
            return left + right
        if isinstance(left, Listed) and isinstance(right, Listed) and left.repeated is None:
            return Listed(left.items + right.items, right.repeated)
    if isinstance(operator, ast.BitOr) and isinstance(left, Table) and isinstance(right, Table):
        return Table({**left.entries, **right.entries})
    if isinstance(operator, ast.Mod) and isinstance(left, Text) and left.plain is not None:
        return _percent(left.plain, right)
    return None


def _percent(template: str, value: Value) -> Text | None:
    """`template % value` where it has plain %s and %d only."""
    parts: list[Part] = []
    listed = list(value.items) if isinstance(value, Listed) else [value]
    rest = template
    while "%" in rest:
        before, _, rest = rest.partition("%")
        parts.append(before)
        sign, rest = rest[:1], rest[1:]
        if sign == "%":
            parts.append("%")
            continue
        given: Value | None = None
        if sign == "(" and isinstance(value, Table):
            name, _, rest = rest.partition(")")
            given, sign, rest = value.entries.get(name), rest[:1], rest[1:]
        elif listed:
            given = listed.pop(0)
        if sign not in ("s", "d") or not isinstance(given, Text):
            return None
        parts += given.parts
    return joined((*parts, rest))


def _element(value: Value, index: ast.expr, names: Names, known: Known) -> Value | None:
    at = evaluate(index, names, known)
    if not isinstance(at, Text) or at.plain is None:
        return None
    if isinstance(value, Table):
        return value.entries.get(at.plain)
    if isinstance(value, Listed) and isinstance(index, ast.Constant | ast.UnaryOp):
        place = int(at.plain) if at.plain.isdecimal() else -1
        return value.items[place] if 0 <= place < len(value.items) else None
    return None


def _called(  # noqa: PLR0911 - one return for each form of a call
    node: ast.Call, names: Names, known: Known
) -> Value | None:
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        return None
    arguments = [evaluate(argument, names, known) for argument in node.args]
    named = {k.arg: evaluate(k.value, names, known) for k in node.keywords if k.arg is not None}
    if len(named) < len(node.keywords):
        return None
    match node.func:
        case ast.Name(id="str") if len(arguments) == 1:
            return arguments[0]
        case ast.Name(id="dict") if not arguments:
            return Table(named)
        case ast.Name(id=("dedent" | "cleandoc") as name) if len(arguments) == 1:
            return _tidied(name, arguments[0])
        case ast.Attribute(value=ast.Name(id="textwrap" | "inspect"), attr=name):
            return _tidied(name, arguments[0]) if len(arguments) == 1 else None
        case ast.Name(id=name):
            return known.call(name, arguments, named)
        case ast.Attribute(value=owner, attr=method):
            value = evaluate(owner, names, known)
            plain = not isinstance(value, Text) or not _open(value)
            return _method(value, method, arguments, named) if plain else None
    return None


def _open(text: Text) -> bool:
    """Whether nothing of the text is known."""
    return bool(text.parts) and all(isinstance(part, Place) for part in text.parts)


def _tidied(name: str, value: Value) -> Text | None:
    plain = value.plain if isinstance(value, Text) else None
    functions = {"dedent": textwrap.dedent, "cleandoc": inspect.cleandoc}
    return joined((functions[name](plain),)) if plain is not None and name in functions else None


def _method(value: Value, method: str, arguments: Sequence[Value], named: Names) -> Value | None:
    """What a method of a text, or of a list, gives."""
    if not isinstance(value, Text):
        return None
    texts = [a.plain if isinstance(a, Text) else None for a in arguments]
    if method in ("format", "format_map"):
        if method == "format_map":
            only = arguments[0] if arguments else None
            named = only.entries if isinstance(only, Table) else {}
        return _format(value.plain, arguments, named) if value.plain is not None else None
    if method == "join" and len(arguments) == 1 and isinstance(arguments[0], Listed):
        return _join(value.plain, arguments[0]) if value.plain is not None else None
    if method in STRIPS and (not arguments or texts[0] is not None):
        return _stripped(value, method, texts[0] if texts else None)
    if method == "replace" and len(texts) == 2 and None not in texts:  # noqa: PLR2004 - old and new
        old, new = str(texts[0]), str(texts[1])
        return joined(tuple(p.replace(old, new) if isinstance(p, str) else p for p in value.parts))
    return None


def _format(template: str, arguments: Sequence[Value], named: Names) -> Text | None:
    """`template.format(...)`; a name that is not given stays open."""
    parts: list[Part] = []
    count = 0
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError:
        return None
    for literal, field, spec, conversion in pieces:
        parts.append(literal)
        if field is None:
            continue
        if spec or conversion not in (None, "s"):
            return None
        given: Value | None = named.get(field)
        if field == "" or field.isdecimal():
            place = int(field) if field else count
            count += 1
            given = arguments[place] if place < len(arguments) else None
        if given is not None and not isinstance(given, Text):
            return None
        parts += given.parts if given is not None else (Place(field),)
    return joined(tuple(parts))


def _join(between: str, listed: Listed) -> Text | None:
    if listed.repeated is not None:
        if listed.items or not isinstance(listed.repeated, Text):
            return None
        return Text((Items(listed.repeated, between),))
    parts: list[Part] = []
    for place, item in enumerate(listed.items):
        if not isinstance(item, Text):
            return None
        parts += [between if place else "", *item.parts]
    return joined(tuple(parts))


def _stripped(text: Text, method: str, characters: str | None) -> Text | None:
    parts = list(text.parts)
    ends = {"strip": (0, -1), "lstrip": (0,), "rstrip": (-1,)}[method]
    for end in ends:
        if not parts:
            break
        edge = parts[end]
        if not isinstance(edge, str):
            return None
        parts[end] = edge.lstrip(characters) if end == 0 else edge.rstrip(characters)
    return joined(tuple(parts))


def _length(text: Text) -> int:
    return sum(
        len(part)
        if isinstance(part, str)
        else 1 + (_length(part.each) if isinstance(part, Items) else len(part.expression))
        for part in text.parts
    )
