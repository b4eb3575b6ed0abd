"""What a user should know before believing an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speceyes_cli.core.run.records import Record
from speceyes_cli.core.text import one_line
from speceyes_cli.host.planning.models import Load
from speceyes_cli.host.planning.options import RunOptions

MOST_FAILURES = 3


def toy_note(loads: Iterable[Load], dataset: str | None) -> str | None:
    """A word about the embedded models on pictures that they know nothing of."""
    toys = [load for load in loads if load.options.model == RunOptions.models]
    if not toys or dataset == RunOptions.dataset:
        return None
    return (
        f"The {RunOptions.models} models know nothing but the drawings of {RunOptions.dataset}: "
        "what they say of other pictures means nothing. --small and --large name real models, "
        "--models paper the published ones."
    )


def failure_notes(records: Sequence[Record], dataset: str) -> list[str]:
    """The first failures with their reasons, and where the others are told."""
    failed = [(record, record.error) for record in records if record.error is not None]
    if not failed:
        return []
    lines = [
        f"  {record.split}/{record.sample_id}: {one_line(error.text) or error.kind}"
        for record, error in failed[:MOST_FAILURES]
    ]
    if len(failed) > MOST_FAILURES:
        lines.append(f"  and {len(failed) - MOST_FAILURES} more; records.jsonl tells all")
    told = f"{len(failed)} of {len(records)} samples failed; --retry-errors tries them again."
    return [f"{told} `speceyes data check {dataset}` looks at the data alone.", *lines]
