"""What stands in for some calls of a block: the call itself, with harmless slips mended.

Each mend goes to `note`, for the record. A call that nothing is wrong with does what it says.
"""

from __future__ import annotations

import io
import math
import operator
import os
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageFont

from speceyes_plugins.sandbox.paths import PICTURE_ENDS, Paths
from speceyes_plugins.sandbox.worker import repairs
from speceyes_plugins.sandbox.worker.boxes import BoxMender

EVERY_FORMAT: Final = frozenset({"RGB", "L", "1"})
"""Modes that every picture format takes."""
FLOATS: Final = frozenset({"F", "I"})
WINDOWS: Final = tuple(
    getattr(cv2, name)
    for name in (
        *("imshow", "waitKey", "waitKeyEx", "namedWindow", "resizeWindow", "moveWindow"),
        *("destroyWindow", "destroyAllWindows"),
    )
)
"""OpenCV's functions that need a screen."""
NO_KEY: Final = -1  # what cv2.waitKey answers when no key was pressed
FONT_SIZE: Final = 10.0  # that of ImageFont.truetype
MOST_MOVED: Final = 32


class Call(NamedTuple):
    """A call that a mend may apply to."""

    function: Any
    arguments: tuple[Any, ...]
    named: dict[str, Any]

    def run(self) -> Any:
        """The call as it stands."""
        return self.function(*self.arguments, **self.named)

    @property
    def owner(self) -> Any:
        """What the method belongs to; None for a function."""
        return getattr(self.function, "__self__", None)

    def path(self) -> str | None:
        """The path it is about: its owner, its first argument, or one named so."""
        named = next((self.named[name] for name in repairs.FILE_NAMES if name in self.named), None)
        found = next(iter(self.arguments), named)
        if isinstance(self.owner, PurePath):
            found = self.owner
        return os.fspath(found) if isinstance(found, str | os.PathLike) else None

    def with_path(self, path: str) -> Call:
        """The same call about another path."""
        if isinstance(self.owner, PurePath):
            return self._replace(function=getattr(Path(path), self.function.__name__))
        if self.arguments:
            return self._replace(arguments=(path, *self.arguments[1:]))
        named = {n: path if n in repairs.FILE_NAMES else v for n, v in self.named.items()}
        return self._replace(named=named)


