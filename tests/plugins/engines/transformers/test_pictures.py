from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from speceyes_plugins.engines.transformers.loading import load
from speceyes_plugins.engines.transformers.pictures import PictureEncoder
from transformers import AutoModelForImageTextToText, AutoProcessor

from speceyes_cli.core.chat import Picture, Role
from speceyes_cli.host.specs import EngineOptions

LARGE = (2600, 1800)
"""Pixels: more than Pillow keeps in one piece."""


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    drawn = torch.randint(0, 256, (9, 7, 4), generator=torch.Generator().manual_seed(1))
    small = Image.fromarray(drawn.to(torch.uint8).numpy())
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize(
    ("mode", "size"), [("RGB", (300, 210)), ("RGB", LARGE), ("L", (64, 300)), ("RGBA", (90, 70))]
)
@pytest.mark.parametrize("role", ["small", "large"])
def test_pictures_are_encoded_as_the_library_does(
    untrained: dict[Role, Path], role: Role, mode: str, size: tuple[int, int]
) -> None:
    image = noise(mode, size)
    model: Any = AutoModelForImageTextToText.from_pretrained(untrained[role], dtype=torch.float32)
    given = AutoProcessor.from_pretrained(untrained[role]).image_processor(
        images=[image.convert("RGB")], return_tensors="pt"
    )
    grid = given["image_grid_thw"]
    with torch.inference_mode():
        wanted = model.model.get_image_features(given["pixel_values"], grid, return_dict=True)
        loaded = load(EngineOptions(str(untrained[role]), role))
        encoder = PictureEncoder(loaded.model, loaded.processor.image_processor)
        key = ("one", Picture("noise", lambda: image))
        found = encoder.encode([key])[key]
    assert found.grid == tuple(grid[0].tolist())
    torch.testing.assert_close(found.features, wanted.pooler_output[0], rtol=1e-4, atol=1e-5)


def test_a_picture_that_comes_again_is_seen_once_while_somebody_has_it(
    untrained: dict[Role, Path],
) -> None:
    loaded = load(EngineOptions(str(untrained["small"]), "small"))
    encoder = PictureEncoder(loaded.model, loaded.processor.image_processor)
    opened = []

    def draw() -> Image.Image:
        opened.append(True)
        return noise("RGB", (90, 70))

    with torch.inference_mode():
        picture = Picture("again", draw)
        seen = encoder.encode([("one", picture), ("one", Picture("other", draw))])[("one", picture)]
        encoder.forget("one")
        again = encoder.encode([("two", picture)])[("two", picture)]
        assert len(opened) == 2
        torch.testing.assert_close(again.features, seen.features)
        assert again.features.untyped_storage().nbytes() == again.features.nbytes
        assert len(encoder._seen) == 1  # nobody has the other any more
        encoder.forget("two")
        encoder._seen._budget = 0
        encoder.encode([("three", Picture("new", draw))])
        encoder.forget("three")
        assert len(encoder._seen) == 0


@pytest.mark.parametrize("spare", [True, False])
def test_pictures_are_opened_ahead_only_where_a_core_is_free(
    untrained: dict[Role, Path], monkeypatch: pytest.MonkeyPatch, *, spare: bool
) -> None:
    loaded = load(EngineOptions(str(untrained["small"]), "small"))
    cores = len(os.sched_getaffinity(0))
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores - 1 if spare else cores)
    encoder = PictureEncoder(loaded.model, loaded.processor.image_processor)
    opened = threading.Event()

    def draw() -> Image.Image:
        opened.set()
        return noise("RGB", (90, 70))

    encoder.prepare([("one", Picture("noise", draw))])
    encoder._hands.shutdown()  # what was begun has ended
    assert opened.is_set() == spare
