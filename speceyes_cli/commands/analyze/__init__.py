"""`speceyes analyze`: what runs say about confidence, thresholds and their price."""

from __future__ import annotations

import typer

from speceyes_cli.commands.analyze.ablation import ablation_command
from speceyes_cli.commands.analyze.calibrate import calibrate_command
from speceyes_cli.commands.analyze.confidence import confidence_command
from speceyes_cli.commands.analyze.drift import drift_command
from speceyes_cli.commands.analyze.learn import learn_command
from speceyes_cli.commands.analyze.power import power_command
from speceyes_cli.commands.analyze.replay import replay_command
from speceyes_cli.commands.analyze.report import report_command
from speceyes_cli.commands.analyze.watch import watch_command


def analyze_app() -> typer.Typer:
    """The commands under `speceyes analyze`, each in its own file."""
    app = typer.Typer(
        help="Read runs: how good a gate is, and a threshold with a guarantee.",
        no_args_is_help=True,
    )
    app.callback()(_analyze)
    app.command("ablation")(ablation_command)
    app.command("calibrate")(calibrate_command)
    app.command("drift")(drift_command)
    app.command("confidence")(confidence_command)
    app.command("learn")(learn_command)
    app.command("power")(power_command)
    app.command("replay")(replay_command)
    app.command("report")(report_command)
    app.command("watch")(watch_command)
    return app


def _analyze() -> None:
    """Keep the commands a group however many there are."""
