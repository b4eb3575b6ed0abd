"""The drafts of a run beside its records: every gate's score and every token."""

from __future__ import annotations

from pathlib import Path

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.draft_export import draft_lines
from speceyes_cli.core.run.info import write_atomically
from speceyes_cli.core.run.store import DRAFTS
from speceyes_cli.core.tables.summaries import LoadedRun
from speceyes_cli.host.gate_scores import defined
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import works_on
from speceyes_cli.host.planning.plans import RunPlan
from speceyes_cli.host.specs import GateSpec


def export_drafts(run: LoadedRun, plan: RunPlan, host: Host) -> Path:
    """Write the drafts as JSON lines into the run's folder; `DataError` when that cannot be."""
    scores = {gate.name: defined(gate.score) for gate in host.gates if told_by(gate, plan)}
    path = run.folder / DRAFTS
    try:
        write_atomically(path, draft_lines(run.records, scores))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from None
    return path


def told_by(gate: GateSpec, plan: RunPlan) -> bool:
    """Whether the run's drafts hold what the gate needs; rivals only where its own gate does."""
    kept = plan.recipe.gate.kept or "rivals" not in gate.needs
    return bool(kept) and works_on(gate, plan.loads["small"].spec)
