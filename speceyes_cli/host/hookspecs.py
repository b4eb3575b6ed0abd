"""Every hook a plugin may implement; each yields frozen records from `speceyes_cli.host.specs`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from speceyes_cli.host.specs import (
    AgentSpec,
    CheckSpec,
    DatasetSpec,
    EngineSpec,
    GateSpec,
    JudgeSpec,
    MethodSpec,
)

if TYPE_CHECKING:
    import typer

    from speceyes_cli.core.run.info import RunInfo
    from speceyes_cli.core.run.records import Record

PROJECT = "speceyes"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def speceyes_agents() -> Iterable[AgentSpec]:
    """Yield tool-using agents."""
    raise NotImplementedError


@hookspec
def speceyes_engines() -> Iterable[EngineSpec]:
    """Yield engines that run models."""
    raise NotImplementedError


@hookspec
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield benchmarks."""
    raise NotImplementedError


@hookspec
def speceyes_judges() -> Iterable[JudgeSpec]:
    """Yield judges of answers."""
    raise NotImplementedError


@hookspec
def speceyes_gates() -> Iterable[GateSpec]:
    """Yield ways to turn token statistics into one confidence."""
    raise NotImplementedError


@hookspec
def speceyes_methods() -> Iterable[MethodSpec]:
    """Yield methods that answer one sample."""
    raise NotImplementedError


@hookspec
def speceyes_checks() -> Iterable[CheckSpec]:
    """Yield checks of this machine for `speceyes doctor`."""
    raise NotImplementedError


@hookspec
def speceyes_commands(app: typer.Typer) -> None:
    """Add commands to the command line."""


@hookspec
def speceyes_record(record: Record, run: RunInfo) -> None:
    """Observe a finished record."""
