"""A grid of runs: from `--sweep axis=values` to one plan for each point that differs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import cache
from types import NoneType
from typing import Any, NamedTuple, TypeVar, get_args, get_type_hints

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.run.info import RunConfig
from speceyes_cli.core.run.tags import Part, tagged
from speceyes_cli.host.manager import Host, known_names
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import RUNS, RunPlan, plan_run
from speceyes_cli.host.planning.plugin_options import AGENT, ENGINE, METHOD, declared
from speceyes_cli.host.specs import CONFIDENCE

Options = TypeVar("Options", bound=RunOptions)

PARTS: tuple[Part, ...] = ("method", "draft", "gate", "agent", "machine")
"""What a sweep varies on the same samples."""
OWN = tuple(flag.removeprefix("--") for flag in (AGENT, ENGINE, METHOD))
"""Options that hold a plugin's own, each an axis of its own."""
MOST_POINTS = 1_000
_WITHOUT_AGENT = ("agent", "gate", "prompt_hashes")
"""What changes nothing for a method that runs no large model."""


class Axis(NamedTuple):
    """One option and the values it takes."""

    option: str
    values: tuple[Any, ...]
    own: str = ""
    """The name of a plugin's own option, of which `option` holds the assignments."""

    @property
    def flag(self) -> str:
        """The axis as it is written on the command line."""
        return self.option.replace("_", "-") + (f".{self.own}" if self.own else "")

    def at(self, options: Options, value: Any) -> Options:
        """The options with this value."""
        if self.own:
            value = [*(getattr(options, self.option) or ()), f"{self.own}={value}"]
        return replace(options, **{self.option: value})


def plan_sweep(
    options: RunOptions, sweep: Sequence[str], passed: tuple[str, ...], host: Host
) -> list[RunPlan]:
    """One plan for each point, points that a method cannot tell apart taken once.

    Every point is checked before the first is run; an option that is swept may not be given by
    itself. Models are shared: all are asked for the largest K of the sweep.
    """
    axes = parse_axes(sweep, host)
    for axis in axes:
        given = axis.option in passed
        if axis.own:
            assigned = getattr(options, axis.option) or ()
            given = any(text.partition("=")[0].strip() == axis.own for text in assigned)
        if given:
            raise UsageError(
                f"--{axis.flag.replace('.', ' ')} is given beside --sweep {axis.flag}, on the "
                f"command line or as SPECEYES_{axis.option.upper()}; keep one of them."
            )
    passed = tuple(dict.fromkeys([*passed, *(axis.option for axis in axes)]))
    plans: dict[str, RunPlan] = {}
    for point in points(options, axes, host):
        plan = plan_run(replace(point, out=None), passed, host)
        plan = replace(plan, folder=(options.out or RUNS) / plan.info.name)
        plans.setdefault(_what_counts(plan), plan)
    most = max(load.options.top_k for plan in plans.values() for load in plan.loads.values())
    return [_asking_for(plan, most) for plan in plans.values()]


def points(options: Options, axes: Sequence[Axis], host: Host) -> Iterator[Options]:
    """The options of each point; the last axis changes fastest.

    Among several methods, a threshold is meant for those that weigh a confidence; the others keep
    their own.
    """
    grid = []
    for values in itertools.product(*(axis.values for axis in axes)):
        point = options
        for axis, value in zip(axes, values, strict=True):
            point = axis.at(point, value)
        grid.append(point)
    bars = [host.methods.get(point.method).bar for point in grid]
    for point, bar in zip(grid, bars, strict=True):
        foreign = bar is not CONFIDENCE and CONFIDENCE in bars
        yield replace(point, threshold=None) if foreign else point


def parse_axes(sweep: Sequence[str], host: Host) -> list[Axis]:
    """Every axis; `UsageError` for what cannot be swept, and for a grid that is too large."""
    axes = [parse_axis(text, host) for text in sweep]
    flags = [axis.flag for axis in axes]
    for flag in flags:
        if flags.count(flag) > 1:
            raise UsageError(f"--sweep {flag} is given twice; list its values behind one.")
    total = 1
    for axis in axes:
        total *= len(axis.values)
    if total > MOST_POINTS:
        raise UsageError(f"The sweep has {total:,} points; at most {MOST_POINTS:,} are run.")
    return axes


