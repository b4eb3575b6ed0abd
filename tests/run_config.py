"""The configuration of a run that no model made."""

from __future__ import annotations

from speceyes_cli.core.run.info import RunConfig

CONFIG = RunConfig(
    method="speceyes",
    agent="looker",
    dataset="dots",
    splits=("test", "other"),
    data=None,
    option_order="shuffle:0",
    limit=None,
    small="s",
    large="l",
    gate="min",
    top_k=64,
    threshold=0.98,
    batch_size=8,
    device="cpu",
    dtype="float32",
    attention="sdpa",
    small_min_pixels=None,
    small_max_pixels=None,
    large_min_pixels=None,
    large_max_pixels=None,
    max_turns=None,
    max_new_tokens=None,
    prompt_hashes={"agent": "a", "draft": "d", "screen": "s"},
    data_fingerprint={"test": "1", "other": None},
)
