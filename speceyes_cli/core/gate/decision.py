"""The gate's decision: from per-token statistics to accept or fall back (paper, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from speceyes_cli.core.gate.defaults import DEFAULT_THRESHOLD, DEFAULT_TOP_K, KEPT_LOGITS
from speceyes_cli.core.gate.token import TokenScore, is_tied, within

SIGMOID_SCALE = 0.6  # paper, equation 5: confidence = sigmoid(0.6 S)


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)), which never overflows."""
    if value < 0:
        grown = math.exp(max(value, -700.0))
        return grown / (1.0 + grown)
    return 1.0 / (1.0 + math.exp(-value))


def confidence_from_separability(separability: float) -> float:
    """sigmoid(0.6 S); NaN stays NaN, +inf gives NaN because such a row is never trusted."""
    if math.isnan(separability) or separability == math.inf:
        return math.nan
    return sigmoid(SIGMOID_SCALE * separability)


class Draft(Protocol):
    """What the gate reads of a reply: `speceyes_cli.core.chat.Reply` has it."""

    @property
    def text(self) -> str:
        """What was generated."""

    @property
    def finish(self) -> str:
        """How the reply ended: "stop" where it ended by itself."""

    @property
    def statistics(self) -> Sequence[TokenScore]:
        """One per generated token before the end of sequence."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One way to turn a draft's token scores into a confidence, and the bar it must clear.

    `score` maps the scores of at least one token to a confidence in 0..1 (NaN: undefined).
    `hopeless`, where given, tells from the scores so far that no continuation can pass.
    """

    name: str
    score: Callable[[Sequence[TokenScore]], float]
    top_k: int = DEFAULT_TOP_K
    threshold: float = DEFAULT_THRESHOLD
    hopeless: Callable[[Sequence[TokenScore], float, int], bool] | None = None
    kept: int = 0
    """Logits of each token that an engine may keep as `TokenScore.rivals`; 0: none."""
    cut_stands: bool = False
    """A draft that its token limit cut may stand too, as in the paper's own code."""
    rejects_ties: bool = False
    """A draft of which a tie decided a token may not stand: it is a coin flip."""

    def confidence(self, draft: Draft) -> float:
        """The draft's confidence in 0..1; NaN for a draft without tokens or with NaN scores."""
        if not draft.statistics:
            return math.nan
        return self.score(within(draft.statistics, self.top_k))

    def thorough(self) -> Gate:
        """The same decision from drafts scored to their end, with what any other K needs."""
        return replace(self, hopeless=None, kept=max(KEPT_LOGITS, self.kept))

    def accepts(self, draft: Draft) -> bool:
        """Whether the draft may stand: it ended by itself, and its confidence exceeds the bar."""
        ended = draft.finish == "stop" or (self.cut_stands and draft.finish == "length")
        if not ended or not draft.text.strip():
            return False
        if self.rejects_ties and is_tied(draft.statistics):
            return False
        return self.confidence(draft) > self.threshold
