"""The methods that come with the program."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.core import branches, policies
from speceyes_cli.host.hookspecs import hookimpl
from speceyes_cli.host.specs import MethodSpec


@hookimpl
def speceyes_methods() -> Iterable[MethodSpec]:
    """Yield the paper's method and its two ends."""
    yield MethodSpec(
        name="speceyes",
        policy=policies.speceyes,
        roles=("small", "large"),
        summary="screen, draft, gate; the agent only where the gate is unsure",
        both_branches=branches.both_branches,
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
