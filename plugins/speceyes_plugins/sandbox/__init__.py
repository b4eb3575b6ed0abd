"""Model-written code where it can do no harm.

`Sandbox.open(picture) -> Session`, `session.run(code) -> BlockResult`. See docs/sandbox.md.

Names are imported when they are asked for: the processes that hold model-written code import this
package too, and need nothing but the standard library, numpy, Pillow and OpenCV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speceyes_plugins.sandbox.parent.refusal import SandboxRefusedError
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

_PLACES = {
    "Sandbox": "parent.sandbox",
    "SandboxRefusedError": "parent.refusal",
    "Session": "parent.session",
    "isolation_report": "parent.report",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES.get(name, 'values')}"), name)
