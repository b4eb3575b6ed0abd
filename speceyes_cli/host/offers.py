"""What a plugin's hook offers: who offers it, and every way in which that can be wrong."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from speceyes_cli.core.errors import (
    CancelledSampleError,
    PluginError,
    SpecEyesError,
    WorkerDiedError,
)
from speceyes_cli.core.text import one_line
from speceyes_cli.host.type_check import describe, first_misfit

Given = TypeVar("Given")
EXPECTED = (SpecEyesError, WorkerDiedError, CancelledSampleError)
"""Errors that are part of the contract: they are told as they are."""


class Source(NamedTuple):
    """Where a plugin comes from."""

    plugin: str
    """The entry point's name."""
    distribution: str
    """The installed distribution and its version."""

    def __str__(self) -> str:
        return f"Plugin {self.plugin!r} of {self.distribution}"


class BrokenPlugin(NamedTuple):
    """A plugin, or one of its hooks, that is set aside."""

    source: Source
    reason: str
    hook: str | None = None
    """The hook that is wrong; None: the plugin could not be imported at all."""

    def __str__(self) -> str:
        if self.hook is None:
            return f"{self.source} could not be imported: {self.reason}."
        return f"{self.source}, {self.hook}: {self.reason}."


class Offer(NamedTuple):
    """One named thing that a plugin offers through a hook."""

    source: Source
    package: str
    """The plugin's top-level package: where in a traceback its own lines are."""
    hook: str
    kind: str
    name: str

    def wrong(self, what: str) -> PluginError:
        """The error that says what is wrong with it, as a clause such as "has no open"."""
        return PluginError(f"{self.source}, {self.hook}: the {self.kind} {self.name!r} {what}.")

    def raised(self, doing: str, error: Exception) -> PluginError:
        """The error that says what was raised, and where in the plugin."""
        said = told(error, self.package)
        return PluginError(
            f"{self.source}, {self.hook}: {doing} of the {self.kind} {self.name!r} raised {said}."
        )

    def check(self, value: Given, expected: type[Given] | tuple[type, ...], doing: str) -> Given:
        """The value, if it is of the type and its fields are what they should be."""
        if not isinstance(value, expected):
            kinds = expected if isinstance(expected, tuple) else (expected,)
            names = " or ".join(kind.__name__ for kind in kinds)
            raise self.wrong(f"gives {_article(value)} from {doing}, not {names}")
        if hasattr(value, "__dataclass_fields__") and (misfit := first_misfit(value)):
            raise self.wrong(f"gives {type(value).__name__} from {doing}, but {misfit}")
        return value

    @contextlib.contextmanager
    def named(self, doing: str) -> Iterator[None]:
        """Add to whatever is raised in the block where that was and whose it is, once."""
        try:
            yield
        except EXPECTED:
            raise
        except Exception as error:
            self.note(doing, error)
            raise

    @contextlib.contextmanager
    def told(self, doing: str) -> Iterator[None]:
        """Turn whatever is raised in the block into one sentence, `PluginError`."""
        try:
            yield
        except EXPECTED:
            raise
        except Exception as error:
            raise self.raised(doing, error) from error

    def note(self, doing: str, error: Exception) -> None:
        """Add to an error where it was raised and whose it is, unless that is known."""
        if isinstance(error, EXPECTED) or getattr(error, "__notes__", None):
            return
        place = place_of(error, self.package)
        where = f"{place}; " if place else ""
        error.add_note(f"{where}{doing} of the {self.kind} {self.name!r}, {self.source}")


def told(error: BaseException, package: str) -> str:
    """An error's class, its text on one line, and the plugin's file and line."""
    text = one_line(str(error)).rstrip(".")
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = place_of(error, package)
    return f"{said} ({place})" if place else said


def place_of(error: BaseException, package: str) -> str:
    """Folder, file and line of the innermost frame of a package, or of the innermost at all."""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(f, n) for f, n in frames if f.f_globals.get("__name__", "").split(".")[0] == package]
    if not frames:
        return ""
    frame, line = (own or frames)[-1]
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}, line {line}"


def read_offers(
    implement: Callable[[], Any], expected: type[Given], package: str
) -> list[Given] | str:
    """The specs that a hook gives, or what is wrong with it, as the end of a sentence."""
    name = expected.__name__
    try:
        given = implement()
        if isinstance(given, expected):
            return f"it returns a bare {name}; yield it, or return a list of them"
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            return f"it returns {_article(given)}; it must yield {name} records"
        specs = list(given)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
        return f"it raised {told(error, package)}"
    return next((wrong for spec in specs if (wrong := _wrong_spec(spec, expected))), specs)


def _wrong_spec(spec: Any, expected: type) -> str | None:
    name = expected.__name__
    if not isinstance(spec, expected):
        return f"it yields {_article(spec)}, not {name}"
    called: Any = getattr(spec, "name", None)
    if misfit := first_misfit(spec):
        return f"it yields the {name} {called!r}, but {misfit}"
    if not re.fullmatch(r"\S+", called):
        return f"it yields a {name} called {called!r}; a name has no spaces and is not empty"
    return None


def _article(value: Any) -> str:
    said = describe(value)
    return said if isinstance(value, str) or value is None else f"a value {said}"
