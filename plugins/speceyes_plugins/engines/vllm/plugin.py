"""Registers vLLM in this process; importing this module imports neither torch nor vLLM."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import Engine, EngineOptions, EngineSpec, hookimpl
from speceyes_plugins.engines.vllm.models import OPTIONS, check, digest, takes


def make_engine(options: EngineOptions) -> Engine:
    """Load the model; heavy imports happen here."""
    from speceyes_plugins.engines.vllm.loading import load  # noqa: PLC0415 - heavy

    return load(options)


@hookimpl
def speceyes_engines() -> Iterable[EngineSpec]:
    """VLLM in this process."""
    yield EngineSpec(
        name="vllm",
        takes=takes,
        check=check,
        factory=make_engine,
        summary="vLLM in this process, the gate inside its sampler: vllm:FOLDER or vllm:HUB-ID",
        options=OPTIONS,
        digest=digest,
    )
