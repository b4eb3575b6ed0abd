"""Reads a tool call in the forms that models write: the tool's name and its arguments.

Forms: Hermes and Qwen (`{"name": …, "arguments": {…}}`), OpenAI's wrappers (`function`,
`tool_calls`, arguments as JSON text), `parameters`, arguments beside the name, a list, a code
fence, text around the call, Python's `tool(box=[…])`, the tags of Qwen3-Coder (`<function=…>`), of
GLM (`<arg_key>`) and of `<invoke name="…">`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.plugin import Picture, Sample
from speceyes_plugins.agents.tolerant_json import (
    UnreadableError,
    Value,
    is_name,
    read_value,
)

__all__ = [
    "Call",
    "CallError",
    "read_call",
    "read_index",
    "read_number",
    "usual_index",
    "without_index",
]

MAX_LENGTH = 10_000
"""Characters of a call that are read."""
ATTEMPTS = 8
"""Brackets at which the call is looked for: more would be text that goes round in circles."""
NAME_KEYS = ("name", "tool_name", "function_name", "tool", "function", "action")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "params", "kwargs", "input", "action_input")
WRAPPERS = ("tool_calls", "tool_call", "function_call", "function", "tool_use", "call")
INDEX_KEYS = (
    *("img_idx", "img_index", "image_idx", "image_index", "picture_index", "index", "idx"),
)
"""Other names under which a call may say which picture it means."""
OTHER_KEYS = frozenset(("type", "id", "index"))
LANGUAGES = frozenset(("json", "json5", "python", "py", "tool_call", "tool_code"))
"""What may stand after a code fence."""

BRACKET = re.compile(r"[{\[]|(?<![\w.])[A-Za-z_][\w.]{0,63}\(")
MARKUP = re.compile(
    r"<(?P<end>/?)\s*+(?P<tag>function|invoke|parameter|arg_key|arg_value)"
    r"(?:\s*+=|\s++name\s*+=)?\s*+[\"']?(?P<name>[\w.-]*+)[\"']?[^<>]*+>",
    re.IGNORECASE,
)


class CallError(Exception):
    """A tool call that cannot be carried out, with its stable kind."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Call(NamedTuple):
    """What a tool call says."""

    name: str | None
    """The tool's; None where the call names none."""
    arguments: Value
    """A dictionary as a rule; a list where the call gives bare values."""
    mends: tuple[str, ...]
    """How it departs from `{"name": …, "arguments": {…}}`; empty where it does not."""


def read_call(text: str, known: frozenset[str], *, complete: bool = True) -> Call:
    """The call within a text; raises `CallError` of the kind "bad_json".

    `known` are the arguments' names: a dictionary that has one of them and names no tool is a call
    too. `complete` says that the text was not cut, so that a number at its end is whole.
    """
    if len(text) > MAX_LENGTH:
        raise CallError("bad_json", f"The tool call is longer than {MAX_LENGTH:,} characters.")
    try:
        call = _read_markup(text, complete=complete) or _read_json(text, known, complete=complete)
    except UnreadableError as error:
        raise CallError("bad_json", f"The tool call is not valid JSON: {error}.") from None
    if call is None:
        said = "The tool call is empty" if not text.strip() else "The tool call is not valid JSON"
        raise CallError("bad_json", f'{said}: {{"name": …, "arguments": {{…}}}} is needed.')
    return call


def _read_json(text: str, known: frozenset[str], *, complete: bool) -> Call | None:
    """The first value in the text that is a call.

    Behind a value that cannot be read only one that names its tool is taken: others may be parts of
    what could not be read.
    """
    at = 0
    failure: UnreadableError | None = None
    for _ in range(ATTEMPTS):
        found = BRACKET.search(text, at)
        if found is None:
            break
        try:
            read = read_value(text, found.start(), complete=complete)
        except UnreadableError as error:
            failure = failure or error
            at = found.end()
            continue
        call = _as_call(read.value, known)
        if call is not None and (failure is None or call.name is not None):
            call = call._replace(mends=read.mends + call.mends)
            return _with_surroundings(call, text[: found.start()], text[read.end :])
        at = read.end
    if failure is not None:
        raise failure
    return None


def _with_surroundings(call: Call, before: str, after: str) -> Call:
    """The call with the text around it; what stands before may be nothing but the tool's name."""
    mends = list(call.mends)
    name = call.name
    if "```" in before:
        mends.append("a code fence")
    before = before.strip(" \t\r\n`:")
    if before and before.lower() not in LANGUAGES:
        mends.append("text before the call")
        name = before if name is None and is_name(before) else name
    if after.strip(" \t\r\n`"):
        mends.append("text after the call")
    return Call(name, call.arguments, tuple(mends))


def _as_call(value: Value, known: frozenset[str]) -> Call | None:
    if isinstance(value, list):
        return _first_call(value, known)
    if not isinstance(value, dict):
        return None
    for key in WRAPPERS:
        if isinstance(value.get(key), dict | list):
            inner = _as_call(value[key], known)
            return inner and inner._replace(mends=(*inner.mends, f'wrapped in "{key}"'))
    names = [key for key in NAME_KEYS if isinstance(value.get(key), str)]
    name = str(value[names[0]]) if names else None
    held = next((key for key in ARGUMENT_KEYS if key in value), None)
    if held is not None:
        mends = [f'"{key}" for "name"' for key in names[:1] if key != "name"]
        mends += [f'"{held}" for "arguments"'] if held != "arguments" else []
        return _with_arguments(name, value[held], tuple(mends))
    rest = {key: item for key, item in value.items() if key not in {*names, *OTHER_KEYS}}
    if name is None and not known & rest.keys():
        return _keyed_by_name(value)
    return Call(name, rest, ("arguments beside the name",))


