"""The error that stops a run whose code cannot be isolated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from speceyes_cli.plugin import RunStopError


class SandboxRefusedError(RunStopError):
    """This machine cannot isolate the script, or isolation no longer holds: the run must stop."""


@contextlib.contextmanager
def refusing(step: str) -> Iterator[None]:
    """Run a step of starting the sandbox.

    Raises:
        SandboxRefusedError: the system refused the step; the message names it.
    """
    try:
        yield
    except OSError as error:
        raise SandboxRefusedError(f"the sandbox cannot start: {step}: {error}") from error
