"""Reads the box of a tool call in the forms that models write, and says what is wrong with others.

Four numbers `[x1, y1, x2, y2]` are meant. Read too: a box under another name, within lists, as
text, as two points, by named corners, by a corner and a size, corners swapped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from speceyes_cli.plugin import BoxFrame, Size, one_line
from speceyes_plugins.agents.tolerant_json import UnreadableError, Value, read_value
from speceyes_plugins.agents.tool_calls import CallError

__all__ = ["Box", "Frame", "check_frame", "read_box"]

Units = Literal["pixels", "relative", "fractions"]
"""As `BoxFrame`, or from 0 to 1 across and down the whole picture, as some agents were taught."""
BOX_FRAMES: tuple[BoxFrame, ...] = get_args(BoxFrame)
BOX = "bbox_2d"
BOX_KEYS = frozenset((BOX, "bbox", "bbox2d", "box", "box_2d", "bounding_box", "boundingbox"))
CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
)
SIZES = (
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
    ("xmin", "ymin", "width", "height"),
)
POINTS = (("topleft", "bottomright"), ("lefttop", "rightbottom"), ("start", "end"))
CORNER_KEYS = frozenset(("x", "x0", "x1", "xmin", "minx", "left", "topleft", "lefttop"))
NUMBERS = 4
MOST_NUMBERS = 64
FARTHEST = 1e9
"""Coordinates beyond it are brought to it: they are outside any picture."""
RELATIVE_SIDE = 1000
"""What Qwen's relative boxes call the whole width, and the whole height."""
ABOVE = 1.1
"""Sides of the picture within which a box ends: models point a little beyond the edge, numbers
farther out are measured in something else."""
PIXELS = re.compile(r"([+-]?[\d.]{1,20})\s*+px", re.IGNORECASE)


class Box(NamedTuple):
    """A box in its frame's units, left < right and top < bottom."""

    left: float
    top: float
    right: float
    bottom: float


class Frame(NamedTuple):
    """What a box's numbers are measured in."""

    kind: Units
    seen: Size | None
    """The picture as the model saw it; None where that is not known."""

    @property
    def meant(self) -> str:
        """The units, as a model is told of them."""
        if self.kind == "relative":
            return f"numbers from 0 to {RELATIVE_SIDE}, relative to the picture"
        if self.kind == "fractions":
            return "fractions of the picture, from 0 to 1"
        if self.seen is None:
            return "pixels of the picture"
        return f"pixels of the picture as shown ({self.seen.width}x{self.seen.height})"

    @property
    def sides(self) -> Size | None:
        """The picture's width and height in these units, where that is known."""
        if self.kind == "pixels":
            return self.seen
        side = RELATIVE_SIDE if self.kind == "relative" else 1
        return Size(side, side)


