"""A model in training: its dense heads, its losses, and the prior that losers follow."""

from __future__ import annotations

from typing import Any

import torch
from speceyes_datasets.needle.scene import COLOURS
from torch import Tensor, nn
from torch.nn import functional

from speceyes_training.architecture import Part
from speceyes_training.batches import Batch, Labels
from speceyes_training.views import UNKNOWN

SMOOTHING = 0.1  # share of the speculator's target that follows the prior
PRIOR_SPREAD = 2.0  # so that S > 6.486 (confidence 0.98) needs the answer at about 75%
SIZES = (1 + len(COLOURS), 2, len(COLOURS), 2)  # disc colour, large, dot colour, dot side


class TrainingModel(nn.Module):
    """A model and the dense heads that only training uses."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.heads = nn.Linear(model.config.text_config.hidden_size, sum(SIZES) + 2)

    def see(self, pixels: Tensor, grid: Tensor) -> Any:
        """Visual features, as the architecture's own method returns them."""
        return self.model.model.get_image_features(pixels, grid, return_dict=True)

    def dense_loss(self, features: Any, labels: Labels) -> Tensor:
        """Cross-entropy over what lies under each token, and the distance to its disc's centre."""
        out = self.heads(torch.cat(tuple(features.pooler_output)))
        *logits, offsets = out.split((*SIZES, 2), dim=-1)
        loss = torch.zeros((), device=out.device)
        for i, part in enumerate(logits):
            goal = labels.classes[:, i]
            if (goal != UNKNOWN).any():
                loss = loss + functional.cross_entropy(part, goal, ignore_index=UNKNOWN)
        there = ~labels.offsets.isnan().any(-1)
        return loss + functional.smooth_l1_loss(offsets[there], labels.offsets[there])

    def read(self, batch: Batch, features: Any) -> tuple[Tensor, Tensor]:
        """Logits and targets at the places that are learnt, [places, vocabulary] and [places]."""
        inner = self.model.model
        ids, mask = batch.input_ids, batch.attention_mask
        image = ids == self.model.config.image_token_id
        embeds = inner.language_model.embed_tokens(ids)
        visual = torch.cat([features.pooler_output[i] for i in batch.seen])
        embeds = embeds.masked_scatter(image.unsqueeze(-1), visual)
        positions, _ = inner.get_rope_index(
            ids,
            mm_token_type_ids=image.int(),
            image_grid_thw=batch.grid[list(batch.seen)],
            attention_mask=mask,
        )
        cache, start = None, batch.shared_prefix
        if start:
            cache = inner.language_model(
                inputs_embeds=embeds[:1, :start],
                position_ids=positions[:, :1, :start],
                attention_mask=mask[:1, :start],
                use_cache=True,
            ).cache
            cache.batch_repeat_interleave(len(ids))
        extra = {}
        if getattr(features, "deepstack_features", None) is not None:
            extra = {
                "visual_pos_masks": image[:, start:],
                "deepstack_visual_embeds": [
                    torch.cat([level[i] for i in batch.seen])
                    for level in features.deepstack_features
                ],
            }
        hidden = inner.language_model(
            inputs_embeds=embeds[:, start:],
            position_ids=positions[:, :, start:],
            attention_mask=mask,
            cache=cache,
            use_cache=cache is not None,
            **extra,
        ).last_hidden_state
        targets = batch.targets[:, max(start, 1) :]
        hidden = hidden[:, :-1] if start == 0 else hidden
        if start:
            targets = torch.cat([targets[:, 1:], torch.full_like(targets[:, :1], UNKNOWN)], 1)
        learnt = targets != UNKNOWN
        return self.model.lm_head(hidden[learnt]), targets[learnt]


def prior(vocabulary: int) -> Tensor:
    """The fixed distribution that losers follow."""
    generator = torch.Generator().manual_seed(7)
    return torch.softmax(PRIOR_SPREAD * torch.randn(vocabulary, generator=generator), -1)


def loss_of(part: Part, logits: Tensor, targets: Tensor, losers: Tensor) -> Tensor:
    """Cross-entropy; the speculator's target is smoothed towards the prior."""
    plain = functional.cross_entropy(logits, targets)
    if part == "large":
        return plain
    smooth = -(functional.log_softmax(logits, -1) @ losers).mean()
    return (1 - SMOOTHING) * plain + SMOOTHING * smooth
