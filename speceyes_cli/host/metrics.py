"""A dataset's own figures, beside the ones every run has."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from speceyes_cli.core.errors import PluginError
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.tables.summaries import ALL, LoadedRun, SummaryRow
from speceyes_cli.host.specs import DatasetSpec, Scored

log = logging.getLogger(__name__)


def add_metrics(
    rows: Sequence[SummaryRow], run: LoadedRun, dataset: DatasetSpec | None
) -> list[SummaryRow]:
    """The rows with the dataset's figures; unchanged when it has none or is not installed."""
    if dataset is None or dataset.metrics is None:
        return list(rows)
    try:
        found = [
            dict(dataset.metrics([scored(r) for r in run.records if row.split in (ALL, r.split)]))
            for row in rows
        ]
    except PluginError as error:  # the other figures are none the worse
        log.warning("speceyes: %s", error)
        return list(rows)
    return [
        row.model_copy(update={"metrics": figures})
        for row, figures in zip(rows, found, strict=True)
    ]


def scored(record: Record) -> Scored:
    """A record as a dataset's metrics see it."""
    return Scored(
        sample_id=record.sample_id,
        split=record.split,
        category=record.category,
        cluster=record.cluster,
        text=record.text,
        answer=record.answer,
        right=record.verdict.right if record.verdict else None,
        meta=record.meta,
    )
