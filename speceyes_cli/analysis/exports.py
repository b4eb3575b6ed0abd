"""How well each gate tells right drafts from wrong ones, from upstream's exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.analysis.confidence import GateAnalysis, GateFigures, analyze_gate
from speceyes_cli.analysis.scores import finite_scores
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.tables.upstream.confidences import Export, GateScores


class ExportAnalysis(NamedTuple):
    """One export under every gate that it holds."""

    export: Export
    gates: dict[str, GateAnalysis]
    """Of all splits together."""
    splits: dict[str, list[GateFigures]]
    left_out: dict[str, str]
    """Splits without figures, and why."""


class _Named(NamedTuple):
    run: str


def analyze_export(export: Export) -> ExportAnalysis:
    """Every gate's figures; `DataError` when none tells drafts apart, or all are right or wrong."""
    gates = _analyze(export.run, list(export.splits.values()))
    found = ExportAnalysis(export, gates, {}, {})
    if len(export.splits) > 1:
        for split, scores in export.splits.items():
            try:
                analyzed = _analyze(f"{export.run}, {split}", [scores])
                found.splits[split] = [one.figures for one in analyzed.values()]
            except DataError as error:
                found.left_out[split] = str(error)
    return found


def _analyze(run: str, parts: Sequence[Mapping[str, GateScores]]) -> dict[str, GateAnalysis]:
    """The gates that every part holds; one that gives all drafts one score is left out.

    Raises `DataError` when no gate is left.
    """
    names = [name for name in parts[0] if all(name in part for part in parts)]
    analyzed = {}
    useless: DataError | None = None
    for name in names:
        wrong = [value for part in parts for value in part[name].wrong]
        right = [value for part in parts for value in part[name].right]
        verdicts = [False] * len(wrong) + [True] * len(right)
        try:
            finite_scores(_Named(run), wrong + right, name)
            analyzed[name] = analyze_gate(_Named(run), name, wrong + right, verdicts)
        except DataError as error:
            useless = useless or error
    if not analyzed:
        raise useless or DataError(f"The splits of {run} have no gate in common.")
    return analyzed
