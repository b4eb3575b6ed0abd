"""What a model folder holds: its configuration, and a digest of its files' contents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import EngineOptions, Role, UsageError, digest_bytes, digest_file

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


def read_config(folder: Path, role: Role) -> dict[str, Any]:
    """The folder's `config.json`."""
    path = folder / "config.json"
    if path.exists() and not path.is_file():  # reading a pipe or a device may never end
        raise UsageError(f"--{role}: {path} is no file.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--{role}: {folder} is no model folder: it has no config.json.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"--{role}: {path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"--{role}: {path} is not a JSON object.")
    return config


def require_vocabulary(config: Mapping[str, Any], options: EngineOptions, name: str) -> None:
    """Raise `UsageError` where a gate's K is larger than the model's vocabulary."""
    vocabulary = (config.get("text_config") or config).get("vocab_size")
    if isinstance(vocabulary, int) and options.role == "small" and options.top_k > vocabulary:
        raise UsageError(
            f"--top-k {options.top_k} is larger than the vocabulary of {name} "
            f"({vocabulary} tokens)."
        )
