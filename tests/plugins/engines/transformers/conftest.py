from __future__ import annotations

from pathlib import Path

import pytest
from speceyes_plugins.engines.transformers.engine import TransformersEngine

from speceyes_cli.core.chat import Role
from speceyes_cli.host.specs import EngineOptions


@pytest.fixture(scope="session", params=["small", "large"])
def engine(request: pytest.FixtureRequest, untrained: dict[Role, Path]) -> TransformersEngine:
    """An engine on each architecture."""
    role: Role = request.param
    return TransformersEngine(EngineOptions(str(untrained[role]), role, batch_size=8))
