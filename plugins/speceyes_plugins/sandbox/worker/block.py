"""Run one block of model-written code. Only ever called inside a worker."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import sys
import types
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image

from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.worker import repairs, routing
from speceyes_plugins.sandbox.worker.boxes import BoxError, BoxMender
from speceyes_plugins.sandbox.worker.source import BLOCK
from speceyes_plugins.sandbox.worker.stand_ins import StandIns

ERROR_TEXT: Final = 2000
NOTES: Final = 20
NOTE_TEXT: Final = 400
DONE: Final = ""
PROCESSED: Final = "processed_path"
"""The variable in which Thyme was trained to keep the path of its result."""
VALUES: Final = (str, int, float, tuple, list, dict, np.generic)
"""Values that a notebook would show when they stand on the last line."""


class Outcome(NamedTuple):
    """What a block did; `kind` is empty when it ran to its end."""

    kind: str
    text: str
    stdout: str
    repairs: list[str]


class CappedText(io.TextIOBase):
    """Standard output that keeps the beginning and drops the rest."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._left = limit
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        """Keep what there is room for; gives the text's length, as files do."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._left > 0:
            self._parts.append(text[: self._left])
            self._left -= len(text)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True

    def value(self) -> str:
        """What was kept."""
        cut = "\n[output cut]" if self._left < 0 else ""
        return "".join(self._parts) + cut


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: bytes become text, whatever they are."""

    def __init__(self, text: CappedText) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)

    def writable(self) -> bool:
        return True


class Interpreter:
    """A namespace that is kept from block to block."""

    def __init__(self, paths: Paths, text_limit: int) -> None:
        self._paths = paths
        self._text_limit = text_limit
        self._notes: list[str] = []
        self._size: tuple[int, int] | None = None
        boxes = BoxMender(self._picture_size, self._note)
        self._stand_ins = StandIns(paths, boxes, self._note)
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self._namespace = module.__dict__
        self._namespace.update(
            {
                "image_path": paths.picture,
                "temp_output_dir": paths.output,
                "display": self._stand_ins.display,
                routing.CALL: self._stand_ins.call,
                routing.TEXT_SIZE: self._stand_ins.text_size,
                routing.LAST: self._stand_ins.keep_last,
                routing.VIEW: boxes.view,
                routing.SLICE: slice,
            }
        )

    def run(self, source: str) -> Outcome:
        """Mend, compile and execute a block; nothing it raises gets out."""
        self._notes = []
        self._stand_ins.begin()
        output = CappedText(self._text_limit)
        try:
            bound, results = frozenset(self._namespace), self._stand_ins.moved
            mended = repairs.mend(source, self._paths, bound, results)
            code = compile(routing.route(mended.tree), BLOCK, "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Outcome("syntax", _syntax_text(error), "", [])
        for note in mended.notes:
            self._note(note)
        lines = mended.source.splitlines(keepends=True)
        linecache.cache[BLOCK] = (len(mended.source), None, lines, BLOCK)
        earlier = self._namespace.get(PROCESSED)
        sys.stdout = sys.stderr = output
        try:
            kind, text = self._execute(code)
            if kind == DONE:
                self._print_what_is_meant(output, earlier)
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        printed = output.value()
        for place, moved in self._stand_ins.moved.items():
            printed = printed.replace(place, moved)
        return Outcome(kind, text, printed[: self._text_limit], self._notes)

    def _print_what_is_meant(self, output: CappedText, earlier: Any) -> None:
        """Print the path of a result, or the last value, where the block forgot to."""
        processed = self._namespace.get(PROCESSED)
        printed = output.value()
        if isinstance(processed, str) and processed is not earlier and Path(processed).is_file():
            if not self._paths.printed(printed):
                output.write(f"{processed}\n")
                self._note(f"{PROCESSED} printed")
        elif printed.strip():
            return
        elif self._stand_ins.saved:
            output.write(f"{self._stand_ins.saved}\n")
            self._note("the path of the picture saved last printed")
        elif isinstance(self._stand_ins.last, VALUES):
            with contextlib.suppress(Exception):
                output.write(f"{self._stand_ins.last}\n")
                self._note("the value of the last line printed")

    def _execute(self, code: types.CodeType) -> tuple[str, str]:
        try:
            exec(code, self._namespace)  # noqa: S102  (what this process is locked down for)
        except SystemExit as error:
            return (
                (DONE, "") if not error.code else ("exception", f"SystemExit: {error.code!s:.200}")
            )
        except BoxError as error:
            return "bad_box", _error_text(error)
        except MemoryError as error:
            return "memory", _error_text(error)
        except BaseException as error:  # noqa: BLE001  (a script may raise anything)
            return "exception", _error_text(error)
        return DONE, ""

    def _picture_size(self) -> tuple[int, int]:
        if self._size is None:
            with Image.open(self._paths.picture) as picture:
                self._size = picture.size
        return self._size

    def _note(self, note: str) -> None:
        if len(self._notes) < NOTES and note[:NOTE_TEXT] not in self._notes:
            self._notes.append(note[:NOTE_TEXT])


def _syntax_text(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__} in line {error.lineno}: {error.msg}"[:ERROR_TEXT]
    return f"{type(error).__name__}: {error!s:.200}"


def _error_text(error: BaseException) -> str:
    """Type, message, and the last line of the block itself."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == BLOCK:
            line = linecache.getline(BLOCK, trace.tb_lineno).strip()
            place = f" (line {trace.tb_lineno}: {line[:200]})"
        trace = trace.tb_next
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001  (the message is the script's own code)
        message = "a message that cannot be shown"
    name = type(error).__name__
    return (f"{name}: {message}" if message else name)[: ERROR_TEXT - len(place)] + place


def prepare_environment(paths: Paths) -> None:
    """Point libraries that look for a home or a scratch folder at the one that may be written."""
    os.environ.update(HOME=paths.data, TMPDIR=paths.data, MPLCONFIGDIR=paths.data)
    os.environ["MPLBACKEND"] = "agg"
