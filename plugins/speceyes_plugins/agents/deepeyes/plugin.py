"""Registers the DeepEyes agent."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import AgentSpec, PluginOption, hookimpl
from speceyes_plugins.agents.boxes import BOX_FRAMES
from speceyes_plugins.agents.deepeyes.agent import DeepEyes
from speceyes_plugins.agents.zoom import ROUNDINGS


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """The agent that zooms."""
    yield AgentSpec(
        name="deepeyes",
        factory=DeepEyes,
        models={"small": "Qwen/Qwen3-VL-2B-Instruct", "large": "ChenShawn/DeepEyes-7B"},
        summary="thinks, zooms into the picture by a box, answers",
        options=(
            PluginOption(
                "box-frame",
                "units of the model's boxes; by default as its engine tells",
                choices=BOX_FRAMES,
            ),
            PluginOption(
                "box-rounding",
                "how a box's edges become whole pixels: truncate is the paper's own code",
                ROUNDINGS[0],
                choices=ROUNDINGS,
            ),
        ),
    )
