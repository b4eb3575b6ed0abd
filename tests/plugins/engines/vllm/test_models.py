"""What `vllm:` takes, and refuses before anything is loaded."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from speceyes_plugins.engines.vllm.models import OPTIONS, check, takes

from speceyes_cli.plugin import EngineOptions, OptionValue, UsageError


def options(model: str, *, top_k: int = 64, **named: OptionValue) -> EngineOptions:
    """What the command line would hand over, with these of the engine's own options."""
    values = {one.name: one.default for one in OPTIONS}
    values |= {name.replace("_", "-"): value for name, value in named.items()}
    return EngineOptions(model, "small", top_k=top_k, options=values)


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
        check(options("vllm:embedded"))


@pytest.mark.usefixtures("installed")
def test_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.20.1")
    with pytest.raises(UsageError, match=r"vLLM 0\.20 is installed; 0\.32 or later"):
        check(options("vllm:embedded"))


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
        check(options(model.format(empty=tmp_path)))


@pytest.mark.usefixtures("installed")
def test_a_k_above_the_vocabulary() -> None:
    with pytest.raises(UsageError, match="larger than the vocabulary"):
        check(options("vllm:embedded", top_k=5000))


@pytest.mark.usefixtures("installed")
def test_the_embedded_pair_is_taken() -> None:
    check(options("vllm:embedded"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"memory_share": 0.0}, "memory-share is above 0 and at most 1, not 0"),
        ({"memory_share": 1.5}, "memory-share is above 0"),
        ({"engine_args": "seed=1"}, "engine-args is no JSON"),
        ({"engine_args": "[1]"}, "is a JSON object"),
        ({"engine_args": '{"dtype": "float16"}'}, "dtype is set by options"),
        ({"engine_args": '{"speculative_config": {"method": "ngram"}}'}, "no request"),
        ({"engine_args": '{"tensor_parallel_size": 2}'}, "name the server's URL"),
    ],
)
def test_options_that_cannot_be(named: dict[str, OptionValue], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check(options("vllm:embedded", **named))
