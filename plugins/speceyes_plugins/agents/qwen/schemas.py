"""The tools that the models are told of.

Names, arguments and types of the zoom are those that Qwen3-VL was trained on (Qwen-Agent,
`qwen_agent/tools/image_zoom_in_qwen3vl.py`). No model was trained on the other two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speceyes_cli.plugin import Tool

ZOOM = "image_zoom_in_tool"
ROTATE = "image_rotate_tool"
ENLARGE = "image_enlarge_tool"
PICTURE = "img_idx"
ANGLE = "angle"
FACTOR = "factor"


def zoom_tool(prompts: Mapping[str, str]) -> Tool:
    """The zoom, described in the words of `prompts`."""
    box = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 4,
        "maxItems": 4,
        "description": prompts["box"],
    }
    label = {"type": "string", "description": prompts["label"]}
    return _tool(ZOOM, prompts["zoom"], {"bbox_2d": box, "label": label}, prompts)


def rotate_tool(prompts: Mapping[str, str]) -> Tool:
    """A turn by any angle."""
    angle = {"type": "number", "description": prompts["angle"]}
    return _tool(ROTATE, prompts["rotate"], {ANGLE: angle}, prompts)


def enlarge_tool(prompts: Mapping[str, str]) -> Tool:
    """The whole picture, larger."""
    factor = {"type": "number", "description": prompts["factor"]}
    return _tool(ENLARGE, prompts["enlarge"], {FACTOR: factor}, prompts)


def _tool(name: str, description: str, own: Mapping[str, Any], prompts: Mapping[str, str]) -> Tool:
    properties = {**own, PICTURE: {"type": "number", "description": prompts["picture"]}}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, description, parameters)
