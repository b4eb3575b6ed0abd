"""Which splits of a dataset are run, and whether their files are there."""

from __future__ import annotations

from collections.abc import Sequence

from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.host.manager import known_names
from speceyes_cli.host.specs import DatasetSpec, DataSource


def choose_splits(dataset: DatasetSpec, split: str) -> tuple[str, ...]:
    """The named split, or all but those that have to be named."""
    if split == "all":
        return tuple(name for name in dataset.splits if name not in dataset.named_only)
    if split not in dataset.splits:
        known = known_names(split, [*dataset.splits, "all"])
        raise UsageError(f"There is no split {split!r} in {dataset.name}; {known}.")
    return (split,)


def require_splits(dataset: DatasetSpec, splits: Sequence[str], source: DataSource) -> None:
    """Raise the first `DataError` of a split, with the `--split` that would run, if any would."""
    faults = {split: fault for split in splits if (fault := _fault(dataset, split, source))}
    if not faults:
        return
    fault = next(iter(faults.values()))
    there = [f"--split {split}" for split in splits if split not in faults]
    if not there:
        raise fault
    raise DataError(f"{fault} {' or '.join(there)} would run.")


def _fault(dataset: DatasetSpec, split: str, source: DataSource) -> DataError | None:
    try:
        dataset.check(split, source)
    except DataError as error:
        return error
    return None
