"""What the functions of a clone put into chat messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from speceyes_plugins.agents.clones.clone import Module
from speceyes_plugins.agents.clones.expressions import evaluate
from speceyes_plugins.agents.clones.statements import returned
from speceyes_plugins.agents.clones.values import PICTURE, Listed, Table, Text, Value, joined

__all__ = ["Said", "said_in"]

ROLES = {"0": "system", "1": "user"}
"""Of a conversation's first two messages."""
TARGET = re.compile(r"\w+\[(\d)\]\['content'\](?:\[-?\d+\]\['text'\])?")
"""An assignment to a message of a conversation, or to the text in one."""


class Said(NamedTuple):
    """The content of one message."""

    role: str
    text: Text
    """`PICTURE` stands where there is a picture."""
    module: Module
    line: int

    @property
    def place(self) -> str:
        """Where it is written."""
        return f"{self.module.path}:{self.line}"


def said_in(function: ast.FunctionDef, module: Module) -> Iterator[Said]:
    """Every message that the function builds or changes."""
    _, names = returned(function, [], {}, module)
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            table = evaluate(node, names, module)
            if not isinstance(table, Table):
                continue
            role, content = table.entries.get("role"), table.entries.get("content")
            if isinstance(role, Text) and role.plain and content is not None:
                text = _content(content)
                if text is not None:
                    yield Said(role.plain, text, module, node.lineno)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            found = TARGET.fullmatch(ast.unparse(node.targets[0]))
            value = evaluate(node.value, names, module) if found else None
            text = _content(value) if value is not None else None
            if found and found[1] in ROLES and text is not None:
                yield Said(ROLES[found[1]], text, module, node.lineno)


def _content(value: Value) -> Text | None:
    """A message's content as one text; None where it has neither text nor picture."""
    if isinstance(value, Text):
        return value
    if not isinstance(value, Listed) or value.repeated is not None:
        return None
    whole = Text()
    for item in value.items:
        if not isinstance(item, Table):
            return None
        text = item.entries.get("text")
        if isinstance(text, Text):
            whole += text
        elif {"image", "image_url"} & set(item.entries):
            whole += Text((PICTURE,))
    return joined(whole.parts)
