"""`speceyes eval`: a method over a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import typer
from rich.console import Console

from speceyes_cli.analysis.certificate import require_engines
from speceyes_cli.commands.options import passed_options, takes
from speceyes_cli.commands.progress import watch
from speceyes_cli.commands.tables import closing_table, rows_as_json
from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.evaluation import evaluate
from speceyes_cli.core.records import Record
from speceyes_cli.core.store import RunStore, open_store
from speceyes_cli.core.summaries import LoadedRun, Row, baselines_beside, find_baseline, summarize
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.metrics import add_metrics
from speceyes_cli.host.options import RUN, RunOptions, option
from speceyes_cli.host.plans import Plan, close_engines, load_engines, plan_run

FAILED_SAMPLES = 1
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class EvalOptions(RunOptions):
    """The run, and how it is reported."""

    json: bool = option(
        default=False, help="Print the closing figures as JSON.", panel=RUN, flags="--json"
    )


@takes(EvalOptions)
def eval_command(context: typer.Context, options: EvalOptions) -> None:
    """Run a method over a dataset.

    Each sample is screened by the large model, drafted by the small one, and kept if the gate's
    confidence exceeds the threshold; otherwise the agent answers with its tools. Finished samples
    are kept at once: stop at any time, and the same command goes on where it was.

    Exit codes: 0 done, 1 more samples failed than --max-errors, 2 something to mend, 130 stopped.
    """
    host: Host = context.obj
    screen = Console(stderr=True, highlight=False, emoji=False)
    plan = plan_run(options, passed_options(context), host)
    with open_store(plan.folder, plan.info, "resume" if options.resume else "fresh") as store:
        try:
            answer_samples(plan, store, host, screen)
        except KeyboardInterrupt:
            kept = len(store.done())
            screen.print(f"Stopped; {kept} samples are kept. The same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        run = LoadedRun(plan.folder, store.info, list(store.records()))
    baseline = find_baseline(run, baselines_beside(run))
    rows = add_metrics(summarize(run, baseline), run, plan.dataset)
    report(rows, run, baseline, as_json=options.json)
    if rows[-1].n_error > options.max_errors:
        raise typer.Exit(FAILED_SAMPLES)


def answer_samples(plan: Plan, store: RunStore, host: Host, screen: Console) -> None:
    """Load the models and answer what has no record yet; nothing is loaded when all have."""
    done = store.done()
    pending = plan.samples(done)
    first = next(pending, None)
    if first is None:
        if plan.certificate is not None:
            require_engines(plan.certificate, store.info.engines)
        store.update(status="finished")
        store.export()
        return
    try:
        engines = load_engines(plan.loads, screen.print)
    except SpecEyesError:
        store.discard_if_empty()
        raise
    try:
        described: dict[str, Mapping[str, Any]] = {
            role: engine.describe() for role, engine in engines.items()
        }
        if plan.certificate is not None:
            require_engines(plan.certificate, described)
        store.bind_engines(described)
        config = plan.info.config
        title = f"{config.method} on {config.dataset}"
        with watch(screen, plan.size(), list(done.values()), title) as progress:

            def observe(record: Record) -> None:
                progress.advance(record)
                host.hooks.hook.speceyes_record(record=record, run=store.info)

            evaluate(plan.recipe, chain([first], pending), engines, store, observe)
    finally:
        close_engines(engines)


def report(rows: list[Row], run: LoadedRun, baseline: LoadedRun | None, *, as_json: bool) -> None:
    """Print the closing figures, and where the run is kept."""
    if as_json:
        typer.echo(rows_as_json(rows))
        return
    console = Console(highlight=False, emoji=False)
    console.print(closing_table(rows, run.info))
    if run.info.config.both_branches:
        console.print(
            "Both branches ran, so no speedup was measured: `analyze replay` predicts it."
        )
    elif baseline is not None:
        console.print(f"Speedup against {strip_control(baseline.info.name)}", markup=False)
    elif run.info.config.method != "baseline":
        console.print("No baseline run beside it: --method baseline makes one, for the speedup.")
    console.print(f"Kept in {strip_control(str(run.folder))}", markup=False, soft_wrap=True)
