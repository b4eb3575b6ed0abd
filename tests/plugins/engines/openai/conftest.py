"""A server on the loopback address, in front of a small untrained model, and engines on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import vllm_server
from speceyes_plugins.engines.openai.client import RetryLimits
from speceyes_plugins.engines.openai.engine import OpenAIEngine

from speceyes_cli.core.chat import Role
from speceyes_cli.host.specs import EngineOptions

AREA = 160 * 160
OPTIONS = {"min_pixels": AREA, "max_pixels": AREA, "concurrency": 4}


@pytest.fixture(scope="session")
def served(untrained: dict[Role, Path]) -> dict[Role, Any]:
    """Both models behind the form of a server."""
    return {
        role: vllm_server.Served(EngineOptions(str(folder), role, batch_size=1))
        for role, folder in untrained.items()
    }


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """serve(behaviour, model): an address that is served until the test ends."""
    with ExitStack() as stack:

        def start(does: Any, model: Any = None) -> str:
            return str(stack.enter_context(vllm_server.serving(does, model)))

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[..., OpenAIEngine]]:
    """connect(address, role, …): an engine that is closed when the test ends."""
    with ExitStack() as stack:

        def make(address: str, role: Role = "small", **changes: Any) -> OpenAIEngine:
            limits = changes.pop("limits", RetryLimits(retries=2, seconds=20.0))
            engine = OpenAIEngine(EngineOptions(address, role, **{**OPTIONS, **changes}), limits)
            stack.callback(engine.close)
            return engine

        yield make
