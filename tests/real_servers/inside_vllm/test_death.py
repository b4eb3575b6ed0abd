"""An engine that stops working in the middle of a run."""

from __future__ import annotations

from typing import Any

import pytest
from speceyes_plugins.engines.vllm.loading import load
from speceyes_plugins.engines.vllm.models import OPTIONS

from speceyes_cli.core.chat import Ask, Message
from speceyes_cli.plugin import EngineOptions, RunStopError


def test_nothing_more_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {one.name: one.default for one in OPTIONS}
    engine = load(EngineOptions("vllm:embedded", "large", concurrency=8, options=values))
    ask = Ask("large", (Message("user", ("What is red?",)),), 4)
    assert not isinstance(engine.generate([ask])[0], Exception)

    def step(*_: Any) -> Any:
        raise RuntimeError("device-side assert")

    monkeypatch.setattr(engine._model.llm_engine, "step", step)
    for _ in range(2):
        with pytest.raises(RunStopError, match="--large vllm:embedded: device-side assert; "):
            engine.generate([ask])
    engine.close()
