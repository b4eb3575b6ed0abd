"""`speceyes eval`: a method over a dataset, or a grid of them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import partial
from typing import Literal

import typer
from rich.console import Console

from speceyes_cli.commands.gather.tables import Tables
from speceyes_cli.commands.options import passed_options, refuse_named, takes
from speceyes_cli.commands.run_notes import (
    doubt_notes,
    failure_notes,
    toy_note,
    undecided_note,
    undefined_note,
)
from speceyes_cli.commands.stop_signals import stop_signals
from speceyes_cli.commands.tables import CACHED_NOTE, closing_table, rows_as_json
from speceyes_cli.core.call_cache.store import CallCache
from speceyes_cli.core.run.processes import Launch, launch_from
from speceyes_cli.core.tables.summaries import ALL, LoadedRun, SummaryRow
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RUN, FolderOptions, RunOptions, option
from speceyes_cli.host.planning.plans import CACHE, RunPlan, plan_run
from speceyes_cli.host.planning.sweeps import plan_sweep
from speceyes_cli.host.running.pool import EnginePool
from speceyes_cli.host.running.progress import watch
from speceyes_cli.host.running.session import RunInterrupt, RunSession, rows_of

FAILED_SAMPLES = 1


@dataclass(frozen=True, kw_only=True)
class EvalOptions(RunOptions):
    """The run, and how it is reported."""

    sweep: list[str] | None = option(
        None,
        "An option and the values it takes, such as gate=min,mean or threshold=0.94:0.99:0.01; "
        "given several times, every combination is run. Each is a run of its own below --out.",
        RUN,
    )
    json: bool = option(
        default=False, help="Print the closing figures as JSON.", panel=RUN, flags="--json"
    )


@takes(EvalOptions)
def eval_command(context: typer.Context, options: EvalOptions) -> None:
    """Run a method over a dataset.

    Each sample is screened by the large model, drafted by the small one, and kept if the gate's
    confidence exceeds the threshold; otherwise the agent answers with its tools. Finished samples
    are kept at once: stop at any time, and the same command goes on where it was.

    With --sweep, a grid of runs shares its models and, by the call cache, every call that cannot
    differ: the second threshold makes no call that the first has made.

    Exit codes: 0 done, 1 more samples failed than --max-errors, 2 something to mend, 130 stopped
    (143 by SIGTERM, 129 by SIGHUP).
    """
    host: Host = context.obj
    launch = launch_from(os.environ)
    screen = make_screen(launch)
    passed = passed_options(context)
    if options.sweep:
        plans = plan_sweep(options, options.sweep, passed, host)
    else:
        plans = [plan_run(options, passed, host)]
    if not options.cache and not options.sweep:
        refuse_named(context, ["cache_dir"], "needs --cache or --sweep.")
    with open_cache(options, default=bool(options.sweep)) as cache:
        runs = answer_plans(plans, host, screen, cache, resume=options.resume)
    if launch.rank > 0:  # the first process reports for all
        return
    if cache is not None:
        screen.print(f"Call cache: {cache.counts}.")
    found = [rows_of(run, plan, runs) for run, plan in zip(runs, plans, strict=True)]
    if options.json or options.sweep:
        tell_doubts(runs, screen)
    if options.json:
        typer.echo(rows_as_json([row for rows, _ in found for row in rows]))
    elif options.sweep:
        report_sweep(plans, [rows[-1] for rows, _ in found])
    else:
        report(found[0][0], runs[0], found[0][1])
    if any(rows[-1].n_error > options.max_errors for rows, _ in found):
        raise typer.Exit(FAILED_SAMPLES)


def make_screen(launch: Launch) -> Console:
    """A console on the error stream; of several processes only rank 0 prints."""
    return Console(stderr=True, highlight=False, emoji=False, quiet=launch.rank > 0)


def answer_plans(
    plans: list[RunPlan],
    host: Host,
    screen: Console,
    cache: CallCache | None,
    *,
    resume: bool,
) -> list[LoadedRun]:
    """Every plan's run to its end, models shared; exits by the signal's code when stopped."""
    loads = [load for plan in plans for load in plan.loads.values()]
    if note := toy_note(loads, plans[0].info.config.dataset):
        screen.print(note, markup=False)
    for line in dict.fromkeys(line for plan in plans for line in plan.info.notes):
        screen.print(strip_control(line), markup=False, soft_wrap=True)
    runs = []
    with stop_signals() as received, EnginePool(screen.print, cache) as pool:
        mode: Literal["resume", "fresh"] = "resume" if resume else "fresh"
        announce = partial(screen.print, markup=False, soft_wrap=True)
        session = RunSession(
            host, pool, launch_from(os.environ), partial(watch, screen), mode, announce
        )
        for number, plan in enumerate(plans, start=1):
            if len(plans) > 1:
                screen.print(
                    f"{number} of {len(plans)} · {plan.info.name}", markup=False, soft_wrap=True
                )
            try:
                runs.append(session.answer(plan, plans[number:]))
            except RunInterrupt as stopped:
                told = f"Stopped; {stopped.kept} samples are kept."
                screen.print(f"{told} The same command goes on from there.")
                raise typer.Exit(received.exit_code) from None
    return runs


def open_cache(
    options: FolderOptions, *, default: bool = False
) -> contextlib.AbstractContextManager[CallCache | None]:
    """The call cache, where it is wanted."""
    if options.cache or (options.cache is None and default):
        return CallCache(options.cache_dir or CACHE)
    return contextlib.nullcontext()


def report(rows: list[SummaryRow], run: LoadedRun, baseline: LoadedRun | None) -> None:
    """Print the closing figures, and where the run is kept."""
    console = Console(highlight=False, emoji=False)
    console.print(closing_table(rows, run.info))
    for line in (*doubt_notes(run), *failure_notes(run.records, run.info.config.dataset)):
        console.print(line, markup=False, soft_wrap=True)
    if note := undefined_note(run.records, run.info.config.gate):
        console.print(strip_control(note), markup=False, soft_wrap=True)
    if undecided := next(row.n_undecided for row in rows if row.split == ALL):
        note = undecided_note(undecided, strip_control(str(run.folder)))
        console.print(note, markup=False, soft_wrap=True)
    if any(row.cached_share or row.speedup_cached for row in rows):
        console.print(CACHED_NOTE, markup=False, soft_wrap=True)
    if run.info.config.both_branches:
        console.print(
            "Both branches ran, so no speedup was measured: `analyze replay` predicts it."
        )
    elif baseline is not None:
        console.print(f"Speedup against {strip_control(baseline.info.name)}", markup=False)
    elif run.info.config.method != "baseline":
        console.print("No baseline run beside it: --method baseline makes one, for the speedup.")
    console.print(f"Kept in {strip_control(str(run.folder))}", markup=False, soft_wrap=True)


def tell_doubts(runs: list[LoadedRun], screen: Console) -> None:
    """Name the runs whose drafts could not be trusted, and why."""
    for run in runs:
        for line in doubt_notes(run):
            screen.print(f"{run.info.name}: {line}", markup=False, soft_wrap=True)


def report_sweep(plans: list[RunPlan], rows: list[SummaryRow]) -> None:
    """Print a row for each point, and where the runs are kept."""
    console = Console(highlight=False, emoji=False)
    console.print(Tables(rows))
    if any(row.cached_share or row.speedup_cached for row in rows):
        console.print(CACHED_NOTE, markup=False, soft_wrap=True)
    folder = strip_control(str(plans[0].folder.parent))
    console.print(
        f"{len(plans)} runs in {folder}; `speceyes gather {folder} --layout paper` puts them in "
        "the paper's table.",
        markup=False,
        soft_wrap=True,
    )
