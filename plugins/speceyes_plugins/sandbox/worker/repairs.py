"""Harmless slips of model-written code, mended in the syntax tree and written down.

Runs inside the worker: hostile source can exhaust the parser. Only the indentation of the first
line is mended as text, since there is no tree before it is.
"""

from __future__ import annotations

import ast
import os
import textwrap
from collections.abc import Collection
from typing import Final, NamedTuple, TypeGuard

from speceyes_plugins.sandbox.paths import Paths

BLOCK: Final = "<block>"
CROP: Final = "__speceyes_crop__"
VIEW: Final = "__speceyes_view__"
SLICE: Final = "__speceyes_slice__"
ALIASES: Final = frozenset({"cv", "cv3", "cv4"})
SHOWS: Final = frozenset({"imwrite", "fromarray", "resize", "cvtColor", "copy", "save"})
WRITES: Final = frozenset({"save", "imwrite", "savefig", "imsave"})
SHOWN: Final = 160  # characters of a literal in a note


class Mended(NamedTuple):
    """A tree ready to compile, and what was changed."""

    tree: ast.Module
    notes: tuple[str, ...]


def mend(source: str, paths: Paths, bound: Collection[str] = ()) -> Mended:
    """Parse a block and mend its slips; `bound` are names that earlier blocks left behind.

    Raises:
        SyntaxError: also after straightening the first line.
        ValueError: the source holds a null character.
        MemoryError, RecursionError: the source exhausts the parser.
    """
    tree, notes = parse(source)
    names = _bound(tree) | set(bound)
    _exchange_paths(tree, paths, notes)
    _rename_aliases(tree, names, notes)
    tree = ast.fix_missing_locations(_Boxes().visit(tree))
    return Mended(tree, tuple(notes))


def parse(source: str) -> tuple[ast.Module, list[str]]:
    """The tree of a source whose first line may be indented differently from the rest."""
    source = source.replace("\r\n", "\n").strip("\n")
    try:
        return ast.parse(source, BLOCK), []
    except IndentationError:
        first, _, rest = source.partition("\n")
        for candidate in (
            textwrap.dedent(source),
            first.lstrip() + "\n" + textwrap.dedent(rest),
        ):
            try:
                return ast.parse(candidate, BLOCK), ["indentation of the first line"]
            except SyntaxError:
                continue
        raise


def _bound(tree: ast.Module) -> set[str]:
    """Every name the block binds anywhere."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def _exchange_paths(tree: ast.Module, paths: Paths, notes: list[str]) -> None:
    """Put real paths for the script's, then the picture for paths that cannot be read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = paths.to_disk(node.value)
    read, written = _literals(tree)
    kept = {node.value for node in written}
    for node in read:
        path = str(node.value)
        inside = path.startswith(f"{paths.output}/")
        if path == paths.picture or path in kept or inside or _readable(path):
            continue
        notes.append(f"picture path {paths.to_script(path)[:SHOWN]!r} -> {paths.picture_name!r}")
        node.value = paths.picture


def _literals(tree: ast.Module) -> tuple[list[ast.Constant], list[ast.Constant]]:
    """String literals that are read as a picture, and those a picture is written to."""
    sources: list[ast.expr] = []
    targets: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            if _reads_picture(node.func):
                sources.append(node.args[0])
            elif isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
                targets.append(node.args[0])
    assigned: dict[str, list[ast.Constant]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_text(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(node.value)
    return _resolve(sources, assigned), _resolve(targets, assigned)


def _resolve(places: list[ast.expr], assigned: dict[str, list[ast.Constant]]) -> list[ast.Constant]:
    """The literals at those places, directly or through a variable."""
    found: list[ast.Constant] = []
    for place in places:
        if _is_text(place):
            found.append(place)
        elif isinstance(place, ast.Name):
            found += assigned.get(place.id, [])
    return list({id(node): node for node in found}.values())


def _is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _reads_picture(function: ast.expr) -> bool:
    """`….imread`, `Image.open` or `PIL.Image.open`."""
    if not isinstance(function, ast.Attribute):
        return isinstance(function, ast.Name) and function.id == "imread"
    if function.attr == "imread":
        return True
    owner = function.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return function.attr == "open" and name == "Image"


def _readable(path: str) -> bool:
    """Whether the path opens: existence can be probed in the sandbox, reading cannot."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except (OSError, ValueError):
        return False
    return True


def _rename_aliases(tree: ast.Module, bound: Collection[str], notes: list[str]) -> None:
    """`cv.`, `cv3.` and `cv4.` for `cv2.`, imported under that name or not at all."""
    renamed: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ALIASES:
                    alias.asname = alias.asname or alias.name
                    notes.append(f"import {alias.name} -> import cv2")
                    alias.name = "cv2"
        elif isinstance(node, ast.ImportFrom) and node.module in ALIASES:
            notes.append(f"import {node.module} -> import cv2")
            node.module = "cv2"
        elif isinstance(node, ast.Name) and node.id in ALIASES and node.id not in bound:
            renamed.add(node.id)
            node.id = "cv2"
    notes += [f"{name}. -> cv2." for name in sorted(renamed)]
    if renamed and "cv2" not in bound:
        place = sum(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
        tree.body.insert(place, ast.Import([ast.alias("cv2")]))


class _Boxes(ast.NodeTransformer):
    """Send `….crop(…)` and `…[a:b, c:d]` through `boxes.BoxMender`."""

    def __init__(self) -> None:
        self._shown: set[int] = set()

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self._shown.add(id(node.value))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in SHOWS:
            self._shown.update(id(argument) for argument in [*node.args, function.value])
        self.generic_visit(node)
        if not (isinstance(function, ast.Attribute) and function.attr == "crop" and _has_box(node)):
            return node
        arguments = [function.value, *node.args]
        return ast.copy_location(ast.Call(_name(CROP), arguments, node.keywords), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        grow = id(node) in self._shown
        self.generic_visit(node)
        index = node.slice
        if not (isinstance(node.ctx, ast.Load) and isinstance(index, ast.Tuple)):
            return node
        if len(index.elts) < 2 or not all(map(_is_range, index.elts[:2])):  # noqa: PLR2004  (rows and columns)
            return node
        slices = ast.Tuple([_slice_call(part) for part in index.elts], ast.Load())
        arguments = [node.value, slices, ast.Constant(grow)]
        return ast.copy_location(ast.Call(_name(VIEW), arguments, []), node)


def _has_box(node: ast.Call) -> bool:
    return len(node.args) == 1 or any(keyword.arg == "box" for keyword in node.keywords)


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) and None not in (node.lower, node.upper) and not node.step


def _slice_call(node: ast.expr) -> ast.expr:
    if not isinstance(node, ast.Slice):
        return node
    parts = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
    return ast.Call(_name(SLICE), parts, [])


def _name(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Load())
