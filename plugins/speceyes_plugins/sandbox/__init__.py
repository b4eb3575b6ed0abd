"""Model-written code where it can do no harm.

`Sandbox.open(picture)` gives a Session, `session.run(code)` a BlockResult; see docs/sandbox.md.
"""

from speceyes_plugins.sandbox.parent.report import isolation_report
from speceyes_plugins.sandbox.parent.sandbox import Sandbox
from speceyes_plugins.sandbox.parent.session import Session
from speceyes_plugins.sandbox.values import (
    Attempt,
    Backend,
    BlockResult,
    Failure,
    Layer,
    Report,
    SandboxLimits,
    SandboxRefusedError,
    State,
)

__all__ = [
    "Attempt",
    "Backend",
    "BlockResult",
    "Failure",
    "Layer",
    "Report",
    "Sandbox",
    "SandboxLimits",
    "SandboxRefusedError",
    "Session",
    "State",
    "isolation_report",
]
