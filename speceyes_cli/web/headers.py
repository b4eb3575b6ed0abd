"""Headers of every page."""

from __future__ import annotations

GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""No other site may frame, open or load it, and nobody keeps it; a page adds what it may load."""
