"""Registers the remote engine; importing this module imports no client."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import CheckSpec, Engine, EngineOptions, EngineSpec, Finding, hookimpl
from speceyes_plugins.engines.openai.addresses import check, takes


def make_engine(options: EngineOptions) -> Engine:
    """Look at the endpoint; the client is imported here."""
    from speceyes_plugins.engines.openai.engine import OpenAIEngine  # noqa: PLC0415 - heavy

    return OpenAIEngine(options)


@hookimpl
def speceyes_engines() -> Iterable[EngineSpec]:
    """The remote engine."""
    yield EngineSpec(
        name="openai",
        takes=takes,
        check=check,
        factory=make_engine,
        summary="a vLLM or SGLang endpoint, as URL#model",
    )


@hookimpl
def speceyes_checks() -> Iterable[CheckSpec]:
    """Look at the endpoints that the environment names."""
    yield CheckSpec("endpoints", look, "endpoints in SPECEYES_SMALL and SPECEYES_LARGE")


def look() -> list[Finding]:
    """Each endpoint as found."""
    from speceyes_plugins.engines.openai.doctor import findings  # noqa: PLC0415 - heavy

    return findings()
