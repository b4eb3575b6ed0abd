"""A trained model's weights cut down to a model that is narrower inside, with larger patches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

INTO = ("gate_proj", "up_proj", "linear_fc1")  # a feed-forward layer's first matrices
OUT_OF = ("down_proj", "linear_fc2")  # and its last


def shrunk(weights: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in the shapes of `like`; what fits already stays as it is.

    Of a feed-forward layer the units with the largest weights in and out remain; a patch's
    projection is stretched over the larger patch and made fainter, so that its sum stays about the
    same. Both are a beginning, to be trained on.
    """
    out = {}
    for name, wanted in like.items():
        found = weights[name]
        if found.shape != wanted.shape:
            found = _coarser(found, wanted) if found.dim() > 2 else _narrower(name, weights, wanted)  # noqa: PLR2004
        out[name] = found
    return out


def _coarser(kernel: Tensor, wanted: Tensor) -> Tensor:
    """[width, channels, time, patch, patch], stretched."""
    size = wanted.shape[-2:]
    scaled = functional.interpolate(kernel.flatten(0, 1), size=size, mode="bilinear")
    share = kernel.shape[-1] * kernel.shape[-2] / (size[0] * size[1])
    larger: Tensor = scaled.unflatten(0, kernel.shape[:2])
    return share * larger


def _narrower(name: str, weights: Mapping[str, Tensor], wanted: Tensor) -> Tensor:
    """A feed-forward matrix or bias with fewer units inside."""
    layer, part, _ = name.rsplit(".", 2)
    strength = torch.ones(())
    for other in (*INTO, *OUT_OF):
        matrix = weights.get(f"{layer}.{other}.weight")
        if matrix is not None:
            strength = strength * matrix.norm(dim=1 if other in INTO else 0)
    inward = part in INTO
    chosen = strength.topk(wanted.shape[0 if inward else 1]).indices.sort().values
    return weights[name].index_select(0 if inward else 1, chosen)
