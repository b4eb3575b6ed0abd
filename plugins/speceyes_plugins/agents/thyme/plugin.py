"""Registers the Thyme agent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speceyes_cli.plugin import (
    Agent,
    AgentOptions,
    AgentSpec,
    FoundPrompts,
    PluginOption,
    hookimpl,
)
from speceyes_plugins.embedded import PAIR, QWEN2_5


def make_agent(options: AgentOptions) -> Agent:
    """The agent; what it needs of the sandbox is imported here."""
    from speceyes_plugins.agents.thyme.agent import Thyme  # noqa: PLC0415 - it brings the sandbox

    return Thyme(options)


def from_upstream(folder: Path) -> FoundPrompts:
    """Out of a clone of the paper's repository."""
    from speceyes_plugins.agents.clones.sources import read_upstream  # noqa: PLC0415 - when wanted

    return read_upstream(folder, "thyme")


def from_own(folder: Path) -> FoundPrompts:
    """Out of a clone of Thyme's own repository."""
    from speceyes_plugins.agents.clones.sources import read_thyme  # noqa: PLC0415 - when wanted

    return read_thyme(folder)


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """The agent that writes code."""
    yield AgentSpec(
        name="thyme",
        factory=make_agent,
        models={"small": "Qwen/Qwen3-VL-2B-Instruct", "large": "Kwai-Keye/Thyme-RL"},
        summary="thinks, writes Python that crops and enhances the picture, answers",
        options=(
            PluginOption(
                "state",
                "variables persist from block to block, or every block starts fresh",
                "persist",
                choices=("persist", "fresh"),
            ),
            PluginOption(
                "sandbox",
                "auto isolates model-written code or refuses; unsafe-subprocess does not isolate",
                "auto",
                choices=("auto", "unsafe-subprocess"),
            ),
        ),
        prompt_sources={"upstream": from_upstream, "thyme": from_own},
        published={
            "threshold": 0.95,
            "max_turns": 5,
            "max_new_tokens": 2048,
            "agent-option.state": "fresh",
        },
        own_models={PAIR: {"large": QWEN2_5}},
    )
