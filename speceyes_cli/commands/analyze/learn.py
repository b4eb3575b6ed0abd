"""`speceyes analyze learn`: a gate fitted on one part of a run and certified on the other."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.analysis.signed_files import write_signed
from speceyes_cli.commands.analyze.comparison_table import comparison_table
from speceyes_cli.commands.tables import percent
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.learning import FITTED_SHARE, learn


def learn_command(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of an `eval --both-branches` run.")],
    max_loss: Annotated[
        float, typer.Option(envvar="SPECEYES_MAX_LOSS", help="Accuracy that may be lost, 0 to 1.")
    ] = 0.02,
    risk: Annotated[
        float,
        typer.Option(envvar="SPECEYES_RISK", help="Chance that the promise is broken, 0 to 1."),
    ] = 0.10,
    fit_share: Annotated[
        float, typer.Option(help="Share of the samples to fit on; the rest certifies.")
    ] = FITTED_SHARE,
    out: Annotated[Path, typer.Option(help="The gate file.")] = Path("gate.json"),
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print the gate and how it does.")
    ] = False,
) -> None:
    """Fit a gate on a run, certify a threshold of it on samples it never saw, and write its file.

    A logistic model of the chance that a draft is right, over separability, probability, margin,
    entropy and length of the whole draft; of a token that stands further clear it never thinks
    less. Samples that share a picture or a cluster are in one part. `--gate FILE` uses it with its
    threshold: in `eval`, `infer` and `serve`, and in `analyze confidence`, `replay`, `calibrate`
    and `power`, which leave out the samples it was fitted on.
    """
    found = learn(run, max_loss, risk, fit_share, context.obj)
    write_signed(out, found.gate)
    if json:
        told = {
            "gate": found.gate.model_dump(),
            "name": found.gate.name,
            "comparisons": [one.model_dump() for one in found.comparisons],
            "uncertified": found.uncertified,
        }
        typer.echo(json_module.dumps(told, indent=2))
        return
    console = Console(highlight=False, emoji=False)
    console.print(_table(found.gate))
    console.print(comparison_table(found.comparisons, found.gate.run))
    if found.uncertified is not None:
        console.print(f"No threshold is certified: {found.uncertified}", markup=False)
    console.print(f"Gate in {strip_control(str(out))}", markup=False, soft_wrap=True)


def _table(gate: LearnedGate) -> Table:
    table = Table(title=Text(f"{gate.name}, K = {gate.top_k}"), show_header=False)
    table.title_justify = "left"
    fitted, certified = gate.fitted, gate.certified
    weights = ", ".join(f"{name} {value:.3g}" for name, value in gate.coefficients.items())
    rows = {
        "fitted on": f"{len(fitted.samples)} samples of {strip_control(gate.run)}: "
        f"{fitted.right} right and {fitted.wrong} wrong drafts",
        "log-odds": f"{gate.intercept:.3g}; {weights}",
    }
    if gate.left_out:
        rows["left out"] = f"{', '.join(gate.left_out)}: the same in every draft, or not given"
    if certified.threshold is not None:
        rows["certified"] = (
            f"above {certified.threshold:g} it loses less than {percent(certified.max_loss)} "
            f"accuracy, but for a risk of {percent(certified.risk)}; {certified.harmful} of "
            f"{certified.n} other samples harmful (p = {certified.p_value:.3g})"
        )
        rows["coverage"] = f"{percent(certified.coverage)} of these"
    for name, text in rows.items():
        table.add_row(Text(name), Text(text))
    return table
