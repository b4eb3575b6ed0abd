"""Whether values that plugins hand over are what their annotations say."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Check = Callable[[Any], str | None]
"""What is wrong with a value, as a clause that begins with a verb; None when it fits."""


def first_misfit(value: Any) -> str | None:
    """What is wrong with the first ill-typed field of a dataclass instance, as a clause.

    Fields that are dataclasses, or tuples of them, are looked into. None when every field fits.
    """
    of: Any = type(value)
    for name, check in _field_checks(of):
        wrong = check(getattr(value, name, None))
        if wrong is not None:
            return f"its {name} {wrong}"
    return None


def misfit(value: Any, hint: Any) -> str | None:
    """What is wrong with a value, as a clause that begins with a verb; None when it fits.

    A list passes for a tuple, a whole number for a float.
    """
    return _check_of(hint)(value)


@functools.cache
def _check_of(hint: Any) -> Check:  # noqa: PLR0911 - one return for each kind of type
    """The check of an annotation, made once: every sample passes through dozens of them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda _: None
    if origin in (Union, types.UnionType):
        return _union_check(hint, arguments)
    if origin is Literal:
        return lambda value: None if value in arguments else _is_not(value, hint)
    if origin is Callable or hint is Callable:
        return _call_misfit
    if origin is tuple and arguments[-1:] == (...,):
        return functools.partial(_items_misfit, hint=arguments[0], check=_check_of(arguments[0]))
    if origin is Mapping or hint is Mapping:
        checks = [_check_of(argument) for argument in arguments or (Any, Any)]
        return functools.partial(_mapping_misfit, checks=checks)
    expected = origin or hint
    return _class_check(hint, expected) if isinstance(expected, type) else lambda _: None


def _union_check(hint: Any, arguments: tuple[Any, ...]) -> Check:
    checks = [_check_of(argument) for argument in arguments]
    plain = {argument for argument in arguments if argument in (str, int, float, bool, type(None))}

    def check(value: Any) -> str | None:
        if type(value) in plain or any(each(value) is None for each in checks):
            return None
        return _is_not(value, hint)

    return check


def _class_check(hint: Any, expected: type) -> Check:
    passing = (int, float) if expected is float else expected
    refused = bool if expected in (int, float) else ()
    looks_into = dataclasses.is_dataclass(expected)

    def check(value: Any) -> str | None:
        if not isinstance(value, passing) or isinstance(value, refused):
            return _is_not(value, hint)
        return first_misfit(value) if looks_into else None

    return check


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


def _call_misfit(value: Any) -> str | None:
    return None if callable(value) else f"is {describe(value)}, which cannot be called"


def _items_misfit(value: Any, hint: Any, check: Check) -> str | None:
    if not isinstance(value, tuple | list):
        name = getattr(hint, "__name__", str(hint))
        return f"is {describe(value)}, not a tuple of {name}"
    wrong = ((place, check(item)) for place, item in enumerate(value))
    return next((f"has an item {place} that {told}" for place, told in wrong if told), None)


def _mapping_misfit(value: Any, checks: Sequence[Check]) -> str | None:
    if not isinstance(value, Mapping):
        return f"is {describe(value)}, not a mapping"
    check_key, check_item = checks
    for key, item in value.items():
        if wrong := check_key(key):
            return f"has a key that {wrong}"
        if wrong := check_item(item):
            return f"has an item {key!r} that {wrong}"
    return None


@functools.cache
def _field_checks(of: type) -> list[tuple[str, Check]]:
    hints = get_type_hints(of)
    return [(field.name, _check_of(hints[field.name])) for field in dataclasses.fields(of)]
