"""Endpoints as `speceyes doctor` sees them: those that the environment names as models."""

from __future__ import annotations

import os

from speceyes_cli.plugin import EngineOptions, Finding, Role, UsageError
from speceyes_plugins.engines.openai.addresses import takes
from speceyes_plugins.engines.openai.engine import OpenAIEngine

ROLES: tuple[Role, ...] = ("small", "large")


def findings() -> list[Finding]:
    """What each endpoint can do, or why it will not do."""
    named = {role: os.environ.get(f"SPECEYES_{role.upper()}", "") for role in ROLES}
    found = [_look(role, model) for role, model in named.items() if takes(model)]
    none = "SPECEYES_SMALL and SPECEYES_LARGE name no address; models run on this machine"
    return found or [Finding("endpoint", "absent", none)]


def _look(role: Role, model: str) -> Finding:
    try:
        engine = OpenAIEngine(EngineOptions(model, role))
    except UsageError as error:
        return Finding(f"{role} endpoint", "failed", str(error))
    engine.close()
    return Finding(f"{role} endpoint", "ok", engine.introduction)