def _first_call(values: list[Value], known: frozenset[str]) -> Call | None:
    """The first call of a list; a list of bare numbers is one without a name."""
    if values and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return Call(None, values, ("bare numbers",))
    calls = (_as_call(v, known) for v in values if isinstance(v, dict | list))
    first = next((call for call in calls if call is not None), None)
    if first is None:
        return None
    count = len(values)
    what = "a list of one call" if count == 1 else f"the first of {count} calls in a list was run"
    return first._replace(mends=(*first.mends, what))


def _with_arguments(name: str | None, arguments: Value, mends: tuple[str, ...]) -> Call:
    """Arguments that are JSON as text are read; such that cannot be stay as they are."""
    if not isinstance(arguments, str) or arguments.lstrip()[:1] not in tuple("{[("):
        return Call(name, arguments, mends)
    try:
        read = read_value(arguments)
    except UnreadableError:
        return Call(name, arguments, mends)
    return Call(name, read.value, (*mends, "arguments as text", *read.mends))


def _keyed_by_name(value: Mapping[str, Value]) -> Call | None:
    """`{"tool": {arguments}}`."""
    if len(value) != 1:
        return None
    ((name, arguments),) = value.items()
    if not isinstance(arguments, dict) or not is_name(name):
        return None
    return Call(name, arguments, ("the tool's name as a key",))


def _read_markup(text: str, *, complete: bool) -> Call | None:
    """A call in tags; None where there are none of them."""
    tags = list(MARKUP.finditer(text))
    if not any(tag["tag"].lower() in {"parameter", "arg_value"} for tag in tags):
        return None
    opening = next((tag for tag in tags if tag["tag"].lower() in {"function", "invoke"}), None)
    before = text[: tags[0].start()].strip()
    name = opening["name"] if opening else before if is_name(before) else None
    arguments: dict[str, Value] = {}
    key = ""
    for i, tag in enumerate(tags):
        last = i + 1 == len(tags)
        held = text[tag.end() : len(text) if last else tags[i + 1].start()].strip()
        kind = tag["tag"].lower()
        if tag["end"] or kind not in {"parameter", "arg_key", "arg_value"}:
            continue
        if last and not complete:
            raise UnreadableError("it is cut off")
        if kind == "arg_key":
            key = held
        else:
            arguments[tag["name"] if kind == "parameter" else key] = held
    return Call(name or None, arguments, ("arguments in tags",))


def without_index(arguments: Value, key: str) -> Value:
    """A call's arguments without the one that says which picture it means."""
    held = _under(arguments, key, INDEX_KEYS)
    if held is None or not isinstance(arguments, dict):
        return arguments
    return {name: value for name, value in arguments.items() if name != held.key}


def read_index(
    arguments: Value, key: str, count: int, usual: int = 0, *, first: int = 0
) -> tuple[int, tuple[str, ...]]:
    """Which of `count` pictures a call means, from 0, and what was mended; raises `CallError`.

    A call that does not say means the `usual` one. `first` is the number that the model knows the
    first one by. The error is of the kind "no_picture".
    """
    if count == 0:
        raise CallError("no_picture", "There is no picture.")
    held = _under(arguments, key, INDEX_KEYS)
    if held is None:
        return usual, (f"no {key}: picture {usual + first}",)
    mends = () if held.key == key else (f'"{held.key}" for "{key}"',)
    number = _number(held.value)
    if number is None or not number.is_integer():
        raise CallError("no_picture", f"{key} must be a whole number: a picture, from {first}.")
    if isinstance(held.value, str):
        mends = (*mends, "a number as text")
    if not first <= number < first + count:
        last = first + count - 1
        known = f"there is picture {first} only" if count == 1 else f"there are {first} to {last}"
        raise CallError("no_picture", f"There is no picture {number:g}: {known}.")
    return int(number) - first, mends


def usual_index(pictures: Sequence[Picture], sample: Sample) -> int:
    """Which picture a call means that names none: the sample's own; the first where it is gone."""
    return next((i for i, picture in enumerate(pictures) if picture is sample.picture), 0)


def read_number(arguments: Value, key: str) -> float:
    """A number among a call's arguments; raises `CallError`, kind "bad_argument"."""
    held = _under(arguments, key, ())
    number = None if held is None else _number(held.value)
    if number is None:
        raise CallError("bad_argument", f"{key} must be a number.")
    return number


class _Held(NamedTuple):
    key: str
    value: Value


def _under(arguments: Value, key: str, others: tuple[str, ...]) -> _Held | None:
    """The argument of that name, in any case, or of another name for it; None for null too."""
    if not isinstance(arguments, dict):
        return None
    known = {name.strip().lower(): name for name in arguments}
    found = next((known[name] for name in (key, *others) if name in known), None)
    return None if found is None or arguments[found] is None else _Held(found, arguments[found])


def _number(value: Value) -> float | None:
    if isinstance(value, str):
        try:
            value = read_value(value.strip()).value
        except UnreadableError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
