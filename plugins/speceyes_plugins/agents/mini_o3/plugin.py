"""Registers the Mini-o3 agent."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import AgentSpec, hookimpl
from speceyes_plugins.agents.mini_o3.agent import MiniO3


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """The agent that points into any picture, over many turns."""
    yield AgentSpec(
        name="mini-o3",
        factory=MiniO3,
        models={"small": "Qwen/Qwen3-VL-2B-Instruct", "large": "Mini-o3/Mini-o3-7B-v1"},
        summary="thinks, points into any picture seen so far, over many turns",
    )
