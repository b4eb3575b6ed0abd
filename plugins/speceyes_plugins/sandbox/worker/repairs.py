"""Harmless slips of model-written code, mended in the syntax tree and written down.

Runs inside the worker: hostile source can exhaust the parser.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple, TypeGuard

from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.worker import names
from speceyes_plugins.sandbox.worker.source import parse

WRITES: Final = frozenset({"save", "imwrite", "savefig", "imsave"})
READS: Final = frozenset({"imread", "imreadmulti"})
FILE_NAMES: Final = frozenset({"fp", "filename", "file", "fname", "uri"})
"""What reading and writing functions of Pillow, OpenCV, numpy and Matplotlib call the path."""
SHOWN: Final = 160  # characters of a literal in a note


class Mended(NamedTuple):
    """A tree whose slips are mended, and what was changed."""

    tree: ast.Module
    source: str
    """The Python within the text."""
    notes: tuple[str, ...]


def mend(
    text: str, paths: Paths, bound: Collection[str] = (), results: Collection[str] = ()
) -> Mended:
    """Parse a block and mend its slips.

    Args:
        text: the block, within fences or bare.
        paths: the session's places.
        bound: names that earlier blocks left behind.
        results: paths that earlier results go by, though they were saved elsewhere.

    Raises:
        SyntaxError: also after every mend of the text.
        ValueError: the source holds a null character.
        MemoryError, RecursionError: the source exhausts the parser.
    """
    tree, source, first_notes = parse(text)
    notes = list(first_notes)
    known = names.bound_names(tree) | set(bound)
    _exchange_paths(tree, paths, results, notes)
    names.rename_opencv(tree, known, notes)
    names.rename_removed(tree, notes)
    names.import_missing(tree, known, notes)
    return Mended(ast.fix_missing_locations(tree), source, tuple(notes))


def readable(path: str) -> bool:
    """Whether the path opens: existence can be probed in the sandbox, reading cannot."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except (OSError, ValueError):
        return False
    return True


def picture_note(path: str, paths: Paths) -> str:
    """What the record says of a path for which the picture's was put."""
    return f"picture path {paths.to_script(path)[:SHOWN]!r} -> {paths.picture_name!r}"


def _exchange_paths(
    tree: ast.Module, paths: Paths, results: Collection[str], notes: list[str]
) -> None:
    """Put real paths for the script's, then the picture for paths that cannot be read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = paths.to_disk(node.value)
    read, written = _literals(tree)
    kept = {node.value for node in written} | set(results)
    for node in read:
        path = str(node.value)
        inside = path.startswith(f"{paths.output}/")
        if path == paths.picture or path in kept or inside or readable(path):
            continue
        notes.append(picture_note(path, paths))
        node.value = paths.picture


def _literals(tree: ast.Module) -> tuple[list[ast.Constant], list[ast.Constant]]:
    """String literals that are read as a picture, and those a picture is written to."""
    sources: list[ast.expr] = []
    targets: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if _reads_picture(node.func):
                sources += _file_arguments(node)
            elif isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
                targets += _file_arguments(node)
    assigned: dict[str, list[ast.Constant]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_text(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(node.value)
    return _resolve(sources, assigned), _resolve(targets, assigned)


def _file_arguments(node: ast.Call) -> Iterator[ast.expr]:
    """The path of a reading or writing call, first or by name."""
    yield from node.args[:1]
    yield from (keyword.value for keyword in node.keywords if keyword.arg in FILE_NAMES)


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
        return isinstance(function, ast.Name) and function.id in READS
    if function.attr in READS:
        return True
    owner = function.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return function.attr == "open" and name == "Image"
