"""Registers the DeepEyes agent."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import AgentSpec, hookimpl
from speceyes_plugins.agents.deepeyes.agent import DeepEyes


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """The agent that zooms."""
    yield AgentSpec(
        name="deepeyes",
        factory=DeepEyes,
        models={"small": "Qwen/Qwen3-VL-2B-Instruct", "large": "ChenShawn/DeepEyes-7B"},
        summary="thinks, zooms into the picture by a box, answers",
    )
