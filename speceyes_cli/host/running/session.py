"""One run from its plan to its records: models loaded, samples answered, processes merged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Protocol

from speceyes_cli.analysis.certificate import require_engines
from speceyes_cli.analysis.learned.gate_file import require_gate_engine
from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.run.changes import tell_changes
from speceyes_cli.core.run.evaluate import evaluate
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.processes import Launch, merge_others, open_shared
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import RunStore, SampleKey, read_done
from speceyes_cli.core.tables.summaries import (
    LoadedRun,
    SummaryRow,
    baselines_beside,
    find_baseline,
    summarize,
)
from speceyes_cli.host.manager import Host
from speceyes_cli.host.metrics import add_metrics
from speceyes_cli.host.planning.models import Load
from speceyes_cli.host.planning.plans import RunPlan
from speceyes_cli.host.planning.rehearsal import rehearse_agent
from speceyes_cli.host.running.pool import EnginePool

log = logging.getLogger(__name__)


class RunProgress(Protocol):
    """A display of finished samples."""

    def advance(self, record: Record) -> None:
        """One more sample has ended."""


ShowProgress = Callable[[str, int | None, Sequence[str]], AbstractContextManager[RunProgress]]
"""Called with a title, the run's number of samples where known, and the routes done already."""


class RunInterrupt(KeyboardInterrupt):
    """A run was stopped from outside; what had finished is kept."""

    def __init__(self, kept: int) -> None:
        """`kept` counts the samples that have a record."""
        super().__init__(f"stopped with {kept} samples kept")
        self.kept = kept


@dataclass(frozen=True, slots=True)
class RunSession:
    """What the runs of one command or notebook share."""

    host: Host
    pool: EnginePool
    launch: Launch
    """This process among those that share the runs."""
    show: ShowProgress
    mode: Literal["resume", "fresh"] = "resume"
    announce: Callable[[str], None] = lambda _sentence: None
    """Called with what the user should know of a run that goes on."""

    def answer(self, plan: RunPlan, later: Iterable[RunPlan] = ()) -> LoadedRun:
        """Answer what the run has no record of yet; `later` are plans that may need its models.

        Raises `SpecEyesError` for what cannot be run, and `RunInterrupt` when it was stopped: the
        same plan goes on from there.
        """
        later_loads = [load for other in later for load in other.loads.values()]
        written: dict[SampleKey, Record] = {}

        def review(store: RunStore) -> None:
            if changes := plan.review(store):
                self.announce(f"Answered again: {tell_changes(changes)}.")

        with open_shared(self.launch, plan.folder, plan.info, self.mode, review) as store:
            try:
                self._answer_samples(plan, store, later_loads, written)
                merge_others(self.launch, store)
            except KeyboardInterrupt:
                raise RunInterrupt(len(store.done())) from None
            return LoadedRun.of(plan.folder, store.info, list(store.records(written)))

    def _answer_samples(
        self,
        plan: RunPlan,
        store: RunStore,
        later: Iterable[Load],
        written: dict[SampleKey, Record],
    ) -> None:
        """Load the models and answer what is left; nothing is loaded when all have a record."""
        launch = self.launch
        done = store.done() if launch.rank == 0 else read_done(plan.folder)
        pending = (placed for placed in plan.samples(done) if launch.takes(placed.position))
        first = next(pending, None)
        if first is None:
            if plan.certificate is not None and launch.rank == 0:
                require_engines(plan.certificate, store.info.engines)
            store.update(status="finished")
            store.export()
            return
        try:
            engines = self.pool.take(plan.loads, later)
            rehearse_agent(plan.info.config.agent, plan.recipe.agent, plan.loads, engines)
        except SpecEyesError:
            store.discard_if_empty()
            raise
        described: dict[str, Mapping[str, Any]] = {
            role: engine.describe() for role, engine in engines.items()
        }
        if plan.certificate is not None:
            require_engines(plan.certificate, described)
        if plan.learned is not None:
            require_gate_engine(plan.learned, described)
        store.bind_engines(described)
        broken: set[str] = set()
        with self._progress(plan, list(done.values())) as progress:

            def observe(record: Record) -> None:
                written[SampleKey(record.split, record.sample_id)] = record
                progress.advance(record)
                self._tell_plugins(record, store.info, broken)

            evaluate(plan.recipe, chain([first], pending), engines, store, observe)

    def _tell_plugins(self, record: Record, run: RunInfo, broken: set[str]) -> None:
        """Show the record to every plugin; an exception is logged once, and the run goes on."""
        for plugin in self.host.implementations("speceyes_record"):
            wrong = plugin.call(record=record, run=run)
            if wrong is not None and wrong.source.plugin not in broken:
                broken.add(wrong.source.plugin)
                log.warning("speceyes: %s", wrong)

    def _progress(
        self, plan: RunPlan, routes: Sequence[str]
    ) -> AbstractContextManager[RunProgress]:
        config = plan.info.config
        title = f"{config.method} on {config.dataset}"
        if self.launch.size > 1:  # the other processes' samples are not seen from here
            return self.show(f"{title} · 1 of {self.launch.size} processes", None, [])
        return self.show(title, plan.size(), routes)


def rows_of(
    run: LoadedRun, plan: RunPlan, others: list[LoadedRun]
) -> tuple[list[SummaryRow], LoadedRun | None]:
    """The run's figures, and the baseline they are measured against."""
    baseline = find_baseline(run, others) or find_baseline(run, baselines_beside(run))
    return add_metrics(summarize(run, baseline), run, plan.dataset), baseline
