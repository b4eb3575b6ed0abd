"""Learned gates: a file's gate joins those that plugins offer, for one command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from speceyes_cli.analysis.learned.gate_file import LearnedGate, read_gate, require_gate_engine
from speceyes_cli.analysis.learned.parts import unseen
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.tables.summaries import LoadedRun
from speceyes_cli.host.manager import Host
from speceyes_cli.host.offers import Source
from speceyes_cli.host.specs import GateSpec


def take_gate_files(names: Sequence[str], host: Host) -> tuple[list[str], Host]:
    """The gates by name, each file's gate by its own, and a host that knows them.

    What has a folder in it or ends in .json is a file. Raises `DataError` for a file that is none.
    """
    found = []
    for name in names:
        if name not in host.gates.specs and (os.sep in name or name.endswith(".json")):
            gate = read_gate(Path(name))
            host = add_learned(gate, host)
            found.append(gate.name)
        else:
            found.append(name)
    return found, host


def add_learned(gate: LearnedGate, host: Host) -> Host:
    """The host with this gate among its own."""
    spec = GateSpec(gate.name, gate.score, f"learned from {gate.run}", needs=gate.score.needs)
    gates = host.gates
    known = replace(
        gates,
        specs={**gates.specs, spec.name: spec},
        sources={**gates.sources, spec.name: Source(spec.name, "a file of `analyze learn`")},
    )
    return replace(host, gates=known, learned={**host.learned, gate.name: gate})


def honest_part(run: LoadedRun, table: ScoreTable, host: Host) -> ScoreTable:
    """The samples that none of the host's learned gates was fitted on.

    Raises `UsageError` when the run's small model is not theirs, and `DataError` when no sample is
    left or a picture is shared.
    """
    for gate in host.learned.values():
        require_gate_engine(gate, run.info.engines)
        table = unseen(table, gate)
    return table
