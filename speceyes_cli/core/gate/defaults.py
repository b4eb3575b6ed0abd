"""The gate's K and threshold where none is named (paper, section 4.1)."""

from __future__ import annotations

DEFAULT_TOP_K = 64
DEFAULT_THRESHOLD = 0.98
KEPT_LOGITS = 128
"""Logits per token that a thorough gate keeps: the K of the paper's sweep go up to 96."""
LEAST_SEPARABLE_K = 8
"""The least K for separability. Of a model that knows nothing (independent normal logits), a token
passes 0.98 in 100% of cases at K = 2, whose one rival has no spread, in 41% at 3, in 25% at 4, in
8 to 10% at 8 and in 1 to 3% at 64."""
ACCEPT, REJECT = "accept", "reject"
"""What becomes of a draft of which a tie of the two largest logits decided a token."""
