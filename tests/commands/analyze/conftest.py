"""Run folders with right and wrong drafts, written by the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import open_store
from tests.analysis.conftest import Spec, run_of

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """write_run("runs/a", specs, change, threshold=0.9): a run folder; `change` alters records."""

    def write(
        name: str,
        specs: Sequence[Spec],
        change: Callable[[Record], Record] = lambda record: record,
        **config: Any,
    ) -> Path:
        run = run_of(specs, **config)
        with open_store(tmp_path / name, run.info, "fresh") as store:
            for record in run.records:
                store.add(change(record))
            store.export()
        return tmp_path / name

    return write
