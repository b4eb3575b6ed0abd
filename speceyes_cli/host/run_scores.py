"""What every analysis reads: run folders, and the gates by name."""

from __future__ import annotations

import math
from pathlib import Path

from speceyes_cli.analysis.gate_comparison import Comparison, compare_gates
from speceyes_cli.analysis.learned.gate_file import LEARNED, LearnedGate
from speceyes_cli.analysis.replay import ReplaySetting
from speceyes_cli.analysis.scores import Score, acceptable, confidences, given
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.defaults import DEFAULT_THRESHOLD, DEFAULT_TOP_K
from speceyes_cli.core.tables.summaries import (
    LoadedRun,
    load_run,
)
from speceyes_cli.host.gate_scores import defined
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import GateSpec


def open_table(folder: Path) -> tuple[LoadedRun, ScoreTable]:
    """One run and its table; `DataError` when the folder is no run or holds no answer."""
    run = load_run(folder)
    return run, read_table(run)


def all_scores(table: ScoreTable, host: Host) -> dict[str, Score]:
    """Every gate's score by name; undefined for a gate that the run's records cannot tell.

    Raises `UsageError` for a learned gate of another K than the run's.
    """
    told = told_gates(table, host)
    for gate in host.learned.values():
        require_k(gate, table.config.top_k)
    return {
        spec.name: defined(spec.score) if spec.name in told else lambda _tokens: math.nan
        for spec in host.gates
    }


def require_k(gate: LearnedGate, top_k: int | None) -> None:
    """Raise `UsageError` for another K than the gate's own, of which its features are."""
    if top_k != gate.top_k:
        raise UsageError(f"The gate {gate.name} was fitted at K = {gate.top_k}, not {top_k}.")


def told_gates(table: ScoreTable, host: Host) -> list[str]:
    """The gates that need no statistic but those that the run's records hold."""
    known = set(given(table))
    return [spec.name for spec in host.gates if known >= set(spec.needs)]


class Scores:
    """The run's acceptable confidences by gate and K, each reckoned once."""

    def __init__(self, table: ScoreTable, host: Host) -> None:
        self.table = table
        self.host = host
        self._given = set(given(table))
        self._known: dict[tuple[str, int], list[float]] = {}

    def of(self, gate: str, top_k: int) -> list[float]:
        """In the table's order; `UsageError` for an unknown gate or a K out of reach."""
        if (gate, top_k) not in self._known:
            if gate.startswith(LEARNED) and gate not in self.host.gates.specs:
                raise UsageError(f"The gate {gate} was learned; name its file by --gate FILE.")
            spec = self.host.gates.get(gate)
            self._require(spec, top_k)
            rivals = "rivals" in spec.needs
            found = acceptable(
                self.table, confidences(self.table, spec.score, top_k, rivals=rivals)
            )
            self._known[gate, top_k] = found
        return self._known[gate, top_k]

    def usual_k(self, gate: str) -> int:
        """The K of a gate where none is named: a learned gate's own, else the run's."""
        learned = self.host.learned.get(gate)
        return own_choice(self.table).top_k if learned is None else learned.top_k

    def _require(self, spec: GateSpec, top_k: int) -> None:
        learned = self.host.learned.get(spec.name)
        if learned is not None:
            require_k(learned, top_k)
        lacking = [name for name in spec.needs if name not in self._given]
        if lacking:
            others = ", ".join(told_gates(self.table, self.host)) or "none"
            raise UsageError(
                f"The gate {spec.name} needs the statistic {', '.join(lacking)} of each token, "
                f"which {self.table.run} does not hold; gates that can be told from it: {others}."
            )


def own_choice(table: ScoreTable) -> ReplaySetting:
    """The gate, K and threshold the run itself had."""
    config = table.config
    threshold = DEFAULT_THRESHOLD if config.threshold is None else config.threshold
    return ReplaySetting(config.gate or "min", config.top_k or DEFAULT_TOP_K, threshold)


def compare_learned(scores: Scores) -> list[list[Comparison]]:
    """Each learned gate of the host beside every other gate that the run's records can tell."""
    if not scores.host.learned:
        return []
    names = dict.fromkeys([*told_gates(scores.table, scores.host), *scores.host.learned])
    values = {name: scores.of(name, scores.usual_k(name)) for name in names}
    return [compare_gates(scores.table, learned, values) for learned in scores.host.learned]
