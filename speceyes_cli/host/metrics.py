"""A dataset's own figures, beside the ones every run has."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from speceyes_cli.core.errors import PluginError
from speceyes_cli.core.run.columns import UNKNOWN, YES, Columns
from speceyes_cli.core.tables.summaries import ALL, LoadedRun, SummaryRow
from speceyes_cli.host.specs import DatasetSpec, Scored

log = logging.getLogger(__name__)


def add_metrics(
    rows: Sequence[SummaryRow], run: LoadedRun, dataset: DatasetSpec | None
) -> list[SummaryRow]:
    """The rows with the dataset's figures; unchanged when it has none or is not installed."""
    if dataset is None or dataset.metrics is None:
        return list(rows)
    columns = run.columns
    samples = [scored(columns, place) for place in range(len(columns))]
    try:
        found = [
            dict(
                dataset.metrics([samples[place] for place in columns.places(_split(row)).tolist()])
            )
            for row in rows
        ]
    except PluginError as error:  # the other figures are none the worse
        log.warning("speceyes: %s", error)
        return list(rows)
    return [
        row.model_copy(update={"metrics": figures})
        for row, figures in zip(rows, found, strict=True)
    ]


def scored(columns: Columns, place: int) -> Scored:
    """A record as a dataset's metrics see it."""
    right = columns.right[place]
    return Scored(
        sample_id=columns.sample_id[place],
        split=columns.split[place],
        category=columns.category[place],
        cluster=columns.cluster[place],
        text=columns.text[place],
        answer=columns.answer[place],
        right=None if right == UNKNOWN else bool(right == YES),
        meta=columns.meta[place],
    )


def _split(row: SummaryRow) -> str | None:
    return None if row.split == ALL else row.split