def parse_axis(text: str, host: Host) -> Axis:
    """`gate=min,mean` or `threshold=0.94:0.99:0.01`, whose end is included.

    A plugin's own option is swept as `agent-option.name=values`.
    """
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals:
        raise UsageError(f"--sweep {text}: write axis=values, such as gate=min,mean.")
    group, dot, own = name.partition(".")
    group = group.replace("_", "-")
    if dot and group in OWN:
        kind = _type_of_own(f"--{group}", own, host)
        name = f"{group}.{own}"
    else:
        name = name.replace("_", "-")
        if name not in axes():
            known = known_names(name, [*axes(), *(f"{group}.NAME" for group in OWN)])
            raise UsageError(f"--sweep {name}: there is no such axis; {known}.")
        group, own, kind = name, "", axes()[name]
    listed = [part.strip() for part in values.split(",") if part.strip()]
    if not listed:
        raise UsageError(f"--sweep {name} has no values.")
    number = kind in (int, float)
    spelled = [s for part in listed for s in (_range(name, part) if number else [part])]
    found = dict.fromkeys(_value(name, part, kind) for part in spelled)
    return Axis(group.replace("-", "_"), tuple(found), own)


@cache
def axes() -> dict[str, type]:
    """The options that can be swept: those that decide answers or time; and their types."""
    hints = get_type_hints(RunOptions)
    found = {}
    for name in tagged(RunConfig, ("answers", "time"), PARTS):
        kinds = [kind for kind in get_args(hints[name]) or (hints[name],) if kind is not NoneType]
        [found[name.replace("_", "-")]] = kinds
    return found


def _type_of_own(flag: str, name: str, host: Host) -> type:
    """The type of a plugin's own option, whichever plugin has it; text where none does."""
    last = name.rpartition(".")[2] if flag == ENGINE else name
    types = {
        option.type
        for owner in declared(flag, host)
        for option in owner.options
        if option.name == last
    }
    return types.pop() if len(types) == 1 else str


def _range(name: str, text: str) -> list[str]:
    """The numbers of start:stop:step, exactly; a plain number stays as it is."""
    if ":" not in text:
        return [text]
    try:
        start, stop, step = (Decimal(part) for part in text.split(":"))
        steps = (stop - start) / step
    except (ValueError, ArithmeticError, InvalidOperation):
        raise UsageError(f"--sweep {name}={text}: a range is start:stop:step.") from None
    if not steps.is_finite() or steps < 0:
        raise UsageError(f"--sweep {name}={text}: the range is empty.")
    if steps >= MOST_POINTS:
        raise UsageError(f"--sweep {name}={text}: more than {MOST_POINTS:,} points.")
    return [str(start + i * step) for i in range(int(steps) + 1)]


def _value(name: str, text: str, kind: type) -> float | int | bool | str:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"--sweep {name}: {text!r} is neither true nor false.")
        return text.lower() == "true"
    return _number(name, text, kind) if kind in (int, float) else text


def _number(name: str, text: str, kind: type) -> float | int:
    whole = kind is int
    with contextlib.suppress(ValueError, OverflowError):
        value = float(text)
        if not whole:
            return value
        if value == int(value):
            return int(value)
    raise UsageError(f"--sweep {name}: {text!r} is not a {'whole ' if whole else ''}number.")


def _what_counts(plan: RunPlan) -> str:
    config = plan.info.config
    if config.large is None:
        return config.model_dump_json(exclude=set(_WITHOUT_AGENT))
    return config.model_dump_json()


def _asking_for(plan: RunPlan, top_k: int) -> RunPlan:
    loads = {
        role: replace(load, options=replace(load.options, top_k=top_k))
        for role, load in plan.loads.items()
    }
    return replace(plan, loads=loads)
