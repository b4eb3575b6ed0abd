"""Rotary positions of a conversation with pictures, on three axes: time, row and column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from speceyes_plugins.engines.transformers.pictures import Grid


def picture_starts(ids: Sequence[int], image_token: int) -> list[int]:
    """Where each run of visual tokens begins."""
    return [
        place
        for place, token in enumerate(ids)
        if token == image_token and (place == 0 or ids[place - 1] != image_token)
    ]


def positions_of(ids: Sequence[int], grids: Sequence[Grid], image_token: int, merge: int) -> Tensor:
    """The position of every token, [3, tokens], as Qwen2.5-VL and Qwen3-VL count them.

    Text goes on by one on all axes; a picture's tokens count rows and columns from where it stands
    (`grids` are in patches, `merge` of which make the side of a token), and what follows goes on
    after its longer side. The library's `get_rope_index` gives the same, about ten times slower.
    """
    parts, place, now = [], 0, 0
    for start, (time, rows, columns) in zip(picture_starts(ids, image_token), grids, strict=True):
        parts.append(np.broadcast_to(np.arange(now, now + start - place), (3, start - place)))
        now += start - place
        grid = np.indices((time, rows // merge, columns // merge)).reshape(3, -1)
        parts.append(grid + now)
        place = start + grid.shape[1]
        now += max(rows, columns) // merge
    rest = len(ids) - place
    parts.append(np.broadcast_to(np.arange(now, now + rest), (3, rest)))
    return torch.from_numpy(np.concatenate(parts, axis=1))
