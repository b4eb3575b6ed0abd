"""The reference part of docs/plugins.md, made from the code; run it to write the page anew."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import speceyes_cli.plugin

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plugins.md"
BEGIN = "<!-- reference: written by tests/host/plugin_reference.py -->"
HELPERS = {
    "speceyes_plugins.agents.tags": "For agents: tags in a reply, and prompts",
    "speceyes_plugins.agents.tool_calls": "For agents: tool calls that a model wrote",
    "speceyes_plugins.agents.native_calls": "For agents: calls of native tools",
    "speceyes_plugins.agents.boxes": "For agents: boxes",
    "speceyes_plugins.agents.zoom": "For agents: the zoom tool",
    "speceyes_plugins.engines.token_scores": "For engines: token scores from log-probabilities",
    "speceyes_plugins.engines.resize_rule": "For engines: the size at which a picture is seen",
}
"""Modules beside `speceyes_cli.plugin` that a plugin may import from, by what they are for."""


def reference() -> str:
    """Every public name with its signature, by subject."""
    parts = [BEGIN, "", "## Reference", "", "Everything in `speceyes_cli.plugin`:", ""]
    for subject, names in subjects():
        parts += [f"### {subject}", "", "```python"]
        parts += [entry(name, getattr(speceyes_cli.plugin, name)) for name in names]
        parts += ["```", ""]
    parts += ["Helpers in modules of their own, which a plugin may import too:", ""]
    for module, subject in HELPERS.items():
        found = import_module(module)
        parts += [f"### {subject}", "", "```python", f"# {module}"]
        parts += [entry(name, getattr(found, name)) for name in found.__all__]
        parts += ["```", ""]
    return "\n".join(parts)


def subjects() -> Iterator[tuple[str, list[str]]]:
    """The comments in `__all__`, each with the names below it."""
    source = Path(speceyes_cli.plugin.__file__).read_text()
    listed = source[source.index("__all__ = [") : source.index("\n]\n")]
    for part in listed.split("    # ")[1:]:
        subject, _, names = part.partition("\n")
        yield subject.rstrip("."), re.findall(r'"(\w+)"', names)


def entry(name: str, value: Any) -> str:
    """One name as Python would declare it."""
    if inspect.isclass(value) and issubclass(value, BaseModel):
        return f"class {name}  # its fields: {value.__module__}"
    if inspect.isclass(value) and issubclass(value, Exception):
        return f"class {name}({value.__bases__[0].__name__})"
    if inspect.isclass(value) and getattr(value, "_is_protocol", False):
        return "\n".join([f"class {name}(Protocol):", *members(value)])
    if inspect.isclass(value):
        return f"class {name}{signature(value, returns=False)}"
    if inspect.isfunction(value):
        return f"def {name}{signature(value)}"
    return f"{name} = {declared(name, value)}"


def members(protocol: type) -> Iterator[str]:
    """What a class that follows the protocol has."""
    for name, hint in inspect.get_annotations(protocol).items():
        yield f"    {name}: {hint}"
    for name, value in vars(protocol).items():
        if isinstance(value, property):
            yield f"    {name}: {inspect.get_annotations(value.fget)['return']}"
        elif inspect.isfunction(value) and not name.startswith("_"):
            yield f"    def {name}{signature(value)}"


def signature(value: Callable[..., Any], *, returns: bool = True) -> str:
    """The signature without quotes, and without defaults that have no short text."""
    found = inspect.signature(value)
    parameters = [
        p.replace(
            annotation=_Shown(_text(p.annotation)) if p.annotation is not p.empty else p.empty,
            default=_Shown(_short(p.default)) if p.default is not p.empty else p.empty,
        )
        for p in found.parameters.values()
    ]
    given = found.return_annotation
    wanted = returns and given is not found.empty
    return str(
        found.replace(
            parameters=parameters,
            return_annotation=_Shown(_text(given)) if wanted else found.empty,
        )
    )


class _Shown:
    """Text that stands in a signature as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _text(annotation: Any) -> str:
    """An annotation as its module writes it."""
    held = getattr(annotation, "__forward_arg__", annotation)
    return held if isinstance(held, str) else inspect.formatannotation(held)


def _short(default: Any) -> str:
    plain = isinstance(default, str | int | float | tuple | type(None))
    return repr(default).replace("'", '"') if plain else "..."


def declared(name: str, value: Any) -> str:
    """A constant's value, or an alias as its module writes it."""
    if isinstance(value, str | int | float | tuple):
        return repr(value)
    source = Path(speceyes_cli.plugin.__file__).read_text()
    [module] = [
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}
    ]
    text = Path(import_module(str(module)).__file__ or "").read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.unparse(node.value)
    raise LookupError(name)


def write() -> None:
    """Put the reference at the end of the page."""
    page = PAGE.read_text().partition(BEGIN)[0]
    PAGE.write_text(page.rstrip() + "\n\n" + reference())


if __name__ == "__main__":
    write()
