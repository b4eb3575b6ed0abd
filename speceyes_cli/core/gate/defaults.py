"""The gate's K and threshold where none is named (paper, section 4.1)."""

from __future__ import annotations

DEFAULT_TOP_K = 64
DEFAULT_THRESHOLD = 0.98
KEPT_LOGITS = 128
"""Logits per token that a thorough gate keeps: the K of the paper's sweep go up to 96."""
