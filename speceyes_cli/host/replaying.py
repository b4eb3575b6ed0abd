"""What other gates, K and thresholds would have done, and which threshold can be certified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from speceyes_cli.analysis.calibration import check_levels
from speceyes_cli.analysis.certificate import Certificate, make_certificate
from speceyes_cli.analysis.certified_points import Cost, Levels, Measure, check_cost
from speceyes_cli.analysis.replay import Replayed, ReplaySetting, baseline_seconds, replay
from speceyes_cli.analysis.scores import finite_scores, require_two_classes
from speceyes_cli.analysis.table import require_both_branches
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.tables.summaries import ALL, LoadedRun, baselines_beside, find_baseline
from speceyes_cli.host.learned_gates import honest_part, take_gate_files
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import require_separable
from speceyes_cli.host.run_scores import Scores, open_table, own_choice, told_gates

PAPER_THRESHOLDS = (0.995, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94)
"""The thresholds of the paper's sweep."""
EVERY = "all"


class ReplayedRun(NamedTuple):
    """A both-branches run, ready to be replayed."""

    run: LoadedRun
    scores: Scores
    measured: LoadedRun | None
    """The baseline run beside it."""
    baseline: list[float | None]
    """What the agent alone costs each sample, in seconds."""


def open_replay(folder: Path, host: Host) -> ReplayedRun:
    """A run of both branches; `DataError` or `UsageError` for any other folder.

    Where the host has learned gates, of the samples that they were not fitted on.
    """
    run, table = open_table(folder)
    require_both_branches(table)
    table = honest_part(run, table, host)
    measured = find_baseline(run, baselines_beside(run))
    return ReplayedRun(run, Scores(table, host), measured, baseline_seconds(table, measured))


def choices(
    scores: Scores,
    gates: Sequence[str] | None,
    top_ks: Sequence[int] | None,
    thresholds: Sequence[float] | None,
) -> list[ReplaySetting]:
    """Every combination named, the run's own where none is; `UsageError` for one out of reach."""
    own = own_choice(scores.table)
    for threshold in thresholds or ():
        if not 0 <= threshold <= 1:
            raise UsageError(f"--threshold is a confidence from 0 to 1, not {threshold:g}.")
    if gates and EVERY in gates:
        gates = told_gates(scores.table, scores.host)
    bars = dict.fromkeys(thresholds or sorted({*PAPER_THRESHOLDS, own.threshold}, reverse=True))
    choices = [
        ReplaySetting(gate, top_k, threshold)
        for gate in dict.fromkeys(gates or [own.gate])
        for top_k in dict.fromkeys(top_ks or [scores.usual_k(gate)])
        for threshold in bars
    ]
    for choice in choices:
        if top_ks:
            require_separable(scores.host.gates.get(choice.gate), choice.top_k)
        scores.of(choice.gate, choice.top_k)
    return choices


def replay_choices(
    scores: Scores,
    baseline: Sequence[float | None],
    wanted: Sequence[ReplaySetting],
    splits: Sequence[str] = (ALL,),
    measured: LoadedRun | None = None,
) -> list[Replayed]:
    """What each choice would have done on each split that has samples.

    `measured` is the run that `baseline` comes from: cached calls of it mark every row.
    """
    table = scores.table
    cached = measured is not None and bool(measured.columns.cached_seconds.any())
    rows = [
        replay(table, scores.of(choice.gate, choice.top_k), choice, baseline, split)
        for choice in wanted
        for split in splits
        if split == ALL or any(sample.split == split for sample in table.samples)
    ]
    return [row.model_copy(update={"cached": True}) for row in rows] if cached else rows


def certify(
    folder: Path,
    levels: Levels,
    host: Host,
    gates: Sequence[str] = (),
    top_k: int | None = None,
    cost: Cost | None = None,
) -> Certificate:
    """The threshold that accepts most, or costs least, of those whose harm is bounded.

    From a run of both branches. Gate and K are the run's own where none is named; "all" gates are
    every one that the run's records can tell, and a learned gate is named by its file: it is
    certified on samples that it was not fitted on. Raises `UsageError` or `DataError`.
    """
    for max_loss in levels.max_losses:
        check_levels(max_loss, levels.risk)
    if cost is not None:
        check_cost(cost)
    named, host = take_gate_files(list(dict.fromkeys(gates)), host)
    loaded, table = open_table(folder)
    require_both_branches(table)
    table = honest_part(loaded, table, host)
    require_two_classes(table, [bool(sample.draft_right) for sample in table.samples])
    scores = Scores(table, host)
    every = EVERY in named
    wanted = told_gates(table, host) if every else named or [own_choice(table).gate]
    candidates: dict[Measure, Sequence[float]] = {}
    for gate in wanted:
        measure = Measure(gate, top_k or scores.usual_k(gate))
        if top_k is not None:
            require_separable(host.gates.get(gate), top_k)
        values = scores.of(*measure)
        try:
            finite_scores(table, values, gate)
        except DataError:
            if not every:
                raise
            continue
        candidates[measure] = values
    if not candidates:
        raise DataError(f"{table.run} has no gate that tells its drafts apart.")
    levels = levels._replace(max_losses=tuple(dict.fromkeys(levels.max_losses)))
    return make_certificate(loaded, table, candidates, levels, cost, host.learned)
