"""Which of the library's vision chat models this engine runs, told from their classes.

Nothing is loaded. A type that is tested here (`models.TESTED`) is one of many that the same code
runs: those that see pictures as grids of patches in their own proportions and count positions on
several axes. Any other such type is held against the library's own reading when it is loaded
(`agreement`).
"""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import Any, NamedTuple

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from speceyes_plugins.engines.transformers.models import TESTED

NEEDED = {
    "image_grid_thw": "pictures as grids of patches",
    "mm_token_type_ids": "positions on several axes",
    "mm_encoder_outputs": "pictures that were encoded before",
    "position_ids": "positions from outside",
    "logits_to_keep": "the last token's logits alone",
}
"""What a model's forward pass must take, and what each is for."""


class Family(NamedTuple):
    """A type of model as the library has it."""

    model_type: str
    architecture: str
    hindrance: str | None
    """What keeps this engine from running it; None: nothing."""

    @property
    def tested(self) -> bool:
        """Whether the tests hold the engine to the library on this type."""
        return self.model_type in TESTED


def families() -> list[Family]:
    """Every type that the installed library maps to a model of pictures and text."""
    names = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return [Family(name, names[name], find_hindrance(name)) for name in sorted(names)]


def find_hindrance(model_type: str) -> str | None:
    """What keeps this engine from running a type of model; None: nothing that its class tells."""
    version = importlib.metadata.version("transformers")
    if model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return f"transformers {version} has no vision chat model of this type"
    try:
        architecture: Any = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[CONFIG_MAPPING[model_type]]
    except (ImportError, KeyError, RuntimeError, ValueError) as error:
        return f"transformers {version} cannot import it ({type(error).__name__})"
    takes = inspect.signature(architecture.forward).parameters
    lacking = next((purpose for name, purpose in NEEDED.items() if name not in takes), None)
    return f"{architecture.__name__} does not take {lacking}" if lacking else None
