"""From paths to rows: our runs and upstream's results, each beside its baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.info import RUN_FILE
from speceyes_cli.core.tables.summaries import (
    LoadedRun,
    SummaryRow,
    baselines_beside,
    load_run,
    matching_baselines,
    require_any,
    run_folders,
    summarize,
    try_each,
)
from speceyes_cli.core.tables.upstream.files import UpstreamResult, find_results, read_result
from speceyes_cli.core.tables.upstream.rows import Choose, upstream_rows
from speceyes_cli.host.manager import Host
from speceyes_cli.host.metrics import add_metrics


class Found(NamedTuple):
    """What the named paths hold."""

    runs: list[LoadedRun]
    results: list[UpstreamResult]
    left_out: list[str]
    """A sentence for each run or result that cannot be read."""


def find_all(paths: Iterable[Path]) -> Found:
    """Runs and upstream's results; those that cannot be read are left out.

    Raises `DataError` for a path that holds neither, naming both, and when nothing can be read.
    """
    folders: dict[Path, Path] = {}
    places: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist; name a run folder, or one that holds some.")
        runs = run_folders([path]) if any(path.rglob(RUN_FILE)) else []
        results = find_results(path)
        if not runs and not results:
            raise DataError(
                f"{path} holds no run (a folder with a {RUN_FILE}) and no result of upstream's "
                "(a file such as vstar_direct_attributes_DeepEyes-7B_baseline_1_None_None.jsonl)."
            )
        folders |= {folder.resolve(): folder for folder in runs}
        places |= {place.absolute(): place for place in results}
    found = read_all(folders.values(), places.values(), load_run)
    require_any([*found.runs, *found.results], found.left_out)
    return found


def read_all(
    folders: Iterable[Path], places: Iterable[Path], load: Callable[[Path], LoadedRun]
) -> Found:
    """Read runs and results; one that cannot be read keeps no other from it."""
    runs, results = try_each(folders, load), try_each(places, read_result)
    return Found(runs.found, results.found, runs.left_out + results.left_out)


def gather_rows(
    found: Found, host: Host, choose: Choose, named: Sequence[LoadedRun] = ()
) -> list[SummaryRow]:
    """The rows of everything found, each against its baseline; `named` ones come first."""
    rows: list[SummaryRow] = []
    for run in found.runs:
        candidates = _candidates(run, found.runs, named)
        agents = sorted({str(other.info.config.agent) for other in candidates})
        notes: tuple[str, ...] = ()
        if len(agents) > 1:  # the small model alone, which may stand beside any of them
            known = f"there are baselines of {' and '.join(agents)}; --baseline names one"
            candidates, notes = [], (f"no speedup, since {known}",)
        baseline = _one_of(candidates, run, choose)
        dataset = host.datasets.specs.get(run.info.config.dataset)
        rows += [
            row.model_copy(update={"notes": (*row.notes, *notes)})
            for row in add_metrics(summarize(run, baseline), run, dataset)
        ]
    return rows + upstream_rows(found.results, choose)


def _candidates(
    run: LoadedRun, runs: Sequence[LoadedRun], named: Sequence[LoadedRun]
) -> list[LoadedRun]:
    """Its baselines among those named, else among those gathered, else among those beside it."""
    pools = (named, runs, baselines_beside(run))
    found = (matching_baselines(run, pool) for pool in pools)
    return next((candidates for candidates in found if candidates), [])


def _one_of(candidates: Sequence[LoadedRun], run: LoadedRun, choose: Choose) -> LoadedRun | None:
    if len(candidates) < 2:  # noqa: PLR2004 - nothing to choose
        return next(iter(candidates), None)
    return candidates[choose(str(run.folder), [other.folder for other in candidates])]


def load_named(paths: Sequence[Path], found: Found) -> list[LoadedRun]:
    """The baselines the user named; `UsageError` for one that matches nothing gathered."""
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise UsageError(f"--baseline: {missing} does not exist.")
    named = [load_run(path) for path in paths if path.is_dir()]
    for one in named:
        if not any(matching_baselines(run, [one]) for run in found.runs):
            raise UsageError(
                f"--baseline: {one.folder} is no baseline of any run gathered; a baseline is an "
                "`eval --method baseline` of the same agent, models, data and options."
            )
    return named


def take_latest(_what: str, places: Sequence[Path]) -> int:
    """The place that was changed last, for tables that cannot wait for an answer."""
    return max(range(len(places)), key=lambda number: places[number].stat().st_mtime)
