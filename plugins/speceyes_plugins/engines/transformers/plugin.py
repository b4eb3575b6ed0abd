"""Registers the transformers engine; importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speceyes_cli.plugin import (
    Ask,
    CheckSpec,
    Engine,
    EngineOptions,
    EngineSpec,
    Finding,
    PluginOption,
    Rendered,
    hookimpl,
)
from speceyes_plugins.embedded import PAIR
from speceyes_plugins.engines.transformers.models import TURN_MEMORY, check, digest, takes


def make_engine(options: EngineOptions) -> Engine:
    """Load the model; heavy imports happen here."""
    from speceyes_plugins.engines.transformers.engine import TransformersEngine  # noqa: PLC0415 - heavy

    return TransformersEngine(options)


def render_asks(options: EngineOptions, asks: Sequence[Ask]) -> Sequence[Rendered]:
    """Prompts as the model would read them, without its weights."""
    from speceyes_plugins.engines.transformers.rendering import render  # noqa: PLC0415 - heavy

    return render(options, asks)


@hookimpl
def speceyes_engines() -> Iterable[EngineSpec]:
    """The local engine."""
    yield EngineSpec(
        name="transformers",
        takes=takes,
        check=check,
        factory=make_engine,
        digest=digest,
        render=render_asks,
        summary="Qwen2-VL to Qwen3.5 and their kin from a folder or a hub id; the embedded models",
        models={PAIR: {"small": PAIR, "large": PAIR}},
        options=(
            PluginOption(
                TURN_MEMORY,
                "GiB in which what was read of a conversation is kept until its next turn; 0 keeps "
                "nothing, by default a tenth of the device's memory",
                type=float,
                decides="time",
            ),
        ),
    )


@hookimpl
def speceyes_checks() -> Iterable[CheckSpec]:
    """Look at what local models run on."""
    yield CheckSpec("models", look, "torch, GPU, Triton and attention for local models")


def look() -> list[Finding]:
    """Libraries and devices as found."""
    from speceyes_plugins.engines.transformers.machine import findings  # noqa: PLC0415 - heavy

    return findings()
