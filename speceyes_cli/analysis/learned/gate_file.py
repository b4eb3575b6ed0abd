"""The file of a learned gate: its model, what it was fitted on, and what it was certified on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from speceyes_cli.analysis.settings import engines_of, first_difference
from speceyes_cli.analysis.signed_files import digest_of, read_signed
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.learned import FEATURES, LogisticScore
from speceyes_cli.core.run.info import identity_of_engines

MAKER = "analyze learn"
LEARNED = "learned-"
"""How the names of learned gates begin."""
NAME_DIGITS = 8
"""Hexadecimal digits of the digest in a learned gate's name."""


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FittedPart(_Fields):
    """The samples that the model was fitted on."""

    samples: tuple[str, ...]
    """Their "split/id"."""
    clusters: tuple[str, ...]
    """What other samples must not share with them: the clusters that they are of."""
    pictures: tuple[str, ...]
    """The same: the first 64 bits of the digests of their pictures."""
    right: int
    """Right drafts among them."""
    wrong: int
    """Wrong ones."""


class CertifiedPart(_Fields):
    """The samples that the threshold was certified on; none shares a cluster or picture above."""

    samples: tuple[str, ...]
    """Their "split/id"."""
    max_loss: float
    """The bound ε on P(accepted, the agent right, the draft wrong)."""
    risk: float
    """The chance δ that it is broken."""
    threshold: float | None
    """The certified threshold; None: none that accepts a draft could be certified."""
    coverage: float
    """Share of these samples that it accepts."""
    n: int
    """Independent units tested."""
    harmful: int
    """Harmful ones among them at the threshold."""
    p_value: float | None
    """Bound on the chance of so little harm if harm were at the bound."""


class GateClaim(_Fields):
    """All that the file says; its digest covers every field."""

    kind: Literal["speceyes-learned-gate"] = "speceyes-learned-gate"
    """What this file is."""
    schema_version: Literal[1] = 1
    """Version of this layout."""
    created: str
    """When it was made, ISO 8601 in UTC."""
    program: str
    """The version of speceyes."""
    run: str
    """The both-branches run it was fitted on."""
    top_k: int
    """Logits of each token that the statistics are of."""
    target: Literal["the draft is right"] = "the draft is right"
    """What the confidence is the chance of."""
    intercept: float
    """The log-odds at features of zero."""
    coefficients: dict[str, float]
    """The change of the log-odds with each feature."""
    left_out: tuple[str, ...]
    """Features that were the same in every fitted draft, or that the run's engine does not give."""
    penalty: float
    """Half of it times the sum of squared standardised coefficients was added to the loss."""
    fitted: FittedPart
    certified: CertifiedPart
    engine: dict[str, Any]
    """The small model's engine, model and revision."""
    data: dict[str, str | None]
    """The dataset's fingerprint by split."""

    @field_validator("coefficients")
    @classmethod
    def _known_features(cls, coefficients: dict[str, float]) -> dict[str, float]:
        strange = [name for name in coefficients if name not in FEATURES]
        if strange or not coefficients:
            raise ValueError(f"there is no feature {strange[0]!r}" if strange else "no feature")
        falling = [
            name for name, value in coefficients.items() if value < 0 and FEATURES[name].monotone
        ]
        if falling:
            raise ValueError(f"{falling[0]} has a coefficient below 0")
        return coefficients


class LearnedGate(GateClaim):
    """A claim and its digest."""

    digest: str
    """SHA-256 of all other fields."""

    @property
    def name(self) -> str:
        """The gate's name in runs and tables: another file has another one."""
        return f"{LEARNED}{self.digest[:NAME_DIGITS]}"

    @property
    def score(self) -> LogisticScore:
        """The draft's confidence from its tokens' statistics."""
        return LogisticScore(self.intercept, self.coefficients)


def sign_gate(claim: GateClaim) -> LearnedGate:
    """The claim with its digest."""
    return LearnedGate(**claim.model_dump(), digest=digest_of(json.loads(claim.model_dump_json())))


def read_gate(path: Path) -> LearnedGate:
    """The gate; `DataError` when there is none, or it is damaged or was edited."""
    return read_signed(path, LearnedGate, "learned gate", MAKER)


def require_gate_engine(gate: LearnedGate, engines: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `UsageError` when a run's small model is not the one whose drafts taught the gate.

    An engine that did not describe itself yet is let pass.
    """
    if "small" not in engines:
        return
    then, now = (
        identity_of_engines(engines_of({"small": engine}))
        for engine in (gate.engine, engines["small"])
    )
    found = first_difference(then["small"], now["small"])
    if found is not None:
        found = found.replace("(then ", "(fitted on: ").replace(", now ", ", here: ")
        raise UsageError(
            f"The gate {gate.name} was fitted on drafts of another engine: small.{found}; "
            f"`{MAKER}` fits one to this run."
        )
