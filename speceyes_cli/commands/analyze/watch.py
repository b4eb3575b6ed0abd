"""`speceyes analyze watch`: is a certificate's promise kept on a run with audits?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.certificate import read_certificate, require_engines, require_setting
from speceyes_cli.analysis.watching.audited_run import Watch, watch
from speceyes_cli.commands.tables import percent
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.run_scores import open_table

ALARM = 3


def watch_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run with audits, or both branches.")],
    certificate: Annotated[
        Path, typer.Option(envvar="SPECEYES_CERTIFICATE", help="File of `analyze calibrate`.")
    ],
    false_alarm: Annotated[
        float | None,
        typer.Option(
            envvar="SPECEYES_FALSE_ALARM",
            help="Chance of a false alarm at any look; the certificate's risk by default.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print an object.")
    ] = False,
) -> None:
    """Tell whether audits speak against a certificate's promise.

    The promise "harm is at most the certified loss" is tested by betting after every sample. The
    test is exact at any time one looks, as often as you like. An audit without a verdict counts as
    harm. No alarm is no proof that the promise holds.

    Exit codes: 0 no alarm, 3 alarm, 2 something to mend.
    """
    signed = read_certificate(certificate)
    loaded, table = open_table(run)
    require_setting(signed, loaded.info.config)
    require_engines(signed, loaded.info.engines)
    found = watch(signed, table, false_alarm)
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _report(found)
    raise typer.Exit(ALARM if found.alarmed else 0)


def _report(found: Watch) -> None:
    console = Console(highlight=False, emoji=False)
    title = f"{found.run} · {found.gate} > {found.threshold:g} · harm at most {found.max_loss:g}"
    table = Table(title=Text(strip_control(title)), title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("samples", f"{found.samples} in {found.clusters} independent units")
    table.add_row("accepted", f"{found.accepted}")
    table.add_row("audited", f"{found.audited} (share {found.share:g})")
    table.add_row("harmful", f"{found.harmful}")
    table.add_row("without a verdict", f"{found.missing} (counted as harmful)")
    table.add_row("harm, estimated", percent(found.harm))
    table.add_row("evidence", f"{found.evidence:.3g}, at most {found.highest:.3g}")
    table.add_row("alarm at", f"{1 / found.false_alarm:.3g}")
    console.print(table)
    console.print(
        f"Alarm after {found.alarm_after} samples: the audits speak against the promise. Calibrate "
        "anew, or raise the threshold until you have."
        if found.alarmed
        else "No alarm: the audits do not speak against the promise."
    )
