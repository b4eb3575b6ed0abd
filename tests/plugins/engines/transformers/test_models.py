from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from speceyes_plugins.engines.transformers.models import check, takes

from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.specs import EngineOptions


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("embedded", True),
        ("Qwen/Qwen3-VL-2B-Instruct", True),
        ("embeded", False),
        ("http://localhost:8000/v1", False),
        ("https://host/v1#model", False),
        ("no/such/folder/here", False),
        ("", False),
    ],
)
def test_which_names_are_taken(name: str, taken: bool) -> None:
    assert takes(name) is taken


def test_a_folder_is_taken(tmp_path: Path) -> None:
    assert takes(str(tmp_path))


def folder(place: Path, config: object, *, weights: bool = True) -> Path:
    place.mkdir(exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (place / "config.json").write_text(text, encoding="utf-8")
    if weights:
        (place / "model.safetensors").write_bytes(b"")
    return place


@pytest.mark.parametrize(
    ("config", "weights", "says"),
    [
        ({"model_type": "qwen3_vl"}, False, "no weights"),
        ({"model_type": "llama"}, True, "'llama'"),
        ({}, True, "None"),
        ("{", True, "cannot be read"),
        ("[]", True, "not a JSON object"),
        ({"model_type": "qwen3_vl", "text_config": {"vocab_size": 32}}, True, "--top-k 64"),
    ],
)
def test_a_wrong_folder_is_one_sentence_before_loading(
    tmp_path: Path,
    config: object,
    weights: bool,
    says: str,
) -> None:
    place = folder(tmp_path / "m", config, weights=weights)
    with pytest.raises(UsageError, match=says):
        check(EngineOptions(str(place), "small"))


def test_a_folder_without_config_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no config\.json"):
        check(EngineOptions(str(tmp_path), "large"))
    with pytest.raises(UsageError, match="there is no folder"):
        check(EngineOptions(str(tmp_path / "gone"), "large"))


def test_a_pixel_budget_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--small-max-pixels"):
        check(EngineOptions(str(tmp_path), "small", min_pixels=100, max_pixels=50))
    with pytest.raises(UsageError, match="--small-min-pixels"):
        check(EngineOptions(str(tmp_path), "small", min_pixels=0))


def test_the_untrained_pair_passes(untrained: dict[Role, Path]) -> None:
    for role, place in untrained.items():
        check(EngineOptions(str(place), role))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"device": "gpu"}, "--device gpu"),
        ({"dtype": "int8"}, "--dtype int8"),
        ({"attention": "fast"}, "--attention fast"),
    ],
)
def test_wrong_loading_options_are_named(
    untrained: dict[Role, Path], changes: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        TransformersEngine(EngineOptions(str(untrained["small"]), "small", **changes))


def test_damaged_weights_are_one_sentence(tmp_path: Path, untrained: dict[Role, Path]) -> None:
    place = tmp_path / "damaged"
    place.mkdir()
    for path in untrained["small"].iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    (place / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(UsageError, match="cannot be loaded"):
        TransformersEngine(EngineOptions(str(place), "small"))


def test_an_older_library_is_told_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "5.19.0")
    with pytest.raises(UsageError, match=r"transformers 5\.19\.0 .* needs 5\.24"):
        check(EngineOptions("embedded", "small"))
