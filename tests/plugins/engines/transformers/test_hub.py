"""A hub name where no network leads to the hub."""

from __future__ import annotations

import socket
from pathlib import Path

import huggingface_hub
import pytest
from speceyes_plugins.engines.transformers.loading import load

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.specs import EngineOptions


def test_a_hub_name_without_a_network_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(UsageError) as told:
            load(EngineOptions("some/model", "small"))
    assert str(told.value) == (
        "--small: some/model is no folder here and is not in the hub's cache, "
        f"and {endpoint} cannot be reached."
    )
