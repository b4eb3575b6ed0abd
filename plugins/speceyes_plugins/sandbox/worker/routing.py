"""Send some calls and slices of a block through functions that mend them while they run.

What a box, a path or a picture's mode is worth is known only at run time, so the syntax tree is
changed to ask: `picture.crop(box)` becomes `CALL(picture.crop, box)`, and `array[a:b, c:d]` becomes
`VIEW(array, (SLICE(a, b, None), SLICE(c, d, None)), …)`. See `stand_ins.StandIns`.
"""

from __future__ import annotations

import ast
from typing import Final

CALL: Final = "__speceyes_call__"
TEXT_SIZE: Final = "__speceyes_text_size__"
VIEW: Final = "__speceyes_view__"
SLICE: Final = "__speceyes_slice__"
LAST: Final = "__speceyes_last__"

ROUTED: Final = frozenset(
    {
        *("crop", "save", "savefig", "imsave", "imwrite", "show", "imshow", "waitKey"),
        *("waitKeyEx", "namedWindow", "resizeWindow", "moveWindow", "destroyWindow"),
        *("destroyAllWindows", "open", "imread", "imreadmulti", "fromfile", "read_bytes"),
        *("fromarray", "resize", "thumbnail", "rectangle", "circle", "line"),
        *("exists", "isfile", "is_file", "makedirs", "mkdir", "truetype"),
    }
)
"""Names of functions that a mend may apply to; what they belong to shows when they are called."""

TEXT_SIZES: Final = frozenset({"textsize", "getsize"})
"""Methods that Pillow 10 removed."""

_KEEPS: Final = frozenset({"imwrite", "fromarray", "resize", "cvtColor", "copy", "save"})
"""Functions whose argument or owner is kept or shown, so that a small slice is worth growing."""


def route(tree: ast.Module) -> ast.Module:
    """The tree with its calls, slices and last value sent through the stand-ins."""
    last = tree.body[-1] if tree.body else None
    echo = isinstance(last, ast.Expr) and _routed(last.value) is None
    routed: ast.Module = _Router().visit(tree)
    if echo and isinstance(last, ast.Expr):
        last.value = ast.copy_location(ast.Call(_name(LAST), [last.value], []), last.value)
    return ast.fix_missing_locations(routed)


def _routed(node: ast.expr) -> str | None:
    """The name of the called function, where a mend may apply to it."""
    function = node.func if isinstance(node, ast.Call) else None
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    return name if name in ROUTED or name in TEXT_SIZES else None


class _Router(ast.NodeTransformer):
    def __init__(self) -> None:
        self._kept: set[int] = set()

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self._kept.add(id(node.value))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _KEEPS:
            self._kept.update(id(argument) for argument in [*node.args, function.value])
        name = _routed(node)
        self.generic_visit(node)
        if name in ROUTED:
            call = ast.Call(_name(CALL), [node.func, *node.args], node.keywords)
            return ast.copy_location(call, node)
        if name in TEXT_SIZES and isinstance(node.func, ast.Attribute):
            arguments = [node.func.value, ast.Constant(name), *node.args]
            return ast.copy_location(ast.Call(_name(TEXT_SIZE), arguments, node.keywords), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        grow = id(node) in self._kept
        self.generic_visit(node)
        index = node.slice
        if not (isinstance(node.ctx, ast.Load) and isinstance(index, ast.Tuple)):
            return node
        if len(index.elts) < 2 or not all(map(_is_range, index.elts[:2])):  # noqa: PLR2004  (rows and columns)
            return node
        slices = ast.Tuple([_slice_call(part) for part in index.elts], ast.Load())
        arguments = [node.value, slices, ast.Constant(grow)]
        return ast.copy_location(ast.Call(_name(VIEW), arguments, []), node)


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) and None not in (node.lower, node.upper) and not node.step


def _slice_call(node: ast.expr) -> ast.expr:
    if not isinstance(node, ast.Slice):
        return node
    parts = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
    return ast.Call(_name(SLICE), parts, [])


def _name(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Load())
