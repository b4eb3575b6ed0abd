"""Names that a block uses and that are not there: missing imports, wrong names, removed names."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Collection
from importlib import import_module
from typing import Any, Final

OPENCV: Final = frozenset({"cv", "cv3", "cv4"})
"""Names that models write for cv2."""

MODULES: Final = {
    "np": "numpy",
    "plt": "matplotlib.pyplot",
    **{
        name: name
        for name in (
            *("PIL", "base64", "collections", "copy", "cv2", "glob", "io", "itertools", "json"),
            *("math", "numpy", "os", "pathlib", "random", "re", "shutil", "statistics", "string"),
            *("sys", "time"),
        )
    },
}
"""Modules by the names that scripts know them by."""

MEMBERS: Final = {
    "Path": "pathlib",
    "BytesIO": "io",
    "StringIO": "io",
    "Counter": "collections",
    "defaultdict": "collections",
    **{
        f"Image{name}": "PIL"
        for name in ("", "Chops", "Color", "Draw", "Enhance", "Filter", "Font", "Ops", "Stat")
    },
}
"""Names that are imported from a module."""

REMOVED: Final = {
    "numpy": {
        # https://numpy.org/doc/stable/release/1.24.0-notes.html and 2.0.0-notes.html
        "bool": "bool_",
        "int": "int_",
        "float": "float64",
        "complex": "complex128",
        "object": "object_",
        "str": "str_",
        "long": "int_",
        "unicode": "str_",
        "float_": "float64",
        "complex_": "complex128",
        "string_": "bytes_",
        "unicode_": "str_",
        "NaN": "nan",
        "NAN": "nan",
        "Inf": "inf",
        "Infinity": "inf",
        "infty": "inf",
        "PINF": "inf",
        "product": "prod",
        "cumproduct": "cumprod",
        "sometrue": "any",
        "alltrue": "all",
        "round_": "round",
        "asfarray": "asarray",
        "in1d": "isin",
        "row_stack": "vstack",
        "trapz": "trapezoid",
    },
    # https://pillow.readthedocs.io/en/stable/deprecations.html
    "PIL.Image": {"ANTIALIAS": "LANCZOS", "LINEAR": "BILINEAR", "CUBIC": "BICUBIC"},
    "cv2": {
        "CV_AA": "LINE_AA",
        "CV_LOAD_IMAGE_COLOR": "IMREAD_COLOR",
        "CV_LOAD_IMAGE_GRAYSCALE": "IMREAD_GRAYSCALE",
        "CV_FILLED": "FILLED",
        "CV_BGR2GRAY": "COLOR_BGR2GRAY",
        "CV_BGR2RGB": "COLOR_BGR2RGB",
    },
}
"""Names that libraries had, and what they are called now."""

_OWNERS: Final = {"np": "numpy", "numpy": "numpy", "Image": "PIL.Image", "cv2": "cv2"}


def bound_names(tree: ast.Module) -> set[str]:
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
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            names.add(node.name or "")
    return names


def rename_opencv(tree: ast.Module, bound: Collection[str], notes: list[str]) -> None:
    """`cv.`, `cv3.` and `cv4.` for `cv2.`, imported under that name or not at all."""
    renamed: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in OPENCV:
                    alias.asname = alias.asname or alias.name
                    notes.append(f"import {alias.name} -> import cv2")
                    alias.name = "cv2"
        elif isinstance(node, ast.ImportFrom) and node.module in OPENCV:
            notes.append(f"import {node.module} -> import cv2")
            node.module = "cv2"
        elif isinstance(node, ast.Name) and node.id in OPENCV and node.id not in bound:
            renamed.add(node.id)
            node.id = "cv2"
    notes += [f"{name}. -> cv2." for name in sorted(renamed)]


def rename_removed(tree: ast.Module, notes: list[str]) -> None:
    """Names that a library no longer has, such as `Image.ANTIALIAS` and `np.int`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else ""
        owner = node.value.id if isinstance(node.value, ast.Name) else owner
        library = _OWNERS.get(owner, "")
        now = REMOVED.get(library, {}).get(node.attr)
        if now is None or _has(import_module(library), node.attr):
            continue
        notes.append(f"{owner}.{node.attr} -> {owner}.{now}")
        node.attr = now


def import_missing(tree: ast.Module, bound: Collection[str], notes: list[str]) -> None:
    """Import well-known modules and names that the block uses and nothing binds."""
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - set(bound)
    place = sum(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
    for name in sorted(used):
        statement: ast.stmt
        if hasattr(builtins, name):
            continue
        if name in MODULES:
            module = MODULES[name]
            statement = ast.Import([ast.alias(module, name if name != module else None)])
        elif name in MEMBERS:
            statement = ast.ImportFrom(MEMBERS[name], [ast.alias(name)], 0)
        else:
            continue
        tree.body.insert(place, statement)
        notes.append(f"added: {ast.unparse(statement)}")


def _has(module: Any, name: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(module, name)
