"""What a model's boxes are measured in, told from its configuration, its name or its resize rule.

Qwen2.5-VL gives pixels of the picture as it saw it, after resizing. Qwen2-VL before it, Qwen3-VL
and later, and GLM-4.1V and later give 0 to 1000 across and down the whole picture.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from speceyes_cli.plugin import BoxFrame, UsageError

BOX_FRAMES: tuple[BoxFrame, ...] = get_args(BoxFrame)
KEY = "box_frame"
"""A checkpoint whose training differs from its family's says so under this key of config.json."""
PIXEL_FAMILIES = ("qwen2_5_vl",)
GLM_FAMILIES = ("glm4v", "glm46v", "glm_4_1v", "glm_4_5v", "glm_4_6v")
"""As model types and as names have them; zai-org's own tools for GLM-V read its boxes so."""
RELATIVE_FAMILIES = ("qwen2_vl", "qwen3", "qwen4", *GLM_FAMILIES)
PIXEL_FACTOR = 28
"""Sides of Qwen2-VL's, Qwen2.5-VL's and GLM's pictures are multiples of it: patch x merge."""
RELATIVE_FACTOR = 32
"""Qwen3-VL's and later."""


def frame_of_checkpoint(config: Any) -> BoxFrame | None:
    """What a model of this `transformers` configuration gives; None for a family not known.

    Raises `UsageError` where the configuration's own word is none of the known ones.
    """
    told = getattr(config, KEY, None)
    if told is None:
        return frame_of_family(config.model_type)
    for frame in BOX_FRAMES:
        if frame == told:
            return frame
    raise UsageError(
        f"The model's config.json says {KEY} {told!r}; known are {' and '.join(BOX_FRAMES)}."
    )


def frame_of_served(name: str, factor: int | None) -> BoxFrame | None:
    """What a model behind an endpoint gives, by its name there and its measured resize factor.

    None where neither tells. The factor is that of `Rule`: it tells Qwen3-VL from its forerunners,
    whatever the name, and the name tells those apart.
    """
    family = re.sub(r"[^a-z0-9]+", "_", name.lower())
    if factor == RELATIVE_FACTOR:
        return "relative"
    if factor == PIXEL_FACTOR:
        relative = any(name in family for name in ("qwen2_vl", *GLM_FAMILIES))
        return "relative" if relative else "pixels"
    return frame_of_family(family)


def frame_of_family(text: str) -> BoxFrame | None:
    """What the family gives whose model type is named in the text; None where none is."""
    if any(family in text for family in PIXEL_FAMILIES):
        return "pixels"
    return "relative" if any(family in text for family in RELATIVE_FAMILIES) else None
