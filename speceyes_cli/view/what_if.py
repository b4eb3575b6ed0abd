"""What a both-branches run would have done at any threshold, ready for a slider."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speceyes_cli.analysis.branches import Branches, sweep
from speceyes_cli.analysis.calibration import gather_units, grid
from speceyes_cli.analysis.certified_points import judged_samples
from speceyes_cli.analysis.loss_bounds import loss_bounds
from speceyes_cli.analysis.replay import ReplaySetting, branches_of
from speceyes_cli.analysis.scores import largest_k
from speceyes_cli.core.tables.intervals import Interval, usable_clusters, wilson
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import require_separable
from speceyes_cli.host.replaying import open_replay
from speceyes_cli.host.run_scores import Scores, own_choice, told_gates

RISKS = (0.1, 0.05, 0.01)
"""Chances, offered to the reader, that a certificate's promise is broken; its default first."""
OFFERED_K = (8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One both-branches run; the gates' scores are reckoned when first wanted, and kept."""

    scores: Scores
    branches: Branches
    own: ReplaySetting
    gates: tuple[str, ...]
    """Gates that can be told from the run's records."""
    top_ks: tuple[int, ...]
    """K that can be told from them, the run's own among them."""
    measured: str | None
    """The baseline run that the speedup is over; None: the run's own agent phase."""

    def curve(self, gate: str, top_k: int, risk: float) -> dict[str, Any]:
        """What every threshold of the certificate's grid does, loosest first.

        Shares are 0 to 1; the bounds of accuracies are None where samples share clusters. Raises
        `UsageError` for a gate or K that the records cannot tell.
        """
        if top_k != self.own.top_k:
            require_separable(self.scores.host.gates.get(gate), top_k)
        values = self.scores.of(gate, top_k)
        thresholds = sorted({*grid(), self.own.threshold})
        found = sweep(self.branches, values, thresholds)
        n = len(values)
        accuracies = self._intervals(found.right.tolist(), n)
        return {
            "n": n,
            "threshold": thresholds,
            "coverage": _shares(found.accepted, n),
            "accuracy": _shares(found.right, n),
            "accuracy_low": [share and share.low for share in accuracies],
            "accuracy_high": [share and share.high for share in accuracies],
            "gain": _shares(found.gain, n),
            "harm": _shares(found.harm, n),
            "speedup": [
                float(before / after) if after > 0 else None
                for before, after in zip(found.before, found.after, strict=True)
            ],
            "bound": loss_bounds(
                gather_units(judged_samples(self.scores.table.samples, values)), thresholds, risk
            ),
            "agent_accuracy": int(self.branches.agent_right.sum()) / n,
            "draft_accuracy": int(self.branches.draft_right.sum()) / n,
        }

    def _intervals(self, right: list[int], n: int) -> list[Interval | None]:
        """Of each count of right answers; none where samples share clusters, which takes longer."""
        if usable_clusters([sample.cluster for sample in self.scores.table.samples]):
            return [None] * len(right)
        return [wilson(count, n) for count in right]


def open_what_if(folder: Path, host: Host) -> WhatIf:
    """A both-branches run; `DataError` for any other."""
    opened = open_replay(folder, host)
    table = opened.scores.table
    gates, most = told_gates(table, host), largest_k(table)
    own = own_choice(table)
    if own.gate not in gates:  # a learned one, whose file was not named
        own = own._replace(gate=gates[0])
    reached = [k for k in OFFERED_K if most is not None and k <= most]
    return WhatIf(
        scores=opened.scores,
        branches=branches_of(table.samples, opened.baseline),
        own=own,
        gates=tuple(gates),
        top_ks=tuple(sorted({*reached, own.top_k})),
        measured=opened.measured.info.name if opened.measured is not None else None,
    )


def _shares(counts: Any, n: int) -> list[float]:
    return [float(share) for share in counts / n]
