"""A gate learned from a run: fitted on one part of it, certified on the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from speceyes_cli.analysis.calibration import check_levels
from speceyes_cli.analysis.certified_points import CertifiedPoint, Levels, Measure, find_points
from speceyes_cli.analysis.gate_comparison import Comparison, compare_gates
from speceyes_cli.analysis.learned.fitting import PENALTY, Example, Fitted, fit
from speceyes_cli.analysis.learned.gate_file import (
    CertifiedPart,
    FittedPart,
    GateClaim,
    LearnedGate,
    sign_gate,
)
from speceyes_cli.analysis.learned.parts import divide, key_of, part_of, picture_of
from speceyes_cli.analysis.replay import screen_passed
from speceyes_cli.analysis.scores import acceptable, confidences, given
from speceyes_cli.analysis.settings import data_of, engines_of
from speceyes_cli.analysis.table import ScoredSample, ScoreTable, require_both_branches
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.defaults import DEFAULT_TOP_K
from speceyes_cli.core.gate.learned import LogisticScore
from speceyes_cli.core.gate.token import within
from speceyes_cli.core.run.info import library_versions
from speceyes_cli.core.tables.summaries import LoadedRun
from speceyes_cli.host.manager import Host
from speceyes_cli.host.run_scores import Scores, open_table, told_gates

FITTED_SHARE = 0.5
NEW = "the new gate"
"""The gate's name until its file has a digest."""


class Learned(NamedTuple):
    """A new gate, and how it does on the part it was not fitted on."""

    gate: LearnedGate
    comparisons: list[Comparison]
    """Beside every other gate, on the part that it was certified on."""
    uncertified: str | None
    """Why no threshold is certified; None: one is."""


def learn(folder: Path, max_loss: float, risk: float, share: float, host: Host) -> Learned:
    """Fit a gate on about this share of the run's samples and certify a threshold on the rest.

    Samples that share a cluster or a picture are in the same part. Raises `UsageError` for levels
    and shares that are none, and `DataError` for a run without both branches, with too few right or
    wrong drafts, or with drafts that no feature tells apart.
    """
    check_levels(max_loss, risk)
    if not 0 < share < 1:
        raise UsageError(f"--fit-share is a share between 0 and 1, not {share:g}.")
    run, table = open_table(folder)
    require_both_branches(table)
    parts = divide(table.samples, share)
    if not parts.held:
        raise DataError(
            f"All samples of {table.run} share pictures or clusters, so that none is left to "
            "certify on."
        )
    fitted_on, held = part_of(table, parts.fitted), part_of(table, parts.held)
    top_k = table.config.top_k or DEFAULT_TOP_K
    model = fit(examples_of(fitted_on), given(table), f"the first part of {table.run}")
    score = LogisticScore(model.intercept, model.coefficients)
    values = acceptable(held, confidences(held, score, top_k))
    measure = Measure(NEW, top_k)
    point, uncertified = None, None
    try:
        [point] = find_points(held, {measure: values}, Levels((max_loss,), risk))
    except DataError as error:
        uncertified = str(error)
    certified = _certified_part(held, max_loss, risk, point)
    gate = sign_gate(_claim(run, (table, fitted_on), model, certified))
    scores = Scores(held, host)
    compared = {gate.name: values}
    compared |= {name: scores.of(name, top_k) for name in told_gates(held, host)}
    return Learned(gate, compare_gates(held, gate.name, compared), uncertified)


def examples_of(table: ScoreTable) -> list[Example]:
    """The drafts that a gate would be asked about: complete, and let on by the screen."""
    k = table.config.top_k or DEFAULT_TOP_K
    return [
        Example(within(sample.draft.tokens, k), bool(sample.draft_right))
        for sample in table.samples
        if sample.draft is not None and sample.draft.complete and screen_passed(sample)
    ]


def _claim(
    run: LoadedRun, tables: tuple[ScoreTable, ScoreTable], model: Fitted, certified: CertifiedPart
) -> GateClaim:
    table, fitted_on = tables
    samples = fitted_on.samples
    return GateClaim(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        program=library_versions()["speceyes"],
        run=table.run,
        top_k=table.config.top_k or DEFAULT_TOP_K,
        intercept=model.intercept,
        coefficients=dict(model.coefficients),
        left_out=model.left_out,
        penalty=PENALTY,
        fitted=FittedPart(
            samples=_keys(samples),
            clusters=tuple(sorted({sample.cluster for sample in samples})),
            pictures=tuple(sorted({p for s in samples if (p := picture_of(s)) is not None})),
            right=model.right,
            wrong=model.wrong,
        ),
        certified=certified,
        engine=engines_of(run.info.engines).get("small", {}),
        data=data_of(table.config),
    )


def _certified_part(
    held: ScoreTable, max_loss: float, risk: float, point: CertifiedPoint | None
) -> CertifiedPart:
    return CertifiedPart(
        samples=_keys(held.samples),
        max_loss=max_loss,
        risk=risk,
        threshold=point.threshold if point else None,
        coverage=point.coverage if point else 0.0,
        n=point.n if point else len({sample.cluster for sample in held.samples}),
        harmful=point.harmful if point else 0,
        p_value=point.p_value if point else None,
    )


def _keys(samples: Sequence[ScoredSample]) -> tuple[str, ...]:
    return tuple(sorted(key_of(sample) for sample in samples))
