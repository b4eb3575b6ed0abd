"""The error that stops a run whose code cannot be isolated."""

from __future__ import annotations

from speceyes_cli.plugin import RunStopError


class SandboxRefusedError(RunStopError):
    """This machine cannot isolate the script, or isolation no longer holds: the run must stop."""
