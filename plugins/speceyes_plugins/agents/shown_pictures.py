"""Which of several pictures a tool call means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speceyes_cli.plugin import Picture
from speceyes_plugins.agents.tolerant_json import Value
from speceyes_plugins.agents.tool_calls import CallError

__all__ = ["picture_meant", "several_pictures", "without_place"]

INDEX = "img_idx"
"""As Qwen's own examples of zooming name it."""
PICTURE_KEYS = (INDEX, "image_index", "image_idx", "img_index", "picture_index")


def several_pictures(count: int) -> str:
    """What a model is told of them."""
    return f'There are {count} pictures: "{INDEX}" says which, from 0 to {count - 1}.'


def picture_meant(arguments: Value, pictures: Sequence[Picture], usual: Picture) -> int:
    """The place of the picture that a call names, the `usual` one's where it names none.

    Raises `CallError` of the kind "no_picture".
    """
    if len(pictures) == 1:
        return 0
    named = None
    if isinstance(arguments, Mapping):
        named = next((arguments[key] for key in PICTURE_KEYS if key in arguments), None)
    if named is None:
        return next(i for i, picture in enumerate(pictures) if picture is usual)
    place = _whole_number(named)
    if place is None or not 0 <= place < len(pictures):
        last = len(pictures) - 1
        raise CallError("no_picture", f"There is no such picture: {INDEX} is from 0 to {last}.")
    return place


def _whole_number(value: Value) -> int | None:
    """A whole number, also as text or as 1.0."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value) if len(value) < 10 else None  # noqa: PLR2004 - no conversation is so long
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else None


def without_place(arguments: Value) -> Value:
    """The arguments without the one that names the picture."""
    if not isinstance(arguments, dict):
        return arguments
    return {key: value for key, value in arguments.items() if key not in PICTURE_KEYS}
