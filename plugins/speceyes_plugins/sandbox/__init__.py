"""Model-written code where it can do no harm.

The door: `Sandbox.open(picture) -> Session`, `session.run(code) -> Result`. See docs/sandbox.md.
"""

from speceyes_plugins.sandbox.parent.report import isolation_report
from speceyes_plugins.sandbox.parent.sandbox import Sandbox
from speceyes_plugins.sandbox.parent.session import Session
from speceyes_plugins.sandbox.values import (
    Attempt,
    Backend,
    Failure,
    Layer,
    Limits,
    Report,
    Result,
    SandboxRefusedError,
    State,
)

__all__ = [
    "Attempt",
    "Backend",
    "Failure",
    "Layer",
    "Limits",
    "Report",
    "Result",
    "Sandbox",
    "SandboxRefusedError",
    "Session",
    "State",
    "isolation_report",
]
