"""A learned gate that nothing was fitted for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speceyes_cli.analysis.learned.gate_file import (
    CertifiedPart,
    FittedPart,
    GateClaim,
    LearnedGate,
    sign_gate,
)
from speceyes_cli.analysis.learned.parts import key_of, picture_of
from speceyes_cli.analysis.settings import data_of
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from tests.run_config import CONFIG

ENGINE = {"engine": "scripted", "model": "small", "revision": "1"}


def make_gate(fitted_on: ScoreTable | None = None, **changes: Any) -> LearnedGate:
    """A gate on the least margin, said to be fitted on these samples; `changes` are to fields."""
    samples: Sequence[ScoredSample] = fitted_on.samples if fitted_on else ()
    claim = GateClaim(
        created="2026-01-01T00:00:00+00:00",
        program="0",
        run="r",
        top_k=64,
        intercept=-1.0,
        coefficients={"least_margin": 0.5},
        left_out=(),
        penalty=1.0,
        fitted=FittedPart(
            samples=tuple(key_of(s) for s in samples),
            clusters=tuple({s.cluster for s in samples}),
            pictures=tuple({p for s in samples if (p := picture_of(s)) is not None}),
            right=10,
            wrong=10,
        ),
        certified=CertifiedPart(
            samples=(),
            max_loss=0.02,
            risk=0.1,
            threshold=0.75,
            coverage=0.5,
            n=200,
            harmful=0,
            p_value=0.02,
        ),
        engine=ENGINE,
        data=data_of(CONFIG),
    )
    return sign_gate(claim.model_copy(update=changes))
