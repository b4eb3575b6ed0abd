"""What the scheduler's workers execute: one engine call, one tool call, one forgetting."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from speceyes_cli.core.chat import Ask, Engine, Run, ToolError
from speceyes_cli.core.errors import RunStopError, ServerLostError, WorkerDiedError
from speceyes_cli.core.scheduling.trajectories import LostCallError

log = logging.getLogger(__name__)


def generate(engine: Engine, asks: Sequence[Ask]) -> list[Any]:
    """A reply or an exception for each ask; raises where the engine miscounts."""
    replies = list(engine.generate(asks))
    if len(replies) != len(asks):
        raise RuntimeError(f"the engine gave {len(replies)} replies to {len(asks)} asks")
    return replies


def unless_stopping(outcome: Any, *, outlives_servers: bool) -> Any:
    """What came back of a call; raises the `RunStopError` that it was lost to.

    With `outlives_servers` a server that is gone is the error of one trajectory.
    """
    if isinstance(outcome, LostCallError) and isinstance(outcome.cause, RunStopError):
        if not (outlives_servers and isinstance(outcome.cause, ServerLostError)):
            raise outcome.cause
        return outcome.cause
    return outcome


def run_tool(run: Run) -> list[Any]:
    """One tool call; exceptions but a dead worker become tool errors for the model."""
    try:
        return [run.tool(**run.arguments)]
    except (RunStopError, WorkerDiedError):
        raise
    except Exception as error:  # told to the model
        log.debug("tool %s failed", run.name, exc_info=error)
        return [ToolError("tool_failed", f"{type(error).__name__}: {error}")]


def forget(engine: Engine, key: str) -> None:
    """Let the engine drop what it kept for a trajectory."""
    try:
        engine.forget(key)
    except Exception:
        log.exception("an engine could not forget %s", key)
