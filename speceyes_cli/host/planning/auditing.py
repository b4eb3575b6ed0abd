"""Whether and how a run audits the drafts that it accepts."""

from __future__ import annotations

from speceyes_cli.analysis.watching.harm_test import check_share
from speceyes_cli.core.agents import Agent, Policy
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.methods.policies import solve
from speceyes_cli.core.run.audits import Audit
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.parity import resizing_first
from speceyes_cli.host.specs import MethodSpec


def choose_audit(options: RunOptions, method: MethodSpec) -> Audit | None:
    """The audit that is asked for; `UsageError` for a share or a method that cannot be audited."""
    if options.audit is None:
        return None
    check_share(options.audit)
    if options.both_branches:
        raise UsageError("--both-branches runs the agent for every sample: leave --audit out.")
    if method.both_branches is None:
        raise UsageError(
            f"--audit needs a method with two branches, such as speceyes; {method.name} has one."
        )
    return Audit(options.audit, resizing_first(_alone) if options.parity else _alone)


def _alone(sample: Sample, agent: Agent) -> Policy:
    return (yield from solve(sample, agent))
