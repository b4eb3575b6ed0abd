"""The pair is shown every picture at the size it was taught on, whoever runs it."""

from __future__ import annotations

import pytest
from speceyes_plugins.embedded import PAIR, QWEN2_5
from speceyes_plugins.engines.resize_rule import ResizeRule
from speceyes_plugins.engines.transformers.models import location
from transformers import AutoProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from speceyes_cli.plugin import Role, Size

MODELS: tuple[tuple[str, Role, int], ...] = (
    (PAIR, "small", 160),
    (PAIR, "large", 160),
    (QWEN2_5, "large", 168),
)


@pytest.mark.parametrize(("name", "role", "taught"), MODELS)
def test_every_square_is_shown_as_taught(name: str, role: Role, taught: int) -> None:
    processor = AutoProcessor.from_pretrained(location(name, role)).image_processor
    size = processor.size
    bounds = (size["shortest_edge"], size["longest_edge"])
    factor = processor.patch_size * processor.merge_size
    rule = ResizeRule(factor, *bounds)
    for side in range(33, 3000):
        assert rule.frame(Size(side, side)) == Size(taught, taught)
        assert smart_resize(side, side, factor, *bounds) == (taught, taught)


@pytest.mark.parametrize(("name", "role"), [model[:2] for model in MODELS])
def test_the_rule_is_the_processors(name: str, role: Role) -> None:
    processor = AutoProcessor.from_pretrained(location(name, role)).image_processor
    size = processor.size
    bounds = (size["shortest_edge"], size["longest_edge"])
    factor = processor.patch_size * processor.merge_size
    rule = ResizeRule(factor, *bounds)
    for width in range(33, 3000, 53):
        for height in range(33, 3000, 59):
            if max(width, height) > 100 * min(width, height):
                continue
            down, across = smart_resize(height, width, factor, *bounds)
            assert rule.frame(Size(width, height)) == (across, down)
