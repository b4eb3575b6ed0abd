"""SpecEyes from Python: answer a picture, run a method, read runs; each name comes when it is used.

>>> import speceyes_cli
>>> sorted(set(speceyes_cli.__all__) - set(dir(speceyes_cli)))
[]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speceyes_cli.api.answering import Cascade, answer
    from speceyes_cli.api.decision import Decision
    from speceyes_cli.api.runs import (
        FinishedRun,
        calibrate,
        evaluate,
        gather,
        infer,
        read_run,
        replay,
    )
    from speceyes_cli.api.samples import samples
    from speceyes_cli.api.table import ResultTable
    from speceyes_cli.core.errors import SpecEyesError
    from speceyes_cli.core.samples import Sample

__all__ = [
    "Cascade",
    "Decision",
    "FinishedRun",
    "ResultTable",
    "Sample",
    "SpecEyesError",
    "answer",
    "calibrate",
    "evaluate",
    "gather",
    "infer",
    "read_run",
    "replay",
    "samples",
]

_HOMES = {
    "Cascade": "speceyes_cli.api.answering",
    "Decision": "speceyes_cli.api.decision",
    "FinishedRun": "speceyes_cli.api.runs",
    "ResultTable": "speceyes_cli.api.table",
    "Sample": "speceyes_cli.core.samples",
    "SpecEyesError": "speceyes_cli.core.errors",
    "answer": "speceyes_cli.api.answering",
    "calibrate": "speceyes_cli.api.runs",
    "evaluate": "speceyes_cli.api.runs",
    "gather": "speceyes_cli.api.runs",
    "infer": "speceyes_cli.api.runs",
    "read_run": "speceyes_cli.api.runs",
    "replay": "speceyes_cli.api.runs",
    "samples": "speceyes_cli.api.samples",
}
"""Where each name is defined: imported when it is first used."""


def __getattr__(name: str) -> Any:
    """A name of the Python API."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
