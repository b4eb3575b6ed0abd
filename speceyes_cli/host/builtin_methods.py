"""The methods that come with the program."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.core.methods import both_branches as branches
from speceyes_cli.core.methods import policies, race
from speceyes_cli.host.hookspecs import hookimpl
from speceyes_cli.host.specs import STEP_SCORE, MethodSpec


@hookimpl
def speceyes_methods() -> Iterable[MethodSpec]:
    """Yield the methods of the paper's table."""
    yield MethodSpec(
        name="speceyes",
        policy=policies.speceyes,
        roles=("small", "large"),
        summary="screen, draft, gate; the agent only where the gate is unsure",
        both_branches=branches.both_branches,
        race=race.race,
    )
    yield MethodSpec(
        name="baseline",
        policy=policies.baseline,
        roles=("large",),
        summary="the agent alone, on every sample",
    )
    yield MethodSpec(
        name="draft",
        policy=policies.draft,
        roles=("small",),
        summary="the small model alone, on every sample",
    )
    yield MethodSpec(
        name="specreason",
        policy=policies.specreason,
        roles=("small", "large"),
        summary="the small model proposes each step, the large one scores it and rewrites bad ones",
        bar=STEP_SCORE,
    )
