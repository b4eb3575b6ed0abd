from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from speceyes_plugins.engines.box_frames import frame_of_checkpoint, frame_of_served
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from transformers import AutoConfig, Qwen2VLConfig, Qwen3VLMoeConfig

from speceyes_cli.core.chat import Reply, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.specs import EngineOptions
from tests.plugins.asking import ask


def with_config(folder: Path, to: Path, **changes: str | None) -> Path:
    """A copy of a model folder with keys of its configuration changed, or taken out."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in config.items() if value is not None}
    (to / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    return to


@pytest.mark.parametrize(
    ("role", "said", "frame"),
    [
        ("small", None, "relative"),  # Qwen3-VL's own
        ("small", "pixels", "pixels"),
        ("large", None, "pixels"),  # Qwen2.5-VL's own
        ("large", "relative", "relative"),
    ],
)
def test_the_checkpoint_tells_in_replies_and_in_the_run(
    untrained: dict[Role, Path], tmp_path: Path, role: Role, said: str | None, frame: str
) -> None:
    folder = with_config(untrained[role], tmp_path / "model", box_frame=said)
    engine = TransformersEngine(EngineOptions(str(folder), role))
    (reply,) = engine.generate([ask(1)])
    assert isinstance(reply, Reply)
    assert reply.box_frame == engine.describe()["box_frame"] == frame
    engine.close()


def test_a_wrong_word_in_the_configuration_is_one_sentence(
    untrained: dict[Role, Path], tmp_path: Path
) -> None:
    folder = with_config(untrained["small"], tmp_path / "model", box_frame="percent")
    with pytest.raises(UsageError, match="box_frame 'percent'; known are pixels and relative"):
        TransformersEngine(EngineOptions(str(folder), "small"))


def test_the_embedded_pair_gives_its_familys_boxes() -> None:
    engine = TransformersEngine(EngineOptions("embedded", "large"))
    (reply,) = engine.generate([ask(1)])
    assert isinstance(reply, Reply)
    assert reply.box_frame == "relative"
    engine.close()


def test_a_word_of_its_own_outlives_saving(tmp_path: Path) -> None:
    config = Qwen3VLMoeConfig()
    assert frame_of_checkpoint(config) == "relative"
    config.box_frame = "pixels"
    config.save_pretrained(tmp_path)
    assert frame_of_checkpoint(AutoConfig.from_pretrained(tmp_path)) == "pixels"
    assert frame_of_checkpoint(Qwen2VLConfig()) == "relative"


@pytest.mark.parametrize(
    ("name", "factor", "frame"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 28, "pixels"),
        ("Qwen/Qwen2-VL-7B-Instruct", 28, "relative"),
        ("Qwen/Qwen3-VL-2B-Instruct", 32, "relative"),
        ("ChenShawn/DeepEyes-7B", 28, "pixels"),
        ("eyes", 28, "pixels"),
        ("eyes", 32, "relative"),
        ("qwen2.5-vl", 32, "relative"),  # a name that was given; the factor was measured
        ("Qwen/Qwen2.5-VL-7B-Instruct", None, "pixels"),
        ("qwen2_5_vl", None, "pixels"),
        ("Qwen/Qwen3.5-9B", None, "relative"),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct", None, "relative"),
        ("zai-org/GLM-4.5V", 28, "relative"),
        ("zai-org/GLM-4.1V-9B-Thinking", None, "relative"),
        ("glm4v", None, "relative"),
        ("eyes", None, None),
        ("eyes", 40, None),
        ("", None, None),
    ],
)
def test_an_endpoint_tells_by_its_resize_rule_and_its_name(
    name: str, factor: int | None, frame: str | None
) -> None:
    assert frame_of_served(name, factor) == frame
