"""`speceyes analyze calibrate`: a threshold with a guarantee, and the certificate that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.certificate import Certificate, Levels, write_certificate
from speceyes_cli.commands.tables import percent
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.replaying import certify


def calibrate_command(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of an `eval --both-branches` run.")],
    max_loss: Annotated[
        float, typer.Option(envvar="SPECEYES_MAX_LOSS", help="Accuracy that may be lost, 0 to 1.")
    ] = 0.02,
    risk: Annotated[
        float,
        typer.Option(envvar="SPECEYES_RISK", help="Chance that the promise is broken, 0 to 1."),
    ] = 0.10,
    gate: Annotated[
        str | None, typer.Option(envvar="SPECEYES_GATE", help="Gate. Default: the run's.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(envvar="SPECEYES_TOP_K", help="K. Default: the run's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The certificate.")] = Path("certificate.json"),
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print the certificate.")
    ] = False,
) -> None:
    """Choose the loosest threshold whose loss is bounded, and write a certificate.

    Harm is an accepted draft that is wrong where the agent would have been right. With probability
    1 - RISK over calibration runs, the certified threshold does harm to fewer than MAX_LOSS of new
    samples of the same kind, so accuracy falls by less than that against always running the agent
    (Learn then Test, fixed sequence, exact binomial; samples that share a picture or a question
    count as one). `speceyes eval --certificate FILE` uses it.
    """
    certificate = certify(run, Levels(max_loss, risk), context.obj, gate, top_k)
    write_certificate(out, certificate)
    if json:
        typer.echo(certificate.model_dump_json(indent=2))
        return
    console = Console(highlight=False, emoji=False)
    console.print(_table(certificate))
    for line in _notes(certificate):
        console.print(line, markup=False)
    console.print(f"Certificate in {strip_control(str(out))}", markup=False, soft_wrap=True)


def _table(certificate: Certificate) -> Table:
    table = Table(title=Text(f"Certified on {strip_control(certificate.run)}"), show_header=False)
    table.title_justify = "left"
    units = "clusters" if certificate.clusters else "samples"
    rows = {
        "threshold": f"{certificate.gate} > {certificate.threshold:g}, K = {certificate.top_k}",
        "promise": f"loses less than {percent(certificate.max_loss)} accuracy against the agent "
        f"alone, but for a risk of {percent(certificate.risk)}",
        "harmful": f"{certificate.harmful} of {certificate.n} {units} (p = "
        f"{certificate.p_value:.3g})",
        "coverage": f"{percent(certificate.accepted / certificate.samples)} of "
        f"{certificate.samples} samples answered by the draft",
    }
    for name, text in rows.items():
        table.add_row(Text(name), Text(text))
    return table


def _notes(certificate: Certificate) -> list[str]:
    notes = []
    if certificate.errors:
        notes.append(f"{certificate.errors} samples failed; the promise is about answered ones.")
    if certificate.undecided:
        notes.append(
            f"{certificate.undecided} answers could not be judged by rule and were counted as "
            "wrong; `speceyes judge` settles them."
        )
    return notes
