"""Early rejection: from a draft's first tokens, whether any continuation can still pass the gate.

A draft that cannot pass is "hopeless"; an engine then ends it with finish "rejected". There is a
rule only where the score can be bounded: for the minimum and for the geometric mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from speceyes_cli.core.gate.scores import ROUNDING, min_score
from speceyes_cli.core.gate.token import TokenScore


def min_hopeless(scores: Sequence[TokenScore], threshold: float, limit: int) -> bool:  # noqa: ARG001 - one signature for all gates
    """One token at or below the bar is enough: the minimum only falls."""
    return bool(scores) and not min_score(scores) > threshold


def log_hopeless(scores: Sequence[TokenScore], threshold: float, limit: int) -> bool:
    """Lost once the log-probabilities sum below `limit` * ln(threshold).

    For every length n up to `limit`, sum <= limit ln(t) <= n ln(t), since the sum only falls and
    ln(t) <= 0; so exp(sum / n) <= t whatever follows.
    """
    if any(math.isnan(score.logprob) or score.logprob > ROUNDING for score in scores):
        return True
    if threshold <= 0:
        return False
    return sum(score.logprob for score in scores) < limit * (math.log(threshold) - ROUNDING)
