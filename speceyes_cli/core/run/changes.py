"""How a run's data changed since its samples were answered, by contents, never by dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.core.digests import digest_row
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.store import Digests, RunStore, SampleKey
from speceyes_cli.core.samples import Sample

SHOWN = 5
"""Changed samples that a sentence names."""
GONE = "no longer there"


class Change(NamedTuple):
    """An answered sample that is no longer what it was."""

    key: SampleKey
    what: str
    """What changed."""

    def __str__(self) -> str:
        return f"{self.key.split}/{self.key.sample_id} ({self.what})"


def find_changes(samples: Iterable[Sample], kept: Mapping[SampleKey, Digests]) -> list[Change]:
    """The answered samples whose row or picture is another now, in the order of the data.

    A picture that can no longer be read is no change: its answer stands. `samples` are read until
    every answered one has come; one that does not come at all is a change too.
    """
    left = dict(kept)
    changes = []
    for sample in samples:
        then = left.pop(SampleKey(sample.split, sample.id), None)
        if then is not None and then.row is not None and then.row != digest_row(sample):
            changes.append(Change(SampleKey(sample.split, sample.id), "its row"))
        elif then is not None and then.picture is not None:
            now = sample.picture.digest()
            if now is not None and now != then.picture:
                changes.append(Change(SampleKey(sample.split, sample.id), "its picture"))
        if not left:
            break
    return changes + [Change(key, GONE) for key in left]


def drop_changed(
    store: RunStore, samples: Iterable[Sample], *, retry_errors: bool
) -> Sequence[Change]:
    """Take the answers of changed samples out of the run, so that they are answered again.

    Raises `DataError`, naming them, unless the user asked for it with --retry-errors, and also
    then where a sample is gone or none is left as it was: those are other data.
    """
    kept = store.digests()
    if not kept:
        return ()
    changes = find_changes(samples, kept)
    if not changes:
        return ()
    told = f"{store.folder}: of its answered samples, {tell_changes(changes)}"
    if len(changes) == len(kept) or any(change.what == GONE for change in changes):
        raise DataError(
            f"{told}. These are other data: name another folder with --out, or start again with "
            "--fresh."
        )
    if not retry_errors:
        raise DataError(
            f"{told}. --retry-errors answers them again and keeps the other "
            f"{len(kept) - len(changes)}; --fresh starts the run again."
        )
    store.drop(change.key for change in changes)
    return changes


def tell_changes(changes: Sequence[Change]) -> str:
    """How many, and the first of them by name."""
    named = ", ".join(str(change) for change in changes[:SHOWN])
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return f"{len(changes)} changed since: {named}{more}"
