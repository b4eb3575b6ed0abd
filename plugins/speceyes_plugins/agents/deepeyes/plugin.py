"""Registers the DeepEyes agent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speceyes_cli.plugin import AgentSpec, FoundPrompts, PluginOption, hookimpl
from speceyes_plugins.agents.boxes import BOX_FRAMES
from speceyes_plugins.agents.deepeyes.agent import DeepEyes
from speceyes_plugins.agents.zoom import ROUNDINGS
from speceyes_plugins.embedded import PAIR, QWEN2_5


def from_upstream(folder: Path) -> FoundPrompts:
    """Out of a clone of the paper's repository."""
    from speceyes_plugins.agents.clones.sources import read_upstream  # noqa: PLC0415 - when wanted

    return read_upstream(folder, "deepeyes")


def from_own(folder: Path) -> FoundPrompts:
    """Out of a clone of DeepEyes' own repository."""
    from speceyes_plugins.agents.clones.sources import read_deepeyes  # noqa: PLC0415 - when wanted

    return read_deepeyes(folder)


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
        prompt_sources={"upstream": from_upstream, "deepeyes": from_own},
        published={
            "threshold": 0.98,
            "max_turns": 6,
            "max_new_tokens": 512,
            "agent-option.box-rounding": "truncate",
        },
        own_models={PAIR: {"large": QWEN2_5}},
    )