class StandIns:
    """The functions that `routing.route` sends a block's calls to."""

    def __init__(self, paths: Paths, boxes: BoxMender, note: Callable[[str], None]) -> None:
        self._paths = paths
        self._boxes = boxes
        self._note = note
        self._written: set[str] = set()
        self._mends: dict[str, Callable[[Call], Any]] = {
            "crop": self._crop,
            "show": self._show,
            "truetype": self._font,
            "fromarray": self._from_array,
            **dict.fromkeys(("resize", "thumbnail", "rectangle", "circle", "line"), self._whole),
            "open": self._open,
            **dict.fromkeys(("imread", "imreadmulti", "fromfile", "read_bytes"), self._read),
            **dict.fromkeys(("exists", "isfile", "is_file"), self._exists),
            **dict.fromkeys(repairs.WRITES, self._write),
            **dict.fromkeys(("makedirs", "mkdir"), self._make_folder),
        }
        self.saved = ""
        """The picture saved last in this block, on disk; empty: none."""
        self.last: Any = None
        """The value of the block's last statement, where that is an expression."""
        self.moved: dict[str, str] = {}
        """Paths that cannot be written, and where pictures were saved instead."""

    def begin(self) -> None:
        """A new block."""
        self.saved, self.last = "", None

    def keep_last(self, value: Any) -> Any:
        """Keep the value of the block's last statement."""
        self.last = value
        return value

    def display(self, *_: Any, **__: Any) -> None:
        """A notebook's `display`."""
        self._note("display left out: there is no screen")

    def call(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """`function(…)`, with what is known to go wrong mended."""
        call = Call(function, arguments, named)
        name = getattr(function, "__name__", None)
        if any(function is window for window in WINDOWS):
            self._note(f"cv2.{name} left out: there is no screen")
            return NO_KEY if str(name).startswith("waitKey") else None
        mend = self._mends.get(name) if isinstance(name, str) else None
        return mend(call) if mend else call.run()

    def text_size(self, owner: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
        """`draw.textsize(…)` and `font.getsize(…)`, which Pillow 10 removed."""
        measure = "textbbox" if name == "textsize" else "getbbox"
        if hasattr(owner, name) or not hasattr(owner, measure):
            return getattr(owner, name)(*arguments, **named)
        corner = ((0, 0),) if name == "textsize" else ()
        left, top, right, bottom = getattr(owner, measure)(*corner, *arguments, **named)
        self._note(f".{name} -> .{measure}")
        return right - left, bottom - top

    def _crop(self, call: Call) -> Any:
        if not isinstance(call.owner, Image.Image):
            return call.run()
        return self._boxes.crop(call.owner, *call.arguments, **call.named)

    def _show(self, call: Call) -> Any:
        module = str(getattr(call.function, "__module__", ""))
        if not (isinstance(call.owner, Image.Image) or module.startswith("matplotlib.")):
            return call.run()
        self._note("show left out: there is no screen")
        return None

    def _font(self, call: Call) -> Any:
        """A font file that this machine does not have: Pillow's own font in that size."""
        try:
            return call.run()
        except OSError:
            size = call.named.get("size", (*call.arguments, FONT_SIZE, FONT_SIZE)[1])
            self._note("a font that is not here -> Pillow's own")
            return ImageFont.load_default(size)

    def _from_array(self, call: Call) -> Any:
        """An array that no picture can hold: as numbers from 0 to 255, cut at both ends."""
        try:
            return call.run()
        except TypeError:
            array = call.arguments[0] if call.arguments else None
            if call.function is not Image.fromarray or not isinstance(array, np.ndarray):
                raise
            share = array.dtype.kind == "b" or (array.dtype.kind == "f" and array.max() <= 1)
            pixels = np.clip(array * (255 if share else 1), 0, 255).astype(np.uint8)
            self._note(f"an array of {array.dtype} as numbers from 0 to 255")
            return call._replace(arguments=(pixels, *call.arguments[1:])).run()

    def _whole(self, call: Call) -> Any:
        """Sizes and points with fractions: as whole numbers."""
        try:
            return call.run()
        except (TypeError, cv2.error):
            arguments = tuple(map(_whole_numbers, call.arguments))
            named = {name: _whole_numbers(value) for name, value in call.named.items()}
            given = (*call.arguments, *call.named.values())
            if all(map(operator.is_, (*arguments, *named.values()), given)):
                raise
            result = call._replace(arguments=arguments, named=named).run()
            self._note("sizes and points as whole numbers")
            return result

    def _open(self, call: Call) -> Any:
        """`open`, `Image.open` and `Path.open`; other functions of that name as they are."""
        method = isinstance(call.owner, PurePath)
        if not (method or call.function in (io.open, Image.open)):
            return call.run()
        given = call.arguments[0 if method else 1 :]
        mode = str(call.named.get("mode", given[0] if given else "r"))
        if not set(mode) & set("wax+"):
            return self._read(call)
        path = call.path()
        if path is not None and self._inside(_absolute(path)):
            self._make_parent(_absolute(path))
        return call.run()

    def _read(self, call: Call) -> Any:
        """A path that leads nowhere means the picture."""
        path = call.path()
        if path is None:
            return call.run()
        if path in self.moved:
            return call.with_path(self.moved[path]).run()
        name = call.function.__name__
        if self._is_lost(path, any_name=name == "imread" or call.function is Image.open):
            self._note(repairs.picture_note(path, self._paths))
            return call.with_path(self._paths.picture).run()
        return call.run()

    def _exists(self, call: Call) -> Any:
        """A whole path that leads nowhere means the picture, which exists."""
        path = call.path()
        found = call.run()
        if found or path is None or not path.startswith("/"):
            return found
        return path in self.moved or self._is_lost(path, any_name=False)

    def _write(self, call: Call) -> Any:
        """Save a picture: into a folder that exists, in a mode that its format takes."""
        path = call.path()
        picture = call.owner if isinstance(call.owner, Image.Image) else None
        if path is None or (picture is None and not path.lower().endswith(PICTURE_ENDS)):
            return call.run()
        place = self._place_for(path)
        if place != _absolute(path):
            call = call.with_path(place)
        given = len(call.arguments) > 1 or "format" in call.named
        if picture is not None and not given and not Path(place).suffix:
            call.named["format"] = "PNG"
            self._note("a picture without a suffix saved as PNG")
        try:
            result = call.run()
        except (OSError, ValueError, KeyError):
            if picture is None or picture.mode in EVERY_FORMAT:
                raise
            result = call._replace(function=_opaque(picture).save).run()
            self._note(f"a picture of mode {picture.mode} saved as RGB")
        if Path(place).is_file():
            self.saved = place
            self._written.add(place)
        return result

    def _make_folder(self, call: Call) -> Any:
        """A folder that is there already, below others, or where none can be made."""
        path = call.path()
        try:
            return call.run()
        except FileExistsError:
            if path is None or not Path(path).is_dir():
                raise
            self._note("a folder that is there already is kept")
        except FileNotFoundError:
            if path is None or not self._inside(_absolute(path)):
                raise
            self._make_parent(_absolute(path))
            return call.run()
        except OSError:
            if call.function is not os.makedirs or self._inside(_absolute(str(path))):
                raise
            self._note(f"a folder outside {self._paths.to_script(self._paths.data)} is not made")
        return None

    def _place_for(self, path: str) -> str:
        """Where a picture may be saved: there, or in the output folder under the same name.

        Raises:
            PermissionError: there, the input picture is.
        """
        place = _absolute(path)
        if os.path.realpath(place) == self._paths.picture:
            name = self._paths.picture_name
            raise PermissionError(f"{name} is the input picture; save results elsewhere")
        if self._inside(place):
            self._make_parent(place)
        elif place.lower().endswith(PICTURE_ENDS) and not _writable(place):
            moved = f"{self._paths.output}/{Path(place).name}"
            self._note(f"result path {path[: repairs.SHOWN]!r} -> {self._paths.to_script(moved)!r}")
            if len(self.moved) < MOST_MOVED:
                self.moved[path] = moved
            return moved
        return place

    def _inside(self, place: str) -> bool:
        return place.startswith(f"{self._paths.data}/")

    def _make_parent(self, place: str) -> None:
        parent = Path(place).parent
        if not parent.is_dir():
            parent.mkdir(parents=True)
            self._note(f"folder {self._paths.to_script(str(parent))[: repairs.SHOWN]!r} made")

    def _is_lost(self, path: str, *, any_name: bool) -> bool:
        """Whether a path cannot be read, and is none that a result was or should be saved to.

        While there are no results, a path below their folder is none either.
        """
        place = _absolute(path)
        result = path.startswith("/") and place.startswith(f"{self._paths.output}/")
        result = result and any(Path(self._paths.output).iterdir())
        if result or place in self._written or not (any_name or _names_picture(path)):
            return False
        return place != self._paths.picture and not repairs.readable(path)


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100  (resolve would follow links)


def _names_picture(path: str) -> bool:
    return path.lower().endswith(PICTURE_ENDS)


def _whole_numbers(value: Any) -> Any:
    """A tuple or list of finite numbers with its fractions rounded; anything else as it is."""
    if not isinstance(value, tuple | list) or all(isinstance(side, Integral) for side in value):
        return value
    finite = all(isinstance(side, Real) and math.isfinite(side) for side in value)
    return tuple(round(float(side)) for side in value) if finite else value


def _writable(place: str) -> bool:
    """Whether a file can be written; tried, since rights alone do not tell in the sandbox."""
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600))
    except (OSError, ValueError):
        return False
    return True


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture as RGB, transparent parts white."""
    if picture.mode in FLOATS:
        return picture.convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
