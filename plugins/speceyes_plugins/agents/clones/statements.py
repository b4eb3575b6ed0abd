"""Statements of somebody's Python, followed by reading them: which name holds what."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from speceyes_plugins.agents.clones.expressions import Known, evaluate
from speceyes_plugins.agents.clones.values import Items, Listed, Place, Table, Text, Value

__all__ = ["follow", "returned"]

DEEPEST = 20
"""Blocks within blocks that are followed."""


def follow(
    body: Sequence[ast.stmt], names: dict[str, Value], known: Known, depth: int = 0
) -> Value | None:
    """Follow the statements, changing `names`; what they return, where that is one value.

    Of a `try` the body counts. Where the branches of an `if` leave a name with different values, it
    is open.
    """
    if depth > DEEPEST:
        return None
    found: Value | None = None
    for statement in body:
        given = _follow(statement, names, known, depth)
        found = given if given is not None else found
    return found


def returned(
    function: ast.FunctionDef, arguments: Sequence[Value], named: dict[str, Value], known: Known
) -> tuple[Value | None, dict[str, Value]]:
    """What a call gives, and its local names; arguments that are not given stay open."""
    spec = function.args
    every = [*spec.posonlyargs, *spec.args]
    names: dict[str, Value] = {a.arg: Text((Place(a.arg),)) for a in (*every, *spec.kwonlyargs)}
    for argument, default in zip(
        every[len(every) - len(spec.defaults) :], spec.defaults, strict=True
    ):
        names[argument.arg] = evaluate(default, {}, known)
    names |= dict(zip((a.arg for a in every), arguments, strict=False))
    names |= {name: value for name, value in named.items() if name in names}
    return follow(function.body, names, known), names


def _follow(  # noqa: C901, PLR0912 - one case for each kind of statement
    statement: ast.stmt, names: dict[str, Value], known: Known, depth: int
) -> Value | None:
    match statement:
        case ast.Return(value=ast.expr() as value):
            return evaluate(value, names, known)
        case ast.Assign(targets=targets, value=value):
            found = evaluate(value, names, known)
            for target in targets:
                _assign(target, found, names, known)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _assign(target, evaluate(value, names, known), names, known)
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
            sum_ = ast.BinOp(ast.Name(name, ast.Load()), ast.Add(), value)
            names[name] = evaluate(sum_, names, known)
        case ast.ClassDef(name=name, body=body):
            own: dict[str, Value] = {}
            follow(body, own, known, depth + 1)
            names[name] = Table(own)
        case ast.Expr(value=ast.Call() as call):
            _call(call, names, known)
        case ast.For(target=target, body=body):
            _loop(target, body, names, known, depth)
        case ast.While(body=body):
            return follow(body, names, known, depth + 1)
        case ast.With(items=items, body=body):
            for item in items:
                if isinstance(item.optional_vars, ast.Name):
                    names.pop(item.optional_vars.id, None)
            return follow(body, names, known, depth + 1)
        case ast.Try(body=body, orelse=orelse, finalbody=finalbody):
            return follow([*body, *orelse, *finalbody], names, known, depth + 1)
        case ast.If(body=body, orelse=orelse):
            return _branch(body, orelse, names, known, depth)
    return None


def _assign(target: ast.expr, value: Value, names: dict[str, Value], known: Known) -> None:
    match target:
        case ast.Name(id=name):
            names[name] = value
        case ast.Tuple(elts=elements) if isinstance(value, Listed):
            for element, item in zip(elements, value.items, strict=False):
                _assign(element, item, names, known)
        case ast.Tuple(elts=elements):
            for element in elements:
                _assign(element, Text((Place(ast.unparse(element)),)), names, known)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            table, key = names.get(name, known.name(name)), evaluate(index, names, known)
            if isinstance(table, Table) and isinstance(key, Text) and key.plain is not None:
                names[name] = Table({**table.entries, key.plain: value})


def _call(call: ast.Call, names: dict[str, Value], known: Known) -> None:
    """`LIST.append(x)` and its like."""
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend" as method),
            args=[argument],
        ):
            listed, given = names.get(name), evaluate(argument, names, known)
            if not isinstance(listed, Listed):
                return
            if method == "append":
                names[name] = Listed((*listed.items, given), listed.repeated)
            elif isinstance(given, Listed):
                names[name] = Listed(listed.items + given.items, listed.repeated)


def _loop(
    target: ast.expr, body: Sequence[ast.stmt], names: dict[str, Value], known: Known, depth: int
) -> None:
    """One round stands for all: what it adds to a text or a list is repeated."""
    inside = dict(names)
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            inside[node.id] = Text((Place(node.id),))
    follow(body, inside, known, depth + 1)
    for name, after in inside.items():
        before = names.get(name)
        if before == after:
            continue
        names[name] = _repeated(before, after, name)


def _repeated(before: Value | None, after: Value, name: str) -> Value:
    if isinstance(before, Text) and isinstance(after, Text):
        added = _added(before, after)
        if added is not None:
            return Text((*before.parts, Items(added)))
    match before, after:
        case (Listed(items=items, repeated=None), Listed(items=(*begun, last))):
            if tuple(begun) == items:
                return Listed(items, last)
    return after if before is None else Text((Place(name),))


def _added(before: Text, after: Text) -> Text | None:
    """What `after` has behind `before`; None where it does not begin with it."""
    if not before.parts:
        return after
    *whole, last = before.parts
    if list(after.parts[: len(whole)]) != whole or len(after.parts) < len(before.parts):
        return None
    here = after.parts[len(whole)]
    rest = after.parts[len(whole) + 1 :]
    if here == last:
        return Text(rest)
    if isinstance(here, str) and isinstance(last, str) and here.startswith(last):
        return Text((here[len(last) :], *rest))
    return None


def _branch(
    body: Sequence[ast.stmt],
    orelse: Sequence[ast.stmt],
    names: dict[str, Value],
    known: Known,
    depth: int,
) -> Value | None:
    first, second = dict(names), dict(names)
    given = [follow(body, first, known, depth + 1), follow(orelse, second, known, depth + 1)]
    for name in {**first, **second}:
        one, other = first.get(name), second.get(name)
        if one == other and one is not None:
            names[name] = one
        elif one is None or other is None:
            names[name] = Text((Place(name),)) if name in names else (one or other or Text())
        else:
            names[name] = Text((Place(name),))
    told = [value for value in given if value is not None]
    return told[0] if len(told) == 1 or (told and told[0] == told[-1]) else None
