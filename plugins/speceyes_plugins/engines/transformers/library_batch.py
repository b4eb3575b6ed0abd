"""A batch that the library's own forward pass decodes, where `TextModel` does not suit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speceyes_plugins.engines.transformers.pictures import gather
from speceyes_plugins.engines.transformers.text_batch import Prompt


class LibraryBatch:
    """Rows padded on the left; every turn is read from its beginning."""

    def __init__(self, model: Any, prompts: Sequence[Prompt], pad: int) -> None:
        """Read the prompts; `logits` are those after their last tokens."""
        self._model = model
        device = model.device
        width = max(len(prompt.ids) for prompt in prompts)
        padding = [width - len(prompt.ids) for prompt in prompts]
        both = list(zip(prompts, padding, strict=True))
        ids = torch.tensor([[pad] * more + list(prompt.ids) for prompt, more in both])
        self._mask = torch.tensor([[0] * more + [1] * len(p.ids) for p, more in both]).to(device)
        positions = torch.zeros(3, len(prompts), width, dtype=torch.long)
        for row, (prompt, more) in enumerate(both):
            positions[:, row, more:] = prompt.positions
        self._next = positions[0, :, -1].to(device) + 1  # a prompt ends in text, not in a picture
        extra: dict[str, Any] = {}
        shown = gather([picture for prompt in prompts for picture in prompt.pictures])
        if shown is not None:
            extra = {
                "mm_encoder_outputs": {"image": shown[0]},
                "image_grid_thw": shown[1],
                "mm_token_type_ids": (ids == model.config.image_token_id).int().to(device),
            }
        self._run(ids.to(device), positions.to(device), **extra)

    def __len__(self) -> int:
        return len(self._mask)

    def step(self, tokens: Tensor) -> Tensor:
        """Append [rows] tokens; the logits after them, [rows, vocabulary]."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        positions = self._next.view(1, -1, 1).expand(3, -1, -1)
        self._run(tokens.unsqueeze(1), positions, cache=self._cache)
        self._next = self._next + 1
        return self.logits

    def retain(self, staying: Sequence[int]) -> list[int]:
        """Let the other rows leave; which of the old rows each new one is."""
        chosen = torch.tensor(staying, device=self._mask.device)
        # Layers of linear attention have nothing else:
        # findings/transformers_cache_select_lacks_linear_layers.sh.
        self._cache.reorder_cache(chosen)
        self._mask, self._next = self._mask[chosen], self._next[chosen]
        return list(staying)

    def columns(self, row: int) -> None:
        """Nothing is kept of a row."""
        del row

    def _run(self, ids: Tensor, positions: Tensor, **more: Any) -> None:
        out = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
            **more,
        )
        self._cache = out.cache
        self.logits: Tensor = out.logits[:, -1]
