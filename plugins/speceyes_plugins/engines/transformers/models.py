"""What a model name means to this engine, found out without loading anything."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from speceyes_cli.plugin import EngineOptions, Role, UsageError
from speceyes_plugins.embedded import embedded_folder
from speceyes_plugins.engines.hub import require_hub
from speceyes_plugins.engines.model_folder import digest_folder, read_config, require_vocabulary

TURN_MEMORY = "turn-memory"
"""The name of the option that bounds what is kept between turns."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
OLDEST = (5, 24)
"""The first transformers whose caches this engine's code drives."""
TESTED = (
    "glm4v",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_vl_moe",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen4_exp",
)
"""Types that the tests hold to the library; others are run as far as their classes allow."""
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")


def takes(model: str) -> bool:
    """An embedded model, a folder that exists, or something shaped like a hub id."""
    if not model or "://" in model:
        return False
    if embedded_folder(model, "large") is not None or Path(model).is_dir():
        return True
    return HUB_ID.fullmatch(model) is not None


def location(model: str, role: Role) -> str:
    """The folder or hub id that `from_pretrained` is given."""
    return embedded_folder(model, role) or model


def check(options: EngineOptions) -> None:
    """Say what is wrong with the model or the options before anything is loaded."""
    require_transformers(options.role)
    place = Path(location(options.model, options.role))
    for name, low, high in (
        (f"--{options.role}-min-pixels", 1, options.min_pixels),
        (f"--{options.role}-max-pixels", options.min_pixels or 1, options.max_pixels),
    ):
        if high is not None and high < low:
            raise UsageError(f"{name} {high} is too small: at least {low} is needed.")
    if not place.is_dir():
        if place.is_absolute() or options.model.startswith((".", "~")):
            raise UsageError(f"--{options.role}: there is no folder {options.model}.")
        require_hub(options.model, options)
        return
    config = read_config(place, options.role)
    require_type(config.get("model_type"), f"--{options.role}: {place}")
    if not any(True for pattern in WEIGHTS for _ in place.glob(pattern)):
        raise UsageError(f"--{options.role}: {place} has no weights (*.safetensors).")
    require_vocabulary(config, options, options.model)


def require_type(model_type: object, name: str) -> None:
    """Raise `UsageError`, which begins with `name`, for a type of model that cannot be run here."""
    if model_type in TESTED:
        return
    from speceyes_plugins.engines.transformers.families import (  # noqa: PLC0415 - heavy
        find_hindrance,
    )

    if hindrance := find_hindrance(str(model_type)):
        raise UsageError(f"{name} holds a {model_type!r} model, and {hindrance}.")


def digest(options: EngineOptions) -> str | None:
    """The digest of the model's folder; None for a hub id."""
    return digest_folder(Path(location(options.model, options.role)), options.role)


def require_transformers(role: Role) -> None:
    """Raise `UsageError` where the library is older than this engine's code.

    The distribution asks for less, because vLLM 0.33 cannot be installed beside a later one.
    """
    found = importlib.metadata.version("transformers")
    if tuple(map(int, found.split(".")[:2])) < OLDEST:
        raise UsageError(
            f"--{role}: transformers {found} is installed; the local engine needs "
            f"{'.'.join(map(str, OLDEST))} or later. Write vllm:MODEL, or install a later one."
        )
