from __future__ import annotations

import os
import shutil
from pathlib import Path

from speceyes_plugins.engines.transformers.models import digest, location
from speceyes_plugins.engines.vllm import models as vllm

from speceyes_cli.plugin import EngineOptions


def of(model: Path | str) -> str | None:
    return digest(EngineOptions(model=str(model), role="small"))


def test_a_model_is_known_by_its_files_wherever_they_lie(tmp_path: Path) -> None:
    here = shutil.copytree(location("embedded", "small"), tmp_path / "here")
    first = of(here)
    assert first is not None
    assert first == of("embedded")
    for file in here.iterdir():
        os.utime(file)
    there = here.rename(tmp_path / "there")
    assert of(there) == first
    (there / "README.md").write_text("more words")
    assert of(there) == first
    weights = next(there.glob("*.safetensors"))
    changed = bytearray(weights.read_bytes())
    changed[len(changed) // 2] ^= 1
    weights.write_bytes(changed)
    assert of(there) != first, "one bit in the middle of the weights"


def test_a_hub_id_has_no_files_to_digest() -> None:
    assert of("someone/model") is None


def test_vllm_knows_the_same_folder_by_the_same_digest(tmp_path: Path) -> None:
    here = shutil.copytree(location("embedded", "small"), tmp_path / "here")
    options = EngineOptions(model=f"vllm:{here}", role="small")
    assert vllm.digest(options) == of(here)
    assert vllm.digest(EngineOptions(model="vllm:someone/model", role="small")) is None
