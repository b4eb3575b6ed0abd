"""The vision towers' attention, all pictures or windows of one length in one call.

Without flash attention, transformers calls torch's attention once for every picture, in Qwen2.5-VL
once for every window of every picture. An implementation with "flash" in its name is handed the
whole batch instead, and where each piece of it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

BY_LENGTH = "speceyes_flash_by_length"


def use_by_length(model: Any) -> None:
    """Let the model's vision tower attend by `attend_by_length`."""
    AttentionInterface.register(BY_LENGTH, attend_by_length)
    model.set_attn_implementation({"vision_config": BY_LENGTH})


def attend_by_length(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scaling: float,
    cu_seq_lens_q: Tensor,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within each piece of a row of pieces, as transformers calls it.

    `query`, `key` and `value` are [1, heads, tokens, width]; piece i is the tokens from
    `cu_seq_lens_q[i]` up to `cu_seq_lens_q[i + 1]`. Gives [1, tokens, heads, width].
    """
    lengths = cu_seq_lens_q.diff()
    distinct = lengths.unique().tolist()
    parts = (query[0], key[0], value[0])
    if len(distinct) == 1:
        return _attend(parts, distinct[0], scaling)[None], None
    out = query.new_empty(query.shape[2], query.shape[1], query.shape[3])
    own = lengths.repeat_interleave(lengths)  # of every token, the length of its piece
    for length in distinct:
        chosen = torch.nonzero(own == length)[:, 0]
        pieces = [part.index_select(1, chosen) for part in parts]
        out[chosen] = _attend(pieces, length, scaling)
    return out[None], None


def _attend(parts: Sequence[Tensor], length: int, scaling: float) -> Tensor:
    """Query, key and value, [heads, pieces x length, width] each, to [tokens, heads, width]."""
    query, key, value = (part.unflatten(1, (-1, length)).transpose(0, 1) for part in parts)
    seen = scaled_dot_product_attention(query, key, value, scale=scaling)
    return seen.transpose(1, 2).flatten(0, 1)
