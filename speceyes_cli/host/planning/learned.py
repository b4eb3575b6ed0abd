"""A learned gate among a command's options: its file, its K and its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from speceyes_cli.analysis.learned.gate_file import LearnedGate, require_gate_engine
from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.defaults import DEFAULT_TOP_K
from speceyes_cli.host.learned_gates import add_learned, take_gate_files
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions


def settle_gate(
    options: RunOptions,
    host: Host,
    passed: tuple[str, ...],
    certified: LearnedGate | None = None,
) -> tuple[RunOptions, Host]:
    """The options with a gate that the host knows, where a file is named or a certificate holds it.

    A learned gate brings its K, and its certified threshold where none is named. `passed` are the
    options that the user named: `UsageError` for another K among them, `DataError` for a file that
    is no learned gate.
    """
    if certified is not None:
        host = add_learned(certified, host)
    [name], host = take_gate_files([options.gate], host)
    options = replace(options, gate=name)
    gate = host.learned.get(name)
    if gate is None:
        return options, host
    named = "top_k" in passed or options.top_k != DEFAULT_TOP_K
    if named and options.top_k != gate.top_k:
        raise UsageError(
            f"--top-k is {options.top_k}, but the gate {name} was fitted at {gate.top_k}; leave "
            "--top-k out."
        )
    threshold = gate.certified.threshold if options.threshold is None else options.threshold
    return replace(options, top_k=gate.top_k, threshold=threshold), host


def require_fitting_engines(gate: LearnedGate | None, engines: Mapping[Role, Engine]) -> None:
    """Raise `UsageError` when the loaded small model is not the one that the gate was fitted on."""
    if gate is not None:
        described: dict[str, Mapping[str, Any]] = {
            role: engine.describe() for role, engine in engines.items()
        }
        require_gate_engine(gate, described)
