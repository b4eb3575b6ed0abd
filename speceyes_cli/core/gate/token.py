"""How one generated token stood among its rivals."""

from __future__ import annotations

from typing import NamedTuple


class TokenScore(NamedTuple):
    """How one generated token stood among its rivals; plain floats, NaN where undefined."""

    separability: float
    """(z1 - mean(z2..zK)) / (popstd(z2..zK) + 1e-6), in standard deviations."""
    logprob: float
    """Natural log of the top token's probability over the whole vocabulary."""
    margin: float
    """z1 - z2, in logits."""
    entropy: float
    """Entropy of the renormalised top-K distribution, in nats."""
    fault: str = ""
    """Why the figures are undefined: "nan", "infinite" or "too_few" finite logits."""
    rivals: tuple[float, ...] = ()
    """z1 - z2, z1 - z3, … in logits, where the gate keeps them: what any smaller K follows from."""
