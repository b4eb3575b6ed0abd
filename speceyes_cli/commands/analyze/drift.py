"""`speceyes analyze drift`: is a certificate still about the samples of today?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.certificate import (
    Certificate,
    read_certificate,
    require_engines,
    require_setting,
)
from speceyes_cli.analysis.drift import Drift, check_false_alarm, compare
from speceyes_cli.commands.tables import percent
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.learned_gates import add_learned
from speceyes_cli.host.manager import Host
from speceyes_cli.host.run_scores import Scores, open_table

DRIFTED = 1


def drift_command(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of today's run.")],
    certificate: Annotated[
        Path, typer.Option(envvar="SPECEYES_CERTIFICATE", help="File of `analyze calibrate`.")
    ],
    false_alarm: Annotated[
        float,
        typer.Option(envvar="SPECEYES_FALSE_ALARM", help="Chance of a false alarm, 0 to 1."),
    ] = 0.05,
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print an object.")
    ] = False,
) -> None:
    """Tell whether today's scores still look like the calibration's.

    Compared are the confidences of drafts (Kolmogorov-Smirnov distance) and the share of samples
    whose draft stands, each by a permutation test over clusters. Needs no verdicts and one branch
    only. No drift seen is no proof that there is none: the fewer the samples, the less is seen.

    Exit codes: 0 no drift seen, 1 drift, 2 something to mend.
    """
    check_false_alarm(false_alarm)
    signed = read_certificate(certificate)
    loaded, table = open_table(run)
    require_setting(signed, loaded.info.config)
    require_engines(signed, loaded.info.engines)
    host: Host = context.obj
    if signed.learned is not None:
        host = add_learned(signed.learned, host)
    values = Scores(table, host).of(signed.gate, signed.top_k)
    found = compare(signed, table, values, false_alarm)
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _report(found, signed)
    raise typer.Exit(DRIFTED if found.drifted else 0)


def _report(found: Drift, certificate: Certificate) -> None:
    console = Console(highlight=False, emoji=False)
    title = f"{found.run} beside {certificate.run} · {found.gate} > {found.threshold:g}"
    table = Table(title=Text(strip_control(title)), title_justify="left")
    for name in ("", "then", "now", "difference", "p"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row(
        "drafts",
        str(found.drafts_then),
        str(found.drafts_now),
        f"{found.distance:.3f} (KS)",
        f"{found.distance_p:.3g}",
    )
    table.add_row(
        "accepted",
        percent(found.accepted_then),
        percent(found.accepted_now),
        f"{100 * (found.accepted_now - found.accepted_then):+.1f} points",
        f"{found.accepted_p:.3g}",
    )
    console.print(table)
    if found.floor is not None:
        console.print(f"Confidences up to {found.floor:g} count as equal: such drafts end early.")
    console.print(
        "Drift: the scores no longer look like the calibration's, so the certificate's promise "
        "does not carry over. Calibrate anew on samples of today."
        if found.drifted
        else "No drift seen: the scores look like the calibration's."
    )
