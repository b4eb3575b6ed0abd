"""The command line that makes a run like another, but for its threshold, gate and K."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.secrets import hide_userinfo
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.planning.options import RunOptions

LEFT_OUT = {
    *("threshold", "gate", "top_k", "certificate", "both_branches"),
    *("out", "resume", "retry_errors", "max_errors", "cache", "cache_dir", "keep_images"),
}
"""What the reader chooses, and what is about the folder alone."""


def eval_command(info: RunInfo) -> str:
    """`speceyes eval` with what the run was made of, its gate, K and threshold left out.

    Passwords in addresses are hidden.
    """
    words = ["speceyes", "eval"]
    for field in fields(RunOptions):
        if field.name not in LEFT_OUT and field.name in info.options:
            words += _words(field, info.options[field.name])
    return shlex.join(words)


def _words(field: Field[Any], value: Any) -> Iterator[str]:
    default = None if field.default is MISSING else field.default
    if value is None or value == default:
        return
    flags = field.metadata.get("flags") or f"--{field.name.replace('_', '-')}"
    if isinstance(value, bool):
        on, _, off = flags.partition("/")
        if value or off:
            yield on if value else off
        return
    for one in value if isinstance(value, list) else [value]:
        yield flags
        yield hide_userinfo(strip_control(str(one)).replace("\n", " "))
