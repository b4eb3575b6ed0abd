"""Registers the agent of models with native tool calls."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import AgentSpec, PluginOption, hookimpl
from speceyes_plugins.agents.boxes import BOX_FRAMES
from speceyes_plugins.agents.qwen.agent import TOOL_SETS, Qwen


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """The agent that calls tools as its chat template has it."""
    yield AgentSpec(
        name="qwen",
        factory=Qwen,
        models={"small": "Qwen/Qwen3-VL-2B-Instruct", "large": "Qwen/Qwen3-VL-8B-Instruct"},
        summary="calls tools natively, zooms into any picture seen so far, answers in prose",
        options=(
            PluginOption(
                "box-frame",
                "units of the model's boxes; by default as its engine tells",
                choices=BOX_FRAMES,
            ),
            PluginOption(
                "tools",
                "zoom, as Qwen3-VL was trained; all adds rotation and enlargement",
                TOOL_SETS[0],
                choices=TOOL_SETS,
            ),
        ),
    )
