"""Registers the Pixel Reasoner agent."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import AgentSpec, hookimpl
from speceyes_plugins.agents.pixel_reasoner.agent import PixelReasoner


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """The agent that crops by fractions and boxes its answer."""
    yield AgentSpec(
        name="pixel-reasoner",
        factory=PixelReasoner,
        models={"small": "Qwen/Qwen3-VL-2B-Instruct", "large": "TIGER-Lab/PixelReasoner-RL-v1"},
        summary="reasons, crops any picture seen so far with a margin, answers in \\boxed{}",
    )
