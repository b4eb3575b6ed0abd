"""`speceyes analyze watch`: is a certificate's promise kept, on a run or by servers with audits?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.certificate import read_certificate, require_engines, require_setting
from speceyes_cli.analysis.watching.audited_run import Watch, watch
from speceyes_cli.analysis.watching.kept_audits import JoinedAudits, join_audits
from speceyes_cli.commands.tables import percent
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.run_scores import open_table

ALARM = 3


def watch_command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folder of a run with audits, or both branches; or the files of `serve "
            "--audit-file`, whose evidence is joined.",
        ),
    ],
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
    found: Watch | JoinedAudits
    if all(path.is_file() for path in runs):
        found = join_audits(runs, signed, false_alarm)
        title, rows = "", _rows_of_servers(found)
    elif len(runs) == 1:
        loaded, table = open_table(runs[0])
        require_setting(signed, loaded.info.config)
        require_engines(signed, loaded.info.engines)
        found = watch(signed, table, false_alarm)
        title, rows = f"{found.run} · {found.gate} > {found.threshold:g} · ", _rows_of_run(found)
    else:
        raise UsageError("Name one run's folder, or files of `serve --audit-file` alone.")
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _report(f"{title}harm at most {found.max_loss:g}", rows, found)
    raise typer.Exit(ALARM if found.alarmed else 0)


def _rows_of_run(found: Watch) -> dict[str, str]:
    return {
        "samples": f"{found.samples} in {found.clusters} independent units",
        "accepted": f"{found.accepted}",
        "audited": f"{found.audited} (share {found.share:g})",
        "harmful": f"{found.harmful}",
        "without a verdict": f"{found.missing} (counted as harmful)",
        "harm, estimated": percent(found.harm),
        "evidence": f"{found.evidence:.3g}, at most {found.highest:.3g}",
    }


def _rows_of_servers(found: JoinedAudits) -> dict[str, str]:
    return {
        "processes": f"{found.processes}",
        "answers tested": f"{found.samples}",
        "audited": f"{found.harmless + found.harmful + found.missing}",
        "harmful": f"{found.harmful}",
        "without a verdict": f"{found.missing} (counted as harmful)",
        "alarms of a process alone": f"{found.alarms}",
        "evidence, joined": f"{found.evidence:.3g}",
    }


def _report(title: str, rows: dict[str, str], found: Watch | JoinedAudits) -> None:
    console = Console(highlight=False, emoji=False)
    table = Table(title=Text(strip_control(title)), title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    table.add_row("alarm at", f"{1 / found.false_alarm:.3g}")
    console.print(table)
    after = f" after {found.alarm_after} samples" if isinstance(found, Watch) else ""
    console.print(
        f"Alarm{after}: the audits speak against the promise. Calibrate anew, or raise the "
        "threshold until you have."
        if found.alarmed
        else "No alarm: the audits do not speak against the promise."
    )
