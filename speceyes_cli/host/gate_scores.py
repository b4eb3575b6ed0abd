"""A gate's score for what shows many gates side by side."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from speceyes_cli.core.errors import PluginError
from speceyes_cli.core.gate.token import TokenScore

log = logging.getLogger(__name__)
Score = Callable[[Sequence[TokenScore]], float]


def defined(score: Score) -> Score:
    """The score, undefined (NaN) where the gate is wrong or raises; told of once."""
    told: set[str] = set()

    def defined_score(scores: Sequence[TokenScore]) -> float:
        try:
            return score(scores)
        except PluginError as error:
            if not told:
                log.warning("speceyes: %s", error)
            told.add(str(error))
            return math.nan

    return defined_score
