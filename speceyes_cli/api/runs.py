"""Runs from a notebook: evaluated, read back, gathered, replayed and calibrated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from speceyes_cli.analysis.certificate import Certificate, write_certificate
from speceyes_cli.analysis.certified_points import Cost, Levels
from speceyes_cli.analysis.replay import Replayed
from speceyes_cli.api.samples import OWN, OWN_ORDER, own_dataset
from speceyes_cli.api.settings import console, installed, run_options
from speceyes_cli.api.table import ResultTable, arrow_table, data_frame
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.processes import Launch
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import read_run as read_records
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.tables.summaries import (
    LoadedRun,
    SummaryRow,
    baselines_beside,
    find_baseline,
    summarize,
)
from speceyes_cli.host.gathering import find_all, gather_rows, load_named, take_latest
from speceyes_cli.host.manager import Host
from speceyes_cli.host.metrics import add_metrics
from speceyes_cli.host.offers import Source
from speceyes_cli.host.planning.plans import RunPlan, plan_run
from speceyes_cli.host.replaying import certify, choices, open_replay, replay_choices
from speceyes_cli.host.running.drafts import export_drafts
from speceyes_cli.host.running.pool import EnginePool
from speceyes_cli.host.running.progress import watch
from speceyes_cli.host.running.session import RunSession

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Folder = str | os.PathLike[str]
SHOWN = (
    *("run", "folder", "split", "status", "n", "n_error", "accuracy"),
    *("speedup", "speedup_n", "speedup_cached", "latency_mean_s"),
)
SHOWN_REPLAY = ("gate", "top_k", "threshold", "coverage", "accuracy", "harm", "speedup", "cached")


@dataclass(frozen=True, slots=True)
class FinishedRun(Sequence[Record]):
    """A run: its configuration, its records, and its figures."""

    folder: Path
    """Where it is kept."""
    info: RunInfo
    """What was run, where, and with which versions."""
    records: tuple[Record, ...]
    """One for each sample, judged answers included."""
    rows: ResultTable[SummaryRow]
    """Accuracy, speedup and more for each split, and for all of them in the last row."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, place: Any) -> Any:
        return self.records[place]

    def __repr__(self) -> str:
        return f"<run {self.info.name}: {len(self)} records in {self.folder}>"

    def to_arrow(self) -> pa.Table:
        """The records as a pyarrow table: a row for each, nested fields as JSON text.

        `right` says whether the answer is right, `error_kind` and `error_text` why there is none.
        """
        return arrow_table([_row(record) for record in self.records])

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas data frame; `UsageError` when pandas is not installed."""
        return data_frame(self.to_arrow())

    def _repr_html_(self) -> str:
        return self.rows._repr_html_()


def evaluate(
    dataset: str | Iterable[Sample | Mapping[str, Any]] = "needle",
    *,
    method: str = "speceyes",
    out: Folder | None = None,
    fresh: bool = False,
    **settings: Any,
) -> FinishedRun:
    """Run a method over a benchmark or a list of samples, showing its progress.

    A list holds `Sample`s or mappings with "picture", "question" and, if they are known, "options"
    and "answer". `settings` are the options of `speceyes eval` by name, such as `limit`, `split`,
    `gate`, `threshold`, `models`, `agent`, `both_branches`. The run is kept in `out`, by default in
    runs/ under a name of its own, and goes on where an earlier one stopped unless `fresh`. Raises
    `SpecEyesError` for what the user can mend.

    >>> from speceyes_cli import evaluate
    >>> run = evaluate("needle", split="direct_attributes", limit=2, method="draft", out="drafted")
    >>> len(run), run[0].route, run.rows[-1].n
    (2, 'small', 2)
    """
    host = installed()
    if not isinstance(dataset, str):
        host = _with_samples(host, dataset)
        dataset = OWN
    plan = _plan(host, dataset, method, out, settings)
    run = _answer(plan, host, "fresh" if fresh else "resume")
    return _finished(run, host)


def infer(
    dataset: str | Iterable[Sample | Mapping[str, Any]] = "needle",
    *,
    out: Folder | None = None,
    fresh: bool = False,
    batch_size: int = 32,
    **settings: Any,
) -> FinishedRun:
    """Draft a benchmark or a list of samples with the small model alone, in large batches.

    Beside the records, drafts.jsonl in the run's folder holds every gate's score of each draft.

    >>> from speceyes_cli import infer
    >>> run = infer("needle", split="direct_attributes", limit=2, out="inferred")
    >>> (run.folder / "drafts.jsonl").exists(), len(run[0].draft.tokens) > 0
    (True, True)
    """
    host = installed()
    if not isinstance(dataset, str):
        host = _with_samples(host, dataset)
        dataset = OWN
    plan = _plan(host, dataset, "draft", out, {**settings, "batch_size": batch_size})
    run = _answer(plan, host, "fresh" if fresh else "resume")
    export_drafts(run, plan, host)
    return _finished(run, host)


def read_run(folder: Folder) -> FinishedRun:
    """Read a run folder back, with verdicts of `speceyes judge`; `DataError` when it is none.

    >>> from speceyes_cli import evaluate, read_run
    >>> kept = evaluate("needle", split="direct_attributes", limit=2, method="draft", out="kept")
    >>> run = read_run("kept")
    >>> run.to_arrow().column("route").to_pylist()
    ['small', 'small']
    """
    place = Path(folder)
    return _finished(LoadedRun.of(place, *read_records(place)), installed())


def gather(*paths: Folder, baseline: Iterable[Folder] = ()) -> ResultTable[SummaryRow]:
    """Runs side by side, each against its baseline: a row for each run and split.

    `paths` are run folders or folders that hold some; of several baselines the latest is taken
    unless `baseline` names one.

    >>> from speceyes_cli import evaluate, gather
    >>> run = evaluate("needle", split="direct_attributes", limit=2, method="draft", out="some/run")
    >>> [row.split for row in gather("some")]
    ['direct_attributes', 'all']
    """
    found = find_all([Path(path) for path in paths])
    named = load_named([Path(path) for path in baseline], found)
    return ResultTable(gather_rows(found, installed(), take_latest, named), SHOWN)


def replay(
    folder: Folder,
    *,
    gates: Sequence[str] | None = None,
    top_ks: Sequence[int] | None = None,
    thresholds: Sequence[float] | None = None,
) -> ResultTable[Replayed]:
    """What gates, Ks and thresholds would have done, from a run with `both_branches`.

    By default the run's own gate and K at the thresholds of the paper's sweep; "all" gates are
    every one that the run's records can tell. No model is run.

    >>> from speceyes_cli import evaluate, replay
    >>> both = evaluate("needle", split="relative_position", limit=2, both_branches=True, out="b")
    >>> [row.threshold for row in replay("b", thresholds=[0.9, 0.99])]
    [0.9, 0.99]
    """
    ready = open_replay(Path(folder), installed())
    wanted = choices(ready.scores, gates, top_ks, thresholds)
    return ResultTable(
        replay_choices(ready.scores, ready.baseline, wanted, measured=ready.measured), SHOWN_REPLAY
    )


def calibrate(
    folder: Folder,
    *,
    max_loss: float | Sequence[float] = 0.02,
    risk: float = 0.10,
    gate: Folder | Sequence[Folder] | None = None,
    top_k: int | None = None,
    cost: tuple[float, float] | None = None,
    out: Folder | None = None,
) -> Certificate:
    """The threshold that accepts most and loses less than `max_loss`, but for a risk of `risk`.

    From a run with `both_branches`. Several losses, and several gates ("all", a file of `analyze
    learn`), share the risk, so that all promises in `Certificate.frontier` hold together. With
    `cost`, of a wrong answer and of a second, the certified threshold that costs least. The
    certificate is written to `out` where it is named, for `evaluate(certificate=...)`. Raises
    `UsageError` or `DataError` when no threshold can be certified.

    >>> from speceyes_cli import calibrate
    >>> calibrate("b", max_loss=2)
    Traceback (most recent call last):
    ...
    speceyes_cli.core.errors.UsageError: --max-loss is a probability between 0 and 1, not 2.
    """
    losses = (max_loss,) if isinstance(max_loss, int | float) else tuple(max_loss)
    named = [gate] if isinstance(gate, str | os.PathLike) else gate or ()
    certificate = certify(
        Path(folder),
        Levels(losses, risk),
        installed(),
        [os.fspath(name) for name in named],
        top_k,
        None if cost is None else Cost(*cost),
    )
    if out is not None:
        write_certificate(Path(out), certificate)
    return certificate


def _plan(
    host: Host, dataset: str, method: str, out: Folder | None, settings: Mapping[str, Any]
) -> RunPlan:
    given: dict[str, Any] = {"dataset": dataset, "method": method, "out": out}
    if dataset == OWN:
        if "option_order" in settings:
            raise UsageError(
                "The options of a list are asked in its order: leave option_order out."
            )
        given["option_order"] = OWN_ORDER
    options = run_options(settings, **given)
    passed = tuple(name for name in ("dataset", "method", *settings) if name != "out")
    return plan_run(options, passed, host)


def _answer(plan: RunPlan, host: Host, mode: Literal["resume", "fresh"]) -> LoadedRun:
    shown = console()
    announce = partial(shown.print, markup=False, soft_wrap=True)
    with EnginePool(announce) as pool:
        session = RunSession(host, pool, Launch(0, 1), partial(watch, shown), mode, announce)
        return session.answer(plan)


def _finished(run: LoadedRun, host: Host) -> FinishedRun:
    baseline = find_baseline(run, baselines_beside(run))
    spec = host.datasets.specs.get(run.info.config.dataset)
    rows = add_metrics(summarize(run, baseline), run, spec)
    return FinishedRun(run.folder, run.info, tuple(run.records), ResultTable(rows, SHOWN))


def _with_samples(host: Host, given: Iterable[Sample | Mapping[str, Any]]) -> Host:
    """The installed plugins and one dataset more: the list of samples."""
    spec = own_dataset(given)
    known = host.datasets
    source = Source("the list of samples", "this program")
    return replace(
        host,
        datasets=replace(
            known,
            specs={**known.specs, OWN: spec},
            sources={**known.sources, OWN: source},
        ),
    )


def _row(record: Record) -> dict[str, Any]:
    row = record.model_dump(mode="json", exclude={"error", "verdict"})
    verdict, error = record.verdict, record.error
    return {
        **row,
        "right": verdict.right if verdict is not None else None,
        "provenance": verdict.provenance if verdict is not None else None,
        "error_kind": error.kind if error is not None else None,
        "error_text": error.text if error is not None else None,
    }
