"""Registers the Thyme agent."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import Agent, AgentOptions, AgentSpec, PluginOption, hookimpl


def make_agent(options: AgentOptions) -> Agent:
    """The agent; what it needs of the sandbox is imported here."""
    from speceyes_plugins.agents.thyme.agent import Thyme  # noqa: PLC0415 - it brings the sandbox

    return Thyme(options)


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
    )
