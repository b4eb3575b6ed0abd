from __future__ import annotations

import numpy as np

from speceyes_cli.core.gate.decision import confidence_from_separability
from speceyes_cli.core.gate.defaults import (
    DEFAULT_THRESHOLD,
    DEFAULT_TOP_K,
    LEAST_SEPARABLE_K,
)


def test_of_few_logits_noise_passes_for_certainty() -> None:
    logits = -np.sort(-np.random.default_rng(0).normal(size=(1_000, 362)), axis=1)

    def passing(k: int) -> float:
        rivals = logits[:, 1:k]
        gaps = (logits[:, 0] - rivals.mean(axis=1)) / (rivals.std(axis=1) + 1e-6)
        return float(np.mean([confidence_from_separability(g) > DEFAULT_THRESHOLD for g in gaps]))

    assert passing(2) == 1.0
    assert passing(4) > 0.2
    assert passing(LEAST_SEPARABLE_K) < 0.12
    assert passing(DEFAULT_TOP_K) < 0.03
