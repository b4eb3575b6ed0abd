"""Options that a plugin declares for itself, typed and with help."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

OptionValue = bool | int | float | str | None
OptionType = type[int] | type[float] | type[bool] | type[str]
Decides = Literal["answers", "time", "nothing"]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class PluginOption:
    """One option of an agent, engine, judge or method; given as `--agent-option name=value`.

    Raises `ValueError` for a name that is not of lower-case letters, digits, - and _, and for a
    default that is not of the type or not among the choices.
    """

    name: str
    help: str
    default: OptionValue = None
    """None: the plugin decides."""
    type: OptionType = str
    choices: tuple[str, ...] = ()
    """All values of a text; empty: any."""
    decides: Decides = "answers"
    """What a value can change. What decides answers is part of a certificate and of the call
    cache's keys; what decides answers or time, a baseline must share; what decides nothing, such as
    how much is logged, may differ between a run and its resumption."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the option {self.name!r} needs a name such as max-tiles")
        if self.choices and self.type is not str:
            raise ValueError(f"the option {self.name!r} has choices, but is no text")
        if self.default is None:
            return
        exact = type(self.default) is self.type or (
            self.type is float and type(self.default) is int
        )
        if not exact or (self.choices and self.default not in self.choices):
            raise ValueError(f"the option {self.name!r} cannot have the default {self.default!r}")

    @property
    def form(self) -> str:
        """What values look like: the choices, or the type's name."""
        names = {int: "whole number", float: "number", bool: "true|false", str: "text"}
        return "|".join(self.choices) or names[self.type]

    def read(self, text: str) -> OptionValue:
        """The value that the text spells; `ValueError` when it is not of the type."""
        if self.type is str:
            return text
        if self.type is bool:
            if text.lower() not in (*_TRUE, *_FALSE):
                raise ValueError(text)
            return text.lower() in _TRUE
        number = int(text) if self.type is int else float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number


@dataclass(frozen=True)
class OptionValues(Mapping[str, OptionValue]):
    """Values by option name; unlike a dict they can be part of a key."""

    pairs: tuple[tuple[str, OptionValue], ...] = ()

    def __getitem__(self, name: str) -> OptionValue:
        return dict(self.pairs)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(self.pairs)


NO_VALUES = OptionValues()


def deciding(
    options: tuple[PluginOption, ...], values: Mapping[str, OptionValue], what: Decides
) -> dict[str, OptionValue]:
    """The values of those options that decide this, by name."""
    names = sorted(option.name for option in options if option.decides == what)
    return {name: values[name] for name in names if name in values}
