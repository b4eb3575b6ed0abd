"""Whether values that plugins hand over are what their annotations say."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def first_misfit(value: Any) -> str | None:
    """What is wrong with the first ill-typed field of a dataclass instance, as a clause.

    Fields that are dataclasses, or tuples of them, are looked into. None when every field fits.
    """
    of: Any = type(value)
    for name, hint in _hints(of).items():
        wrong = misfit(getattr(value, name, None), hint)
        if wrong is not None:
            return f"its {name} {wrong}"
    return None


def misfit(value: Any, hint: Any) -> str | None:  # noqa: PLR0911 - one return for each kind of type
    """What is wrong with a value, as a clause that begins with a verb; None when it fits.

    A list passes for a tuple, a whole number for a float.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return None
    if origin in (Union, types.UnionType):
        wrong = [misfit(value, argument) for argument in arguments]
        return None if None in wrong else _is_not(value, hint)
    if origin is Literal:
        return None if value in arguments else _is_not(value, hint)
    if origin is Callable or hint is Callable:
        return None if callable(value) else f"is {describe(value)}, which cannot be called"
    if origin is tuple and arguments[-1:] == (...,):
        return _items_misfit(value, arguments[0])
    if origin is Mapping or hint is Mapping:
        return _mapping_misfit(value, *(arguments or (Any, Any)))
    expected = origin or hint
    if not isinstance(expected, type):
        return None
    if isinstance(value, bool) and expected in (int, float):
        return _is_not(value, hint)
    if not isinstance(value, (int, float) if expected is float else expected):
        return _is_not(value, hint)
    return first_misfit(value) if dataclasses.is_dataclass(expected) else None


def describe(value: Any) -> str:
    """A value as a sentence names it: its text where that is short, else its type."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return f"of the type {type(value).__name__}"


def _is_not(value: Any, hint: Any) -> str:
    expected = hint.__name__ if isinstance(hint, type) else str(hint)
    return f"is {describe(value)}, not {expected.replace('typing.', '')}"


def _items_misfit(value: Any, hint: Any) -> str | None:
    if not isinstance(value, tuple | list):
        name = getattr(hint, "__name__", str(hint))
        return f"is {describe(value)}, not a tuple of {name}"
    wrong = ((place, misfit(item, hint)) for place, item in enumerate(value))
    return next((f"has an item {place} that {told}" for place, told in wrong if told), None)


def _mapping_misfit(value: Any, key_hint: Any, item_hint: Any) -> str | None:
    if not isinstance(value, Mapping):
        return f"is {describe(value)}, not a mapping"
    for key, item in value.items():
        if wrong := misfit(key, key_hint):
            return f"has a key that {wrong}"
        if wrong := misfit(item, item_hint):
            return f"has an item {key!r} that {wrong}"
    return None


@functools.cache
def _hints(of: type) -> dict[str, Any]:
    hints = get_type_hints(of)
    return {field.name: hints[field.name] for field in dataclasses.fields(of)}
