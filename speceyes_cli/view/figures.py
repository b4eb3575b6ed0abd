"""A run's figures as `speceyes gather` has them, from its record index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from speceyes_cli.core.judging.verdicts import ERROR
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.records import BranchNote, DraftNote, ErrorNote, Record, VerdictNote
from speceyes_cli.core.tables.summaries import LoadedRun
from speceyes_cli.view.record_index import (
    ABSENT,
    FAILED,
    NONE,
    RIGHT,
    ROUTES,
    ROW,
    UNDECIDED,
    RecordIndex,
)

_FAILED = ErrorNote(kind="", text="", phase=None)
_FIELDS = ROW.names or ()


def loaded_run(folder: Path, info: RunInfo, index: RecordIndex) -> LoadedRun:
    """The run with what tables read of each record: no texts, messages, calls or tokens.

    The records are in the order in which the store gives them, so that figures which draw samples
    at random draw the same ones.
    """
    order = in_order(info, index)
    splits, provenances = index.split_names, list(index.provenances)
    clusters = list(index.clusters)
    phases = list(index.phases)
    records = []
    for place, row, seconds in zip(
        order, index.rows[order].tolist(), index.phase_seconds[order].tolist(), strict=True
    ):
        fields: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
        names: dict[str, Any] = {
            "sample_id": index.sample_ids[place],
            "split": splits[fields["split"]],
            "provenance": "" if fields["provenance"] == NONE else provenances[fields["provenance"]],
            "cluster": None if fields["cluster"] == NONE else clusters[fields["cluster"]],
        }
        spent = {name: s for name, s in zip(phases, seconds, strict=True) if not math.isnan(s)}
        records.append(_record(fields | names, spent))
    return LoadedRun.of(folder, info, records)


def in_order(info: RunInfo, index: RecordIndex) -> list[int]:
    """The records' places in the index, splits in the run's order, samples in the dataset's.

    As in every table, a split that the run does not name is left out.
    """
    rows, ids = index.rows, index.sample_ids
    order: list[int] = []
    for split in info.config.splits:
        found = np.flatnonzero(rows["split"] == index.splits.get(split, NONE))
        positions = rows["position"][found]
        if len(np.unique(positions)) == len(positions):
            order += found[np.argsort(positions)].tolist()
        else:
            order += sorted(found.tolist(), key=lambda i: (rows["position"][i], ids[i]))
    return order


def _record(row: dict[str, Any], seconds: dict[str, float]) -> Record:
    failed = ROUTES[row["route"]] == "error"
    return Record.model_construct(
        sample_id=row["sample_id"],
        split=row["split"],
        position=row["position"],
        question="",
        options=(),
        answer="" if row["truth"] else None,
        category=None,
        cluster=row["cluster"],
        meta={},
        route=ROUTES[row["route"]],
        text=None if failed else "",
        confidence=None,
        passed_screen=None if row["passed"] == NONE else bool(row["passed"]),
        draft=_draft(row["accepted"]),
        details={},
        verdict=_verdict(row["right"], row["provenance"]),
        branches=_branches(row["small_right"], row["large_right"]),
        error=_FAILED if failed else None,
        calls=(),
        tools=(),
        messages={},
        small_tokens=row["small_tokens"],
        large_tokens=row["large_tokens"],
        phase_seconds=seconds,
        seconds=row["seconds"],
        cached_seconds=row["cached"],
        elapsed=0.0,
    )


@cache
def _draft(accepted: int) -> DraftNote | None:
    if accepted == NONE:
        return None
    return DraftNote(
        text="",
        accepted=bool(accepted),
        confidence=None,
        tokens=(),
        tied_tokens=0,
        lowest_margin=None,
        lowest_probability=None,
    )


@cache
def _branches(*codes: int) -> dict[str, BranchNote]:
    verdicts: Sequence[VerdictNote | None] = [_verdict(code, "") for code in codes]
    return {
        role: BranchNote(text="", verdict=verdict)
        for role, verdict in zip(("small", "large"), verdicts, strict=True)
        if verdict is not None
    }


@cache
def _verdict(code: int, provenance: str) -> VerdictNote | None:
    if code == ABSENT:
        return None
    right = None if code in (FAILED, UNDECIDED) else code == RIGHT
    return VerdictNote(right=right, provenance=ERROR if code == FAILED else provenance)
