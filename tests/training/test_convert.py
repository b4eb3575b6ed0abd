from __future__ import annotations

from typing import Any

import pytest
import torch
from speceyes_training import architecture, recipe
from speceyes_training.architecture import WIDE, Shape
from speceyes_training.convert import converted, usual_sizes

LIKE = Shape(WIDE.patch, WIDE.inner, WIDE.frame, "qwen2_5_vl")


@pytest.fixture(scope="module")
def old() -> Any:
    """A Qwen3-VL without what has no counterpart, and with norms that add something."""
    torch.manual_seed(4)
    model = architecture.build(recipe.make_tokenizer(), WIDE).eval()
    tower = model.model.visual
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(4)  # larger than at birth, so that every layer matters
    for name, parameter in tower.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data += 0.2 * torch.randn_like(parameter)
    for layer in model.model.language_model.layers:
        layer.self_attn.q_proj.weight.data.mul_(20)
    tower.pos_embed.weight.data.zero_()
    tower.patch_embed.proj.bias.data.zero_()
    return model


@pytest.fixture(scope="module")
def new(old: Any) -> Any:
    model = architecture.build(recipe.make_tokenizer(), LIKE).eval()
    sizes = usual_sizes(old, lambda: old(input_ids=torch.arange(300)[None]))
    model.load_state_dict(converted(old.state_dict(), model.state_dict(), sizes))
    return model


def test_the_tower_sees_the_same(old: Any, new: Any) -> None:
    side = WIDE.frame // WIDE.patch
    pixels = torch.randn(side * side, 3 * 2 * WIDE.patch**2)
    grid = torch.tensor([[1, side, side]])
    with torch.inference_mode():
        a, b = (
            model.model.get_image_features(pixels, grid, return_dict=True).pooler_output[0]
            for model in (old, new)
        )
    assert (a - b).norm() < 0.05 * a.norm()
    assert (a - a.mean(0)).norm() > 0.2 * a.norm()  # places differ, so that this says something


def test_queries_and_keys_get_the_size_that_they_had(old: Any, new: Any) -> None:
    ids = torch.arange(300)[None]

    def away(sizes: dict[str, torch.Tensor]) -> float:
        new.load_state_dict(converted(old.state_dict(), new.state_dict(), sizes))
        with torch.inference_mode():
            a, b = (model(input_ids=ids).logits for model in (old, new))
        return float((a - b).norm() / a.norm())

    sizes = usual_sizes(old, lambda: old(input_ids=ids))
    told = away(sizes)
    assert told < 0.5
    assert away({name: torch.ones_like(size) for name, size in sizes.items()}) > 2 * told


def test_every_weight_comes_from_somewhere(old: Any, new: Any) -> None:
    weights = dict(old.state_dict())
    del weights["lm_head.weight"]
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        converted(
            weights,
            new.state_dict(),
            usual_sizes(old, lambda: old(input_ids=torch.ones(1, 2).long())),
        )
