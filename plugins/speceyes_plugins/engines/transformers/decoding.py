"""Greedy decoding of a batch whose rows end by themselves.

Our own loop in place of `generate`: drafts are scored from each step's raw logits without keeping
them, hopeless rows leave the batch, stop texts cost a look at the tail instead of a vocabulary-wide
table, and positions are passed in, so that no state of one conversation stays on the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from speceyes_kernels import RowFault, row_faults, token_statistics
from torch import Tensor

from speceyes_cli.plugin import Ask, Finish, TokenScore
from speceyes_plugins.engines.transformers.kept_turns import Columns

FAULTS = {
    RowFault.NONE: "",
    RowFault.NAN: "nan",
    RowFault.INFINITE: "infinite",
    RowFault.TOO_FEW: "too_few",
}
TAIL_TOKENS = 16  # a stop text ends within this many of the latest tokens
WATCHED_TOKENS = 8  # whoever watches a reply is told its text after so many more


@dataclass(slots=True)
class DecodingRow:
    """One ask being decoded."""

    ask: Ask
    keep: bool
    tokens: list[int] = field(default_factory=list)
    scores: list[TokenScore] = field(default_factory=list)
    answering: bool = True
    """False while the text has not come after which tokens are scored."""
    finish: Finish | None = None
    columns: Columns | None = None
    """Its keys and values, once it has ended."""
    prompt_tokens: int = 0
    """Tokens that it began with."""
    cached_tokens: int = 0
    """How many of these were known already."""


class Batch(Protocol):
    """Conversations that a model goes on with together."""

    logits: Tensor
    """[rows, vocabulary], after each row's last token."""

    def step(self, tokens: Tensor) -> Tensor:
        """Append [rows] tokens; the logits after them."""

    def retain(self, staying: Sequence[int]) -> list[int]:
        """Let the other rows leave; which of the old rows each new one is."""

    def columns(self, row: int) -> Columns | None:
        """What may be kept of a row."""


class Decoder:
    """Decodes batches with one model."""

    def __init__(self, ends: frozenset[int], text_of: Callable[[list[int]], str]) -> None:
        self._ends = ends
        self._text_of = text_of
        self._pieces: dict[int, str] = {}

    @torch.inference_mode()
    def decode(self, batch: Batch, asks: Sequence[Ask], keep: Iterable[bool]) -> list[DecodingRow]:
        """Run every ask to its end; `keep` says whose keys and values are to be kept."""
        rows = [
            DecodingRow(ask, kept, answering=not ask.scored_after)
            for ask, kept in zip(asks, keep, strict=True)
        ]
        live, logits = list(rows), batch.logits
        while True:
            following = self._take(logits, live)
            staying = [place for place, row in enumerate(live) if row.finish is None]
            if len(staying) < len(live):
                for place, row in enumerate(live):
                    if row.finish is not None and row.keep:
                        row.columns = batch.columns(place)
                if not staying:
                    return rows
                order = batch.retain(staying)
                live = [live[place] for place in order]
                following = following[order]
            logits = batch.step(following)

    def _take(self, logits: Tensor, rows: Sequence[DecodingRow]) -> Tensor:
        """Choose each row's next token, score it where a gate asks, and end rows that are done.

        One transfer to the host per step carries tokens and scores together.
        """
        gate = rows[0].ask.gate  # the asks of a batch are of one phase, and of one K
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
            kept = [row.ask.gate.kept if row.ask.gate is not None else 0 for row in rows]
            scores = [
                TokenScore(
                    separability, logprob, margin, entropy, FAULTS[RowFault(int(fault))], rivals
                )
                for (_, fault, separability, logprob, margin, entropy), rivals in zip(
                    table, _rivals(logits, kept), strict=True
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
        if self._may_end(token, ask.stop) or not row.answering:
            tail = self._text_of(row.tokens[-TAIL_TOKENS:])
            if not row.answering and ask.scored_after in tail:
                row.answering = True
                row.scores.clear()
            if any(stop in tail for stop in ask.stop):
                row.finish = "stop"
                return
        if ask.watch is not None and len(row.tokens) % WATCHED_TOKENS == 1:
            ask.watch(self._text_of(row.tokens))
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

    def _may_end(self, token: int, texts: Sequence[str]) -> bool:
        """Whether one of the texts can end in this token: its last character must be in it."""
        if not texts:
            return False
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._text_of([token])
        return any(text[-1] in piece or not text[-1].isascii() for text in texts)


def _rivals(logits: Tensor, kept: Sequence[int]) -> list[tuple[float, ...]]:
    """How far the next largest logits of each row lie below its largest, `kept` - 1 of them.

    Rounded to a hundred-thousandth of a logit, far below what a score can feel.
    """
    if not any(kept):
        return [()] * len(logits)
    top = logits.topk(min(max(kept), logits.shape[-1])).values.double()
    gaps = (top[:, :1] - top[:, 1:]).tolist()
    return [
        tuple(round(gap, 5) for gap in row[: max(0, most - 1)] if math.isfinite(gap))
        for row, most in zip(gaps, kept, strict=True)
    ]
