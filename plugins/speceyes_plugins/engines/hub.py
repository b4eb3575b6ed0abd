"""Models that are named as the Hugging Face hub has them."""

from __future__ import annotations

from pathlib import Path

from speceyes_cli.plugin import DataError, EngineOptions, why_no_hub


def require_hub(place: str, options: EngineOptions) -> None:
    """Raise `DataError` where the model has to come from the hub and the hub cannot be asked.

    `place` is the folder or the hub id that the options mean. The hub's own client would try again
    for most of a minute.
    """
    if Path(place).is_dir():
        return
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - heavy, and rarely needed
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415 - as above

    try:
        kept = try_to_load_from_cache(place, "config.json")
    except HFValidationError:
        return  # no name the hub could have: what loads it says so
    if isinstance(kept, str):
        return
    if hindrance := why_no_hub():
        raise DataError(
            f"--{options.role}: {place} is no folder here and is not in the hub's cache, and "
            f"{hindrance}."
        )
