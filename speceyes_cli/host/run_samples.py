"""The samples of a finished run, opened from its dataset as the run opened them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.info import RunConfig
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.text import writable
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import DataSource

GONE = "The dataset no longer holds this sample."


def open_run_split(config: RunConfig, host: Host, split: str) -> Iterable[Sample]:
    """A split in the order in which the run saw it; `DataError` when its data are others now."""
    spec = host.datasets.get(config.dataset)
    source = DataSource(config.data, config.option_order)
    spec.check(split, source)
    then, now = config.data_fingerprint.get(split), spec.fingerprint(split, source)
    if then != now:
        raise DataError("the dataset is no longer what it was when the run was made.")
    return spec.open(split, source)


def find_sample(config: RunConfig, host: Host, key: tuple[str, str], position: int) -> Sample:
    """The sample at a place of its split; `DataError` when it is no longer there."""
    split, sample_id = key
    for sample in islice(open_run_split(config, host, split), position, position + 1):
        if writable(sample.id) == sample_id:
            return sample
    raise DataError(GONE)
