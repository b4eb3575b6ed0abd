"""What a model folder holds, known by its files' contents."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from speceyes_cli.plugin import Role, UsageError, digest_bytes, digest_file

PARTS = ("*.safetensors", "pytorch_model*.bin", "*.json", "*.jinja", "*.model", "*.txt")
"""Weights, configurations, and what a tokenizer reads."""
FileState = tuple[Path, int, int, int]
"""A file, its size, and when its contents and its entry last changed, in nanoseconds."""


def digest_folder(folder: Path, role: Role) -> str | None:
    """The digest of all that the folder holds of the model; None where there is no such folder.

    Files are read when they are new; a folder that was moved or copied has the same digest.
    """
    if not folder.is_dir():
        return None
    files = sorted({path.absolute() for pattern in PARTS for path in folder.glob(pattern)})
    try:
        return _digest(tuple(_state(path) for path in files))
    except OSError as error:
        raise UsageError(f"--{role}: {error.filename} cannot be read.") from error


def _state(path: Path) -> FileState:
    stat = path.stat()
    return path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=16)
def _digest(files: tuple[FileState, ...]) -> str:
    """Asked for at each point of a sweep, also where no cache can be kept on disk."""
    found = {path.name: digest_file(path) for path, *_ in files}
    return f"sha256:{digest_bytes(json.dumps(found).encode())}"
