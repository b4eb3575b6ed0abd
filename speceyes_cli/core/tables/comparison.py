"""A run beside its baseline, sample by sample: time saved, and answers gained and lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from speceyes_cli.core.judging.verdicts import ERROR
from speceyes_cli.core.run.records import Record, VerdictNote
from speceyes_cli.core.tables.intervals import (
    Interval,
    clustered_share,
    mcnemar,
    paired_speedup,
    wilson,
)

MIN_CLUSTERS = 10
"""With fewer, resampling clusters tells nothing."""


class Pair(NamedTuple):
    """One sample that both runs answered."""

    before: Record
    after: Record


class NetBenefit(NamedTuple):
    """Accepted samples by who was right; None where the agent's answer is unknown."""

    both_right: int | None = None
    both_wrong: int | None = None
    gain: int | None = None
    """The draft alone was right."""
    harm: int | None = None
    """The agent alone would have been right."""


def paired(before: Sequence[Record], after: Sequence[Record]) -> list[Pair]:
    """The samples that both answered, in the order of `after`."""
    known = {(record.split, record.sample_id): record for record in before if not record.error}
    return [
        Pair(known[record.split, record.sample_id], record)
        for record in after
        if not record.error and (record.split, record.sample_id) in known
    ]


def speedup_of(pairs: Sequence[Pair]) -> Interval | None:
    """The baseline's mean seconds over the run's; clusters are drawn whole where there are any."""
    return paired_speedup(
        [pair.before.seconds for pair in pairs],
        [pair.after.seconds for pair in pairs],
        _clusters([pair.after for pair in pairs]),
    )


def mcnemar_of(pairs: Sequence[Pair]) -> float | None:
    """McNemar's p that both are right equally often; None without samples that both judged."""
    both = [pair for pair in pairs if is_judged(pair.before) and is_judged(pair.after)]
    if not both:
        return None
    return mcnemar([is_right(p.before) for p in both], [is_right(p.after) for p in both])


def net_benefit(records: Sequence[Record], pairs: Sequence[Pair]) -> NetBenefit:
    """Accepted samples by who was right; the agent's own branch counts before the baseline's."""
    baseline = {(p.after.split, p.after.sample_id): p.before for p in pairs}
    counts = {(True, True): 0, (False, False): 0, (True, False): 0, (False, True): 0}
    known = False
    for record in records:
        if record.draft is None or not record.draft.accepted or not is_judged(record):
            continue
        agent = _agents_verdict(record, baseline.get((record.split, record.sample_id)))
        if agent is not None:
            known = True
            counts[is_right(record), agent.right is True] += 1
    if not known:
        return NetBenefit()
    return NetBenefit(
        counts[True, True], counts[False, False], counts[True, False], counts[False, True]
    )


def accuracy_of(records: Sequence[Record]) -> Interval | None:
    """The share of right answers: Wilson's interval, or by clusters where samples share them."""
    right = [is_right(record) for record in records]
    clusters = _clusters(records)
    if clusters is None:
        return wilson(sum(right), len(right))
    if sum(right) in (0, len(right)):  # resampling would find no spread at all
        count = len(set(clusters))
        return wilson(count if right[0] else 0, count)
    return clustered_share(right, clusters)


def is_right(record: Record) -> bool:
    """Whether the answer was found right; undecided is not."""
    return record.verdict is not None and record.verdict.right is True


def is_judged(record: Record) -> bool:
    """Whether there is an answer on which no judge failed."""
    failed = record.verdict is not None and record.verdict.provenance == ERROR
    return record.error is None and not failed


def _agents_verdict(record: Record, before: Record | None) -> VerdictNote | None:
    if "large" in record.branches:
        verdict = record.branches["large"].verdict
        return None if verdict.provenance == ERROR else verdict
    return before.verdict if before is not None and is_judged(before) else None


def _clusters(records: Sequence[Record]) -> list[str] | None:
    """A cluster for each record; None where no two share one, or there are too few."""
    names = list(_names(records))
    distinct = len(set(names))
    return names if MIN_CLUSTERS <= distinct < len(names) else None


def _names(records: Sequence[Record]) -> Iterator[str]:
    for place, record in enumerate(records):
        yield f"alone {place}" if record.cluster is None else f"cluster {record.cluster}"