def read_box(arguments: Value, frame: Frame) -> tuple[Box, tuple[str, ...]]:
    """The box among a call's arguments and what was mended; raises `CallError`, kind "bad_box"."""
    reader = _BoxReader(frame)
    value = reader.find(arguments)
    numbers = reader.four_numbers(value)
    if not all(math.isfinite(number) for number in numbers):
        raise _bad("bbox_2d must be four finite numbers.")
    if frame.kind != "fractions" and all(0 <= number <= 1 for number in numbers):
        raise _wrong_frame(f"bbox_2d seems to be fractions: {frame.meant} are meant.")
    left, top, right, bottom = (min(max(n, -FARTHEST), FARTHEST) for n in numbers)
    if left == right or top == bottom:
        raise _bad("bbox_2d is empty: x1 < x2 and y1 < y2 are needed.")
    if left > right or top > bottom:
        reader.mends.append("corners swapped")
    box = Box(min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    return box, tuple(reader.mends)


def check_frame(box: Box, frame: Frame) -> None:
    """Raise `CallError`, kind "wrong_frame", for a box that is measured in something else.

    It reaches farther beyond the picture than a model that points at its edge does.
    """
    sides = frame.sides
    if sides and (box.right > ABOVE * sides.width or box.bottom > ABOVE * sides.height):
        raise _wrong_frame(f"bbox_2d is above the frame: {frame.meant} are meant.")


def _bad(text: str) -> CallError:
    return CallError("bad_box", text)


def _wrong_frame(text: str) -> CallError:
    return CallError("wrong_frame", text)


class _BoxReader:
    """Finds and reads the box, noting what it had to mend."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.mends: list[str] = []

    def find(self, arguments: Value) -> Value:
        """The value that is the box."""
        if not isinstance(arguments, dict):
            if arguments is None or arguments == "":
                raise self._missing()
            self.mends.append("the box without its name")
            return arguments
        if BOX in arguments:
            return arguments[BOX]
        key = next((key for key in arguments if key.strip().lower() in BOX_KEYS), None)
        if key is not None:
            self.mends.append(f'"{key}" for "{BOX}"')
            return arguments[key]
        if CORNER_KEYS & _plain_keys(arguments).keys():
            self.mends.append("corners beside each other")
            return arguments
        held = [key for key, value in arguments.items() if _may_hold(value)]
        if len(held) != 1:
            raise self._missing()
        self.mends.append(f'"{one_line(held[0], 40)}" for "{BOX}"')
        value = arguments[held[0]]
        return self.find(value) if isinstance(value, dict) else value

    def _missing(self) -> CallError:
        return _bad(f"The call has no bbox_2d; x1, y1, x2, y2 are needed: {self.frame.meant}.")

    def four_numbers(self, value: Value) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as written."""
        if isinstance(value, str):
            value = self._parsed(value)
        if isinstance(value, dict):
            return self._named(value)
        if not isinstance(value, list):
            raise _bad(f"bbox_2d must be four numbers: x1, y1, x2, y2, not {_shown(value)}.")
        if len(value) == 1 and isinstance(value[0], str):
            value = self._parsed(value[0])
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            self.mends.append("the box within a list")
            return self.four_numbers(self.find(value[0]))
        if isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
            self.mends.append("the box within lists")
        numbers = self._flat(value)
        if len(numbers) != NUMBERS:
            several = len(numbers) > NUMBERS and len(numbers) % NUMBERS == 0
            advice = "one box a call" if several else "x1, y1, x2, y2"
            raise _bad(f"bbox_2d must be four numbers: {advice}; {len(numbers)} were given.")
        left, top, right, bottom = numbers
        return left, top, right, bottom

    def _parsed(self, text: str) -> Value:
        """A box written as text: its numbers, with or without brackets and names."""
        self.mends.append("the box as text")
        named = ":" in text or "=" in text
        bare = text.strip()[:1] not in tuple("{[")
        enclosed = f"{{{text}}}" if named and bare else f"[{text}]"
        try:
            read = read_value(enclosed).value
        except UnreadableError:
            raise _bad(f"bbox_2d must be four numbers, not {_shown(text)}.") from None
        if isinstance(read, list) and len(read) == 1 and isinstance(read[0], list | dict):
            return read[0]
        return read

    def _named(self, value: Mapping[str, Value]) -> tuple[float, float, float, float]:
        """Corners, or a corner and a size, by their names."""
        held = _plain_keys(value)
        for names in CORNERS:
            if all(name in held for name in names):
                self.mends.append("named corners")
                left, top, right, bottom = (self._number(held[name]) for name in names)
                return left, top, right, bottom
        for names in SIZES:
            if all(name in held for name in names):
                left, top, width, height = (self._number(held[name]) for name in names)
                if width <= 0 or height <= 0:
                    raise _bad("bbox_2d is empty: its width and height must be more than 0.")
                self.mends.append("a corner and a size")
                return left, top, left + width, top + height
        for first, second in POINTS:
            if first in held and second in held:
                return self.four_numbers([held[first], held[second]])
        raise _bad(f"bbox_2d must be four numbers: x1, y1, x2, y2, not {_shown(', '.join(value))}.")

    def _flat(self, value: Value) -> list[float]:
        """Every number within lists and points, in order."""
        found: list[float] = []
        waiting = [value]
        while waiting and len(found) <= MOST_NUMBERS:
            item = waiting.pop()
            if isinstance(item, dict):
                held = _plain_keys(item)
                if held.keys() != {"x", "y"}:
                    raise _bad(f"bbox_2d must be four numbers, not {_shown(', '.join(item))}.")
                waiting += [held["y"], held["x"]]
            elif isinstance(item, list):
                waiting += reversed(item)
            else:
                found.append(self._number(item))
        return found

    def _number(self, value: Value) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str):
            return self._number_as_text(value)
        raise _bad(f"bbox_2d must be four numbers: x1, y1, x2, y2, not {_shown(value)}.")

    def _number_as_text(self, text: str) -> float:
        text = text.strip()
        if text.endswith("%"):
            raise _wrong_frame(f"bbox_2d has percentages: {self.frame.meant} are meant.")
        pixels = PIXELS.fullmatch(text)
        if pixels is not None and self.frame.kind != "pixels":
            raise _wrong_frame(f"bbox_2d has pixels: {self.frame.meant} are meant.")
        try:
            text = pixels.group(1) if pixels else text
            read = read_value(text)
        except UnreadableError:
            read = None
        number = None if read is None or text[read.end :].strip() else read.value
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise _bad(f"bbox_2d must be four numbers, not {_shown(text)}.")
        note = 'numbers with "px"' if pixels else "numbers as text"
        if note not in self.mends:
            self.mends.append(note)
        return float(number)


def _may_hold(value: Value) -> bool:
    """Whether a value under an unknown name is the box: four numbers, or arguments with a box."""
    if isinstance(value, dict):
        return bool(BOX_KEYS & value.keys())
    if not isinstance(value, list) or len(value) != NUMBERS:
        return False
    return all(isinstance(item, int | float) and not isinstance(item, bool) for item in value)


def _plain_keys(value: Mapping[str, Value]) -> dict[str, Value]:
    """Keys in small letters, without blanks and underscores: `x_min` and `xMin` are one."""
    return {re.sub(r"[^a-z0-9]", "", key.lower()): item for key, item in value.items()}


def _shown(value: Value) -> str:
    """A value as an error shows it."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f'"{one_line(str(value), 40)}"'
