"""A gate of its own: how much of the top K's probability the top token has, at its worst."""

from __future__ import annotations

import math
from collections.abc import Sequence

from speceyes_cli.plugin import GateSpec, TokenScore


def least_share(scores: Sequence[TokenScore]) -> float:
    """The smallest p1 / (p1 + ... + pK) of a draft's tokens, from the gaps to the rivals."""
    if not all(score.rivals for score in scores):
        return math.nan
    return min(1 / (1 + math.fsum(math.exp(-gap) for gap in score.rivals)) for score in scores)


LIKELY = GateSpec(
    "likely", least_share, "the top token's share of the top K's probability", needs=("rivals",)
)
