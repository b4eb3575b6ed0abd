"""Greedy decoding of a batch whose rows end by themselves.

Our own loop in place of `generate`: drafts are scored from each step's raw logits without keeping
them, hopeless rows leave the batch, stop texts cost a look at the tail instead of a vocabulary-wide
table, and positions are passed in, so that no state of one conversation stays on the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from speceyes_kernels import RowFault, row_faults, token_statistics
from torch import Tensor

from speceyes_cli.plugin import Ask, Finish, TokenScore

FAULTS = {
    RowFault.NONE: "",
    RowFault.NAN: "nan",
    RowFault.INFINITE: "infinite",
    RowFault.TOO_FEW: "too_few",
}
TAIL_TOKENS = 16  # a stop text ends within this many of the latest tokens


@dataclass(slots=True)
class DecodingRow:
    """One ask being decoded."""

    ask: Ask
    tokens: list[int] = field(default_factory=list)
    scores: list[TokenScore] = field(default_factory=list)
    answering: bool = True
    """False while the text has not come after which tokens are scored."""
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A batch before its first token, padded on the left."""

    input_ids: Tensor
    """[rows, length]."""
    attention_mask: Tensor
    """[rows, length]."""
    positions: Tensor
    """[3, rows, length]."""
    features: Any
    """`mm_encoder_outputs["image"]`, or None without pictures."""
    grids: Tensor | None
    image_token: int


class Decoder:
    """Decodes batches with one model."""

    def __init__(
        self, model: Any, ends: frozenset[int], text_of: Callable[[list[int]], str]
    ) -> None:
        self._model = model
        self._ends = ends
        self._text_of = text_of

    @torch.inference_mode()
    def decode(self, prompt: Prompt, asks: Sequence[Ask]) -> list[DecodingRow]:
        """Run every ask to its end."""
        rows = [DecodingRow(ask, answering=not ask.scored_after) for ask in asks]
        live = list(range(len(rows)))
        mask = prompt.attention_mask
        position = prompt.positions[0, :, -1] + 1  # a prompt ends in text, never in a picture
        extra: dict[str, Any] = {}
        if prompt.features is not None:
            extra = {
                "mm_encoder_outputs": {"image": prompt.features},
                "image_grid_thw": prompt.grids,
                "mm_token_type_ids": (prompt.input_ids == prompt.image_token).int(),
            }
        out = self._model(
            input_ids=prompt.input_ids,
            attention_mask=mask,
            position_ids=prompt.positions,
            use_cache=True,
            logits_to_keep=1,
            **extra,
        )
        while True:
            logits = out.logits[:, -1]
            following = self._take(logits, [rows[i] for i in live])
            keep = [j for j, i in enumerate(live) if rows[i].finish is None]
            if not keep:
                return rows
            cache = out.cache
            if 2 * len(keep) <= len(live) or any(rows[i].finish == "rejected" for i in live):
                chosen = torch.tensor(keep, device=mask.device)
                cache.batch_select_indices(chosen)
                following, mask, position = following[chosen], mask[chosen], position[chosen]
                live = [live[j] for j in keep]
            mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
            out = self._model(
                input_ids=following.unsqueeze(1),
                attention_mask=mask,
                position_ids=position.view(1, -1, 1).expand(3, -1, -1),
                cache=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            position = position + 1

    def _take(self, logits: Tensor, rows: Sequence[DecodingRow]) -> Tensor:
        """Choose each row's next token, score it where a gate asks, and end rows that are done.

        One transfer to the host per step carries tokens and scores together.
        """
        gate = rows[0].ask.gate  # the asks of a batch are of one phase
        scores: list[TokenScore] | None = None
        if gate is None:
            following = logits.argmax(-1)
            chosen = following.tolist()
        else:
            found = token_statistics(logits, k=gate.top_k)
            following = found.argmax
            faults = row_faults(logits, found)
            columns = (following, faults, found.separability, found.logprob, found.margin)
            table = torch.stack([c.double() for c in (*columns, found.entropy)], dim=1).tolist()
            chosen = [int(line[0]) for line in table]
            scores = [
                TokenScore(
                    separability, logprob, margin, entropy, FAULTS[RowFault(int(fault))], rivals
                )
                for (_, fault, separability, logprob, margin, entropy), rivals in zip(
                    table, _rivals(logits, gate.kept), strict=True
                )
            ]
        for j, row in enumerate(rows):
            if row.finish is None:
                self._grow(row, chosen[j], scores[j] if scores else None)
        return following

    def _grow(self, row: DecodingRow, token: int, score: TokenScore | None) -> None:
        if token in self._ends:
            row.finish = "stop"
            return
        row.tokens.append(token)
        if score is not None:
            row.scores.append(score)
        ask = row.ask
        if ask.stop or not row.answering:
            tail = self._text_of(row.tokens[-TAIL_TOKENS:])
            if not row.answering and ask.scored_after in tail:
                row.answering = True
                row.scores.clear()
            if any(stop in tail for stop in ask.stop):
                row.finish = "stop"
                return
        gate = ask.gate
        if (
            gate is not None
            and row.answering
            and gate.hopeless is not None
            and gate.hopeless(row.scores, gate.threshold, ask.max_new_tokens)
        ):
            row.finish = "rejected"
        elif len(row.tokens) >= ask.max_new_tokens:
            row.finish = "length"


def _rivals(logits: Tensor, kept: int) -> list[tuple[float, ...]]:
    """How far the next largest logits of each row lie below its largest, `kept` - 1 of them.

    Rounded to a hundred-thousandth of a logit, far below what a score can feel.
    """
    if kept == 0:
        return [()] * len(logits)
    top = logits.topk(min(kept, logits.shape[-1])).values.double()
    gaps = (top[:, :1] - top[:, 1:]).tolist()
    return [tuple(round(gap, 5) for gap in row if math.isfinite(gap)) for row in gaps]
