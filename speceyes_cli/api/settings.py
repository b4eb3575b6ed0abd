"""What every function of the Python API shares: the installed plugins, and settings by name."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Host, build_host, known_names
from speceyes_cli.host.planning.options import RunOptions

PATHS = ("out", "certificate", "cache_dir")
OF_PLUGINS = ("agent_option", "engine_option", "method_option")
"""Settings that a plugin declares: a mapping, or texts as on the command line."""
NO_SETTINGS = ("dataset", "method", "out", "cache", "cache_dir", "resume", "max_errors")
"""Fields of the options that the functions name themselves, or that only a command has."""
OF_RUNS = (
    *("split", "data", "option_order", "limit", "certificate", "fallbacks", "batch_size"),
    *("concurrency", "retry_errors", "keep_images"),
)
"""Settings that one question does not have."""


@functools.cache
def installed() -> Host:
    """Everything the installed plugins offer, gathered once for a Python process."""
    return build_host()


def console() -> Console:
    """Where progress is shown: the error stream, or the notebook's cell."""
    return Console(stderr=True, highlight=False, emoji=False)


def run_options(settings: Mapping[str, Any], **given: Any) -> RunOptions:
    """The command line's options from keyword arguments; `UsageError` for one there is not."""
    known = [field.name for field in fields(RunOptions) if field.name not in NO_SETTINGS]
    for name in settings:
        if name not in known:
            raise UsageError(f"There is no setting {name!r}; {known_names(name, known)}.")
    values = {**settings, **given}
    paths = {name: Path(values[name]) for name in PATHS if values.get(name) is not None}
    own = {
        name: [f"{option}={value}" for option, value in values[name].items()]
        for name in OF_PLUGINS
        if isinstance(values.get(name), Mapping)
    }
    named = {"prompts": os.fspath(values["prompts"])} if values.get("prompts") is not None else {}
    return RunOptions(**{**values, **paths, **named, **own})


def question_options(settings: Mapping[str, Any], method: str) -> RunOptions:
    """The same for one question, which has no dataset and no run folder."""
    for name in settings:
        if name in OF_RUNS:
            raise UsageError(f"One question has no setting {name!r}; evaluate() has.")
    return run_options(settings, method=method)
