"""What becomes of a draft that a tie decided."""

from __future__ import annotations

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.defaults import ACCEPT, REJECT
from speceyes_cli.host.planning.options import RunOptions


def choose_tie_policy(options: RunOptions) -> str:
    """What becomes of tied drafts: named, or rejected but with the paper's own code."""
    policy = options.tie_policy or (REJECT if options.parity is None else ACCEPT)
    if policy not in (ACCEPT, REJECT):
        raise UsageError(f"--tie-policy is {ACCEPT} or {REJECT}, not {policy}.")
    return policy
