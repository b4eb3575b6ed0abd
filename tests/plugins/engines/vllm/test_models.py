"""What `vllm:` takes, and refuses before anything is loaded."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from speceyes_plugins.engines.vllm.models import check, takes

from speceyes_cli.plugin import EngineOptions, UsageError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM 0.32 as far as its record tells."""
    found = importlib.util.find_spec
    spec = SimpleNamespace()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: spec if name == "vllm" else found(name, *a)
    )
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.32.0+cpu")


def test_it_takes_what_is_named_so() -> None:
    assert takes("vllm:Qwen/Qwen3-VL-2B-Instruct")
    assert not takes("Qwen/Qwen3-VL-2B-Instruct")
    assert not takes("http://localhost:8000/v1")


def test_it_is_not_installed() -> None:
    with pytest.raises(UsageError, match=r"--small: vLLM is not installed; .*speceyes\[vllm\]"):
        check(EngineOptions("vllm:embedded", "small"))


@pytest.mark.usefixtures("installed")
def test_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.20.1")
    with pytest.raises(UsageError, match=r"vLLM 0\.20 is installed; 0\.32 or later"):
        check(EngineOptions("vllm:embedded", "small"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("vllm:", "names no model"),
        ("vllm:./nowhere", "there is no folder"),
        ("vllm:{empty}", "no config.json"),
    ],
)
def test_models_that_are_none(tmp_path: Path, model: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check(EngineOptions(model.format(empty=tmp_path), "small"))


@pytest.mark.usefixtures("installed")
def test_a_k_above_the_vocabulary() -> None:
    with pytest.raises(UsageError, match="larger than the vocabulary"):
        check(EngineOptions("vllm:embedded", "small", top_k=5000))


@pytest.mark.usefixtures("installed")
def test_the_embedded_pair_is_taken() -> None:
    check(EngineOptions("vllm:embedded", "large"))
