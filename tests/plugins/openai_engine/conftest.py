"""A server on the loopback address, in front of a small untrained model, and engines on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import vllm_server
from speceyes_plugins.embedded import architecture
from speceyes_plugins.openai_engine.client import Limits
from speceyes_plugins.openai_engine.engine import OpenAIEngine

from speceyes_cli.core.chat import Role
from speceyes_cli.host.specs import EngineOptions

AREA = 160 * 160
OPTIONS = {"min_pixels": AREA, "max_pixels": AREA, "concurrency": 4}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Role, Path]:
    """Both architectures with random weights."""
    root = tmp_path_factory.mktemp("remote")
    tokenizer = architecture.train_tokenizer(["What colour is the dot? Answer: red yes no " * 20])
    torch.manual_seed(3)
    small, large = architecture.build_qwen3(tokenizer), architecture.build_qwen2_5(tokenizer)
    for model in (small, large):  # sharper than at birth, so that greedy choices are no near-ties
        model.lm_head.weight.data.mul_(30)
    folders: dict[Role, Path] = {"small": root / "small", "large": root / "large"}
    architecture.save(small, architecture.build_processor(tokenizer), folders["small"])
    architecture.save(large, architecture.build_qwen2_5_processor(tokenizer), folders["large"])
    return folders


@pytest.fixture(scope="session")
def served(folders: dict[Role, Path]) -> dict[Role, Any]:
    """Both models behind the form of a server."""
    return {
        role: vllm_server.Served(EngineOptions(str(folder), role, batch_size=1))
        for role, folder in folders.items()
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
            limits = changes.pop("limits", Limits(retries=2, seconds=20.0))
            engine = OpenAIEngine(EngineOptions(address, role, **{**OPTIONS, **changes}), limits)
            stack.callback(engine.close)
            return engine

        yield make
