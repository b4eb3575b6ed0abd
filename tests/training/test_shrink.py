from __future__ import annotations

from typing import Any

import pytest
import torch
from speceyes_training import architecture, recipe
from speceyes_training.architecture import NARROW, WIDE
from speceyes_training.shrink import shrunk


@pytest.fixture(scope="module")
def wide() -> Any:
    torch.manual_seed(5)
    return architecture.build(recipe.make_tokenizer(), WIDE).eval()


@pytest.fixture
def narrow() -> Any:
    return architecture.build(recipe.make_tokenizer(), NARROW).eval()


def test_what_fits_stays(wide: Any) -> None:
    weights = wide.state_dict()
    same = shrunk(weights, weights)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


@torch.inference_mode()
def test_units_that_do_nothing_are_the_ones_left_out(wide: Any, narrow: Any) -> None:
    idle = torch.randperm(WIDE.inner, generator=torch.Generator().manual_seed(2))[NARROW.inner :]
    layer = wide.model.language_model.layers[1].mlp
    block = wide.model.visual.blocks[2].mlp
    layer.down_proj.weight[:, idle] = 0
    block.linear_fc2.weight[:, idle] = 0
    narrow.load_state_dict(shrunk(wide.state_dict(), narrow.state_dict()))
    seen = torch.randn(7, architecture.WIDTH)
    for found, wanted in (
        (narrow.model.language_model.layers[1].mlp, layer),
        (narrow.model.visual.blocks[2].mlp, block),
    ):
        torch.testing.assert_close(found(seen), wanted(seen), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_smooth_kernels_give_an_even_patch_what_they_gave(wide: Any, narrow: Any) -> None:
    kernel = wide.model.visual.patch_embed.proj.weight
    kernel.copy_(kernel.mean((-2, -1), keepdim=True).expand_as(kernel))
    narrow.load_state_dict(shrunk(wide.state_dict(), narrow.state_dict()))

    def projected(model: Any, patch: int) -> torch.Tensor:
        colour = torch.tensor([0.3, -0.5, 0.9]).view(1, 3, 1, 1, 1)
        even = colour.expand(1, 3, 2, patch, patch).reshape(1, -1)
        out: torch.Tensor = model.model.visual.patch_embed(even)
        return out

    torch.testing.assert_close(
        projected(narrow, NARROW.patch), projected(wide, WIDE.patch), rtol=1e-3, atol=1e-4
    )
