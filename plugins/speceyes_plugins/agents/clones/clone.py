"""The files of somebody's clone, read for the texts that they hold; nothing of them is run."""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import UsageError
from speceyes_plugins.agents.clones.statements import follow, returned
from speceyes_plugins.agents.clones.values import Table, Value, joined

__all__ = ["Clone", "Module"]

KINDS = (".py", ".toml", ".json")
LARGEST = 1_000_000
"""Bytes of a file that is read; prompts are shorter."""
MOST_FILES = 50_000
SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist", "tests"})
DEEPEST = 8
"""Calls within calls that are followed."""


@dataclass(frozen=True, eq=False)
class Module:
    """One file: its names, classes and functions."""

    path: str
    """Below the clone's folder."""
    clone: Clone
    text: str = field(repr=False)
    _depth: list[int] = field(default_factory=lambda: [0], repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file; empty where it is no Python of today."""
        if not self.path.endswith(".py"):
            return ast.Module([], [])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another's "\d" is no concern of ours
            try:
                return ast.parse(self.text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return ast.Module([], [])

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """Functions and methods, by name."""
        return {n.name: n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef)}

    @cached_property
    def names(self) -> dict[str, Value]:
        """What the module's names hold; a class is a table of its own."""
        if not self.path.endswith(".py"):
            return dict(_data(self.path, self.text))
        found: dict[str, Value] = {}
        self.__dict__["names"] = found  # functions that are called meanwhile see what there is
        follow(self.tree.body, found, self)
        return found

    def line(self, name: str) -> int:
        """Where the name, or a part of a dotted one, is given its value; 0 where it is not told."""
        for part in reversed(name.split(".")):
            lines = [
                node.lineno
                for node in ast.walk(self.tree)
                if isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Store)
                and node.id == part
            ]
            if lines:
                return lines[-1]
        return 0

    def name(self, name: str) -> Value | None:
        """A name of this module or of one that it imports."""
        if name in self.names:
            return self.names[name]
        for module, original in self._imported(name):
            found = module.name(original)
            if found is not None:
                return found
        return None

    def attribute(self, owner: str, name: str) -> Value | None:
        """A name of a class, or of an imported module."""
        table = self.name(owner)
        if isinstance(table, Table):
            return table.entries.get(name)
        for alias, module in self._modules():
            if alias == owner:
                return module.name(name)
        return None

    def call(
        self, function: str, arguments: Sequence[Value], named: Mapping[str, Value]
    ) -> Value | None:
        """What a function of this module, or of one that it imports, gives."""
        if self._depth[0] >= DEEPEST:
            return None
        if function in self.functions:
            self._depth[0] += 1
            try:
                return returned(self.functions[function], arguments, dict(named), self)[0]
            finally:
                self._depth[0] -= 1
        for module, original in self._imported(function):
            if original in module.functions:
                return module.call(original, arguments, named)
        return None

    @cached_property
    def _imports(self) -> list[ast.ImportFrom]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom)]

    def _imported(self, name: str) -> Iterator[tuple[Module, str]]:
        """Modules from which a name may come, with its name there."""
        for node in reversed(self._imports):
            for alias in node.names:
                if alias.name == "*" or (alias.asname or alias.name) == name:
                    module = self.clone.find(node.module or "", node.level, self)
                    if module is not None and module is not self:
                        yield module, name if alias.name == "*" else alias.name

    def _modules(self) -> Iterator[tuple[str, Module]]:
        """Modules that are imported as such, each with the name it has here."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                level = node.level if isinstance(node, ast.ImportFrom) else 0
                package = (
                    f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
                )
                for alias in node.names:
                    module = self.clone.find(package + alias.name, level, self)
                    if module is not None and module is not self:
                        yield alias.asname or alias.name, module


class Clone:
    """A folder's Python, TOML and JSON files."""

    def __init__(self, folder: Path) -> None:
        """Raises `UsageError` where there is no such folder, or nothing to read in it."""
        if not folder.is_dir():
            raise UsageError(f"--prompts: there is no folder {folder}.")
        self.folder = folder
        self.files = dict(self._read())
        if not self.files:
            raise UsageError(f"--prompts: {folder} holds no Python, TOML or JSON file.")

    def _read(self) -> Iterator[tuple[str, Module]]:
        count = 0
        for path in sorted(self.folder.rglob("*")):
            inner = path.relative_to(self.folder)
            hidden = any(part.startswith(".") or part in SKIPPED for part in inner.parts)
            if hidden or path.suffix not in KINDS or not path.is_file():
                continue
            count += 1
            if count > MOST_FILES:
                raise UsageError(
                    f"--prompts: {self.folder} holds more than {MOST_FILES:,} files; name the "
                    "folder of one clone."
                )
            try:
                if path.stat().st_size <= LARGEST:
                    yield inner.as_posix(), Module(inner.as_posix(), self, path.read_text("utf-8"))
            except (OSError, UnicodeDecodeError):
                continue

    def find(self, module: str, level: int, of: Module) -> Module | None:
        """The file that an import in another means; None for one outside the clone."""
        here = Path(of.path).parent
        inner = Path(*module.split(".")) if module else Path()
        for _ in range(level - 1):
            here = here.parent
        starts = (here,) if level else (here, Path())
        for start in starts:
            for path in (
                start / inner.with_suffix(".py") if module else start,
                start / inner / "__init__.py",
            ):
                found = self.files.get(path.as_posix())
                if found is not None:
                    return found
        return None


def _data(path: str, text: str) -> Iterator[tuple[str, Value]]:
    """The names in a TOML or JSON file; none where it is damaged or no table."""
    try:
        content = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(content, dict):
        for name, value in content.items():
            found = _value(value)
            if found is not None:
                yield name, found


def _value(value: Any) -> Value | None:
    if isinstance(value, str):
        return joined((value,))
    if isinstance(value, dict):
        entries = {str(name): _value(inner) for name, inner in value.items()}
        return Table({name: inner for name, inner in entries.items() if inner is not None})
    return None
