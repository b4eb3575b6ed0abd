"""How a clone's code lays out a question and its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeGuard

from speceyes_plugins.agents.clones.clone import Module
from speceyes_plugins.agents.clones.expressions import evaluate
from speceyes_plugins.agents.clones.statements import follow, returned
from speceyes_plugins.agents.clones.templates import letters_and_option, meaning
from speceyes_plugins.agents.clones.values import Items, Place, Text, Value, joined

__all__ = ["Layout", "option_lists", "question_cuts", "question_layouts"]

OPTIONS = Place("options")


class Layout(NamedTuple):
    """A question's text: places for the question, and a list of options in one for many."""

    text: Text
    place: str
    """Where it is written."""

    @property
    def options(self) -> Items | None:
        """The list of options, where it has one."""
        return next((part for part in self.text.parts if isinstance(part, Items)), None)


def question_layouts(modules: Sequence[Module]) -> Iterator[Layout]:
    """Every layout that the code fills in: by `format`, or in f-strings."""
    lists = list(option_lists(modules))
    for module in modules:
        for function in module.functions.values():
            names = returned(function, [], {}, module)[1]
            for node in ast.walk(function):
                place = f"{module.path}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Call):
                    yield from _by_format(node, names, module, lists)
                elif isinstance(node, ast.Assign | ast.Return) and _formats(node.value):
                    text = evaluate(node.value, names, module)
                    if isinstance(text, Text) and _asks(text):
                        yield Layout(text, place)
        yield from _by_name(module, lists)


def _formats(node: ast.expr | None) -> TypeGuard[ast.expr]:
    """Whether an f-string is part of the expression."""
    return node is not None and any(isinstance(part, ast.JoinedStr) for part in ast.walk(node))


def _asks(text: Text) -> bool:
    """Whether a text holds a question, perhaps a list of options, and nothing else that is open."""
    open_ = [part for part in text.parts if isinstance(part, Place)]
    known = any(isinstance(part, str) and part.strip() for part in text.parts)
    return known and len(open_) == 1 and meaning(open_[0]) == "question"


def _by_format(
    node: ast.Call, names: dict[str, Value], module: Module, lists: Sequence[Text]
) -> Iterator[Layout]:
    """`TEMPLATE.format(question=..., options=...)`."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "format":
        return
    given = {keyword.arg for keyword in node.keywords}
    if "question" not in given or given - {"question", "options"}:
        return
    opened = ast.Call(node.func, [], [])
    text = evaluate(opened, names, module)
    if isinstance(text, Text):
        yield from _with_lists(text, f"{module.path}:{node.lineno}", lists)


def _by_name(module: Module, lists: Sequence[Text]) -> Iterator[Layout]:
    """Constants of the module that have {question} in them."""
    for name, value in module.names.items():
        if not isinstance(value, Text) or value.plain is None or "{question}" not in value.plain:
            continue
        receiver = ast.Attribute(ast.Constant(value.plain), "format")
        text = evaluate(ast.Call(receiver, [], []), {}, module)
        if isinstance(text, Text):
            yield from _with_lists(text, f"{module.path}:{module.line(name)}", lists)


def _with_lists(text: Text, place: str, lists: Sequence[Text]) -> Iterator[Layout]:
    """The layout with its options written out, once for each way in which the code lists them."""
    if OPTIONS not in text.parts:
        yield Layout(text, place)
        return
    for listed in lists or [Text((Items(Text((Place("letter"), ". ", Place("option"))), "\n"),))]:
        parts = [listed.parts if part == OPTIONS else (part,) for part in text.parts]
        yield Layout(joined(tuple(inner for part in parts for inner in part)), place)


def option_lists(modules: Iterable[Module]) -> Iterator[Text]:
    """Every text that a loop builds of letters and options."""
    seen = set()
    for module in modules:
        for block in _blocks(module.tree):
            for place, statement in enumerate(block):
                if not isinstance(statement, ast.For):
                    continue
                names: dict[str, Value] = {}
                before = [s for s in block[:place] if isinstance(s, ast.Assign)]
                behind = [s for s in block[place + 1 :] if isinstance(s, ast.Assign)]
                follow([*before, statement, *behind], names, module)
                for value in names.values():
                    listed = _listed(value)
                    if listed is not None and listed not in seen:
                        seen.add(listed)
                        yield listed


def _listed(value: Value) -> Text | None:
    if not isinstance(value, Text):
        return None
    items = [part for part in value.parts if isinstance(part, Items)]
    fits = len(items) == 1 and letters_and_option(items[0].each) is not None
    return value if fits and not any(isinstance(p, Place) for p in value.parts) else None


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def question_cuts(modules: Iterable[Module], called: re.Pattern[str]) -> dict[str, str]:
    """Texts up to which a question is shown by functions of such a name, each with its place.

    The code says `text.split("...")[0]` in the call.
    """
    found: dict[str, str] = {}
    for module in modules:
        for node in ast.walk(module.tree):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if not isinstance(node, ast.Call) or not called.search(name):
                continue
            for argument in node.args:
                match argument:
                    case ast.Subscript(
                        value=ast.Call(
                            func=ast.Attribute(attr="split"), args=[ast.Constant(value=str(text))]
                        ),
                        slice=ast.Constant(value=0),
                    ):
                        found[text] = f"{module.path}:{node.lineno}"
    return found
