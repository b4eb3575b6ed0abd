"""`speceyes analyze power`: how many samples a certificate takes, before they are run."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.calibration import check_levels
from speceyes_cli.analysis.figures.power import coverage_plot, power_plot
from speceyes_cli.analysis.figures.style import write_plots
from speceyes_cli.analysis.power import (
    CHANCES,
    MOST_SAMPLES,
    Expected,
    Needed,
    check_harm,
    expect,
    samples_needed,
)
from speceyes_cli.commands.options import takes
from speceyes_cli.commands.tables import percent
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.learned_gates import take_gate_files
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import argument, option
from speceyes_cli.host.replaying import open_replay
from speceyes_cli.host.run_scores import own_choice

HARM_SHARES = (0.0, 0.125, 0.25, 0.5)
"""Expected harms where none is named, as shares of the loss."""
SIZES = (150, 300, 500, 1_000, 2_000)
PROMISE, PILOT, OUTPUT = "The promise", "A pilot run", "Output"


@dataclass(frozen=True, kw_only=True)
class PowerOptions:
    """What is to be promised, and what is expected."""

    pilot: Path | None = argument(
        "A both-branches run to draw calibration runs from: tells what coverage to expect."
    )
    max_loss: float = option(0.02, "Accuracy that may be lost, 0 to 1.", PROMISE)
    risk: float = option(0.10, "Chance that the promise is broken, 0 to 1.", PROMISE)
    harm: list[float] | None = option(
        None, "Expected harm at the threshold hoped for; repeatable.", PROMISE
    )
    samples: list[int] | None = option(None, "Samples of the run to be; repeatable.", PILOT)
    gate: str | None = option(
        None, "Gate, or a file of `analyze learn`. Default: the run's.", PILOT
    )
    figures_out: Path | None = option(
        None, "Folder for the figures, as PNG and SVG.", OUTPUT, flags="--out"
    )
    json: bool = option(default=False, help="Print JSON.", panel=OUTPUT, flags="--json")


@takes(PowerOptions)
def power_command(context: typer.Context, options: PowerOptions) -> None:
    """Tell how many samples certify a loss, and what coverage to expect.

    Harm is an accepted draft that is wrong where the agent would have been right. For each expected
    harm: the independent samples with which `analyze calibrate` passes a threshold of that harm, by
    chance of success. With a pilot run, calibration runs are drawn from it, whole clusters at a
    time, and their certified coverage is told.
    """
    max_loss, risk = options.max_loss, options.risk
    check_levels(max_loss, risk)
    harms = options.harm or [share * max_loss for share in HARM_SHARES]
    for value in harms:
        check_harm(value, max_loss)
    needed = [samples_needed(value, max_loss, risk) for value in dict.fromkeys(harms)]
    expected, name = expect_from(options, context.obj)
    plots = [power_plot(needed, max_loss, risk)]
    plots += [coverage_plot(expected, name)] if expected else []
    files = write_plots(plots, options.figures_out) if options.figures_out is not None else []
    if options.json:
        told = {
            "needed": [one.model_dump() for one in needed],
            "expected": [one.model_dump() for one in expected],
            "figures": [str(file) for file in files],
        }
        typer.echo(json_module.dumps(told, indent=2))
        return
    console = Console(highlight=False, emoji=False)
    console.print(_needed_table(needed, max_loss, risk))
    if expected:
        console.print(_expected_table(expected, name))
    for file in files:
        console.print(f"Figure in {strip_control(str(file))}", markup=False, soft_wrap=True)


def expect_from(options: PowerOptions, host: Host) -> tuple[list[Expected], str]:
    """What runs like the pilot come to, and its name; nothing without one."""
    if options.pilot is None:
        for flag, value in (("--samples", options.samples), ("--gate", options.gate)):
            if value:
                raise UsageError(f"{flag} is about a pilot run: name its folder too.")
        return [], ""
    named, host = take_gate_files([options.gate] if options.gate else [], host)
    ready = open_replay(options.pilot, host)
    scores = ready.scores
    gate = named[0] if named else own_choice(scores.table).gate
    values = scores.of(gate, scores.usual_k(gate))
    levels = (options.max_loss, options.risk)
    sizes = sorted(set(options.samples or SIZES))
    return expect(scores.table, values, levels, sizes), ready.run.info.name


def _needed_table(needed: Sequence[Needed], max_loss: float, risk: float) -> Table:
    title = f"Independent samples that certify a loss below {max_loss:g} at risk {risk:g}"
    table = Table(title=title, title_justify="left")
    table.add_column("expected harm", justify="right")
    for chance in CHANCES:
        table.add_column(f"{chance:.0%} chance", justify="right")
    for one in needed:
        cells = (one.samples[chance] for chance in CHANCES)
        counts = [f"over {MOST_SAMPLES:,}" if n is None else str(n) for n in cells]
        table.add_row(f"{one.harm:.2%}", *counts)
    return table


def _expected_table(expected: Sequence[Expected], name: str) -> Table:
    table = Table(title=Text(strip_control(f"Runs like {name}")), title_justify="left")
    for column in ("samples", "something certified", "coverage, median", "8 of 10 runs"):
        table.add_column(column, justify="right")
    for one in expected:
        spread = f"{percent(one.coverage_low)} to {percent(one.coverage_high)}"
        table.add_row(str(one.samples), percent(one.certified), percent(one.coverage), spread)
    return table
