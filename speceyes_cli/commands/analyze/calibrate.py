"""`speceyes analyze calibrate`: a threshold with a guarantee, and the certificate that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.analysis.certificate import Certificate, write_certificate
from speceyes_cli.analysis.certified_points import CertifiedPoint, Cost, Levels
from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.commands.options import takes
from speceyes_cli.commands.tables import NOTHING, percent
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.planning.options import argument, option
from speceyes_cli.host.replaying import certify

DEFAULT_MAX_LOSS, DEFAULT_RISK = 0.02, 0.10
PROMISE = "The promise"
CHOICE = "What is chosen"
OUTPUT = "Output"
COVERAGE, COST = "coverage", "cost"


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """What is promised, and which of the thresholds that keep it is chosen."""

    run: Path = argument("Folder of an `eval --both-branches` run.", required=True)
    max_loss: list[float] | None = option(
        None,
        "Accuracy that may be lost, 0 to 1; 0.02 by default. Of several, all are certified "
        "together: the first counts, the others may be chosen afterwards.",
        PROMISE,
    )
    risk: float = option(DEFAULT_RISK, "Chance that any promise is broken, 0 to 1.", PROMISE)
    gate: list[str] | None = option(
        None,
        "Gate, a file of `analyze learn`, or all; repeatable, and the risk is shared by those "
        "named. Default: the run's.",
        CHOICE,
    )
    top_k: int | None = option(None, "K. Default: the run's.", CHOICE)
    objective: str = option(
        COVERAGE, "coverage: accept most; cost: what costs least, of all that is certified.", CHOICE
    )
    cost_wrong: float | None = option(None, "Cost of a wrong answer.", CHOICE)
    cost_second: float | None = option(
        None, "Cost of a second of models and tools, in the same currency.", CHOICE
    )
    certificate_out: Path = option(
        Path("certificate.json"), "The certificate.", OUTPUT, flags="--out"
    )
    json: bool = option(default=False, help="Print the certificate.", panel=OUTPUT, flags="--json")


@takes(CalibrateOptions)
def calibrate_command(context: typer.Context, options: CalibrateOptions) -> None:
    """Choose a threshold whose loss is bounded, and write a certificate.

    Harm is an accepted draft that is wrong where the agent would have been right. With probability
    1 - RISK over calibration runs, the certified threshold does harm to fewer than MAX_LOSS of new
    samples of the same kind, so accuracy falls by less than that against always running the agent
    (Learn then Test, fixed sequence, exact binomial; samples that share a picture or a question
    are one cluster, and clusters of different sizes are tested by betting on the share of harmful
    samples). Several gates and losses share the risk, so that all promises hold together.
    `speceyes eval --certificate FILE` uses it.
    """
    levels = Levels(tuple(options.max_loss or [DEFAULT_MAX_LOSS]), options.risk)
    certificate = certify(
        options.run, levels, context.obj, options.gate or (), options.top_k, read_cost(options)
    )
    write_certificate(options.certificate_out, certificate)
    if options.json:
        typer.echo(certificate.model_dump_json(indent=2))
        return
    console = Console(highlight=False, emoji=False)
    console.print(_table(certificate))
    if len(certificate.frontier) > 1:
        console.print(_frontier(certificate))
    for line in _notes(certificate):
        console.print(line, markup=False)
    place = strip_control(str(options.certificate_out))
    console.print(f"Certificate in {place}", markup=False, soft_wrap=True)


def read_cost(options: CalibrateOptions) -> Cost | None:
    """The costs, where they decide; `UsageError` when they are named in vain or are missing."""
    named = {"--cost-wrong": options.cost_wrong, "--cost-second": options.cost_second}
    if options.objective == COVERAGE:
        for flag, value in named.items():
            if value is not None:
                raise UsageError(f"{flag} counts with --objective cost only.")
        return None
    if options.objective != COST:
        raise UsageError(f"--objective is coverage or cost, not {options.objective}.")
    missing = [flag for flag, value in named.items() if value is None]
    if missing:
        raise UsageError(f"--objective cost needs {' and '.join(missing)}.")
    return Cost(options.cost_wrong or 0.0, options.cost_second or 0.0)


def _table(certificate: Certificate) -> Table:
    table = Table(title=Text(f"Certified on {strip_control(certificate.run)}"), show_header=False)
    table.title_justify = "left"
    units = "clusters" if certificate.clusters else "samples"
    tested = "" if certificate.test == "binomial" else ", tested by the share of samples"
    rows = {
        "threshold": f"{certificate.gate} > {certificate.threshold:g}, K = {certificate.top_k}",
        "promise": f"loses less than {percent(certificate.max_loss)} accuracy against the agent "
        f"alone, but for a risk of {percent(certificate.risk)}",
        "harmful": f"{certificate.harmful} of {certificate.n} {units} (p = "
        f"{certificate.p_value:.3g}){tested}",
        "coverage": f"{percent(certificate.accepted / certificate.samples)} of "
        f"{certificate.samples} samples answered by the draft",
    }
    if certificate.risk_each is not None:
        rows["shared risk"] = f"each gate and loss tested at {certificate.risk_each:.3g}"
    for name, text in rows.items():
        table.add_row(Text(name), Text(text))
    return table


def _frontier(certificate: Certificate) -> FittingTable:
    names = ("gate", "loss below", "threshold", "coverage", "accuracy", "seconds", "cost")
    table = FittingTable("All of these hold together", names, keys=3)
    for point in certificate.frontier:
        table.add_row(*_cells(point), style=_style(point, certificate))
    return table


def _cells(point: CertifiedPoint) -> tuple[str, ...]:
    cost = NOTHING if point.cost is None else f"{point.cost:.4g}"
    shares = (percent(point.coverage), percent(point.accuracy))
    return (
        *(point.gate, percent(point.max_loss), f"{point.threshold:g}"),
        *(*shares, f"{point.seconds:.3g}", cost),
    )


def _style(point: CertifiedPoint, certificate: Certificate) -> str:
    chosen = (certificate.gate, certificate.threshold, certificate.max_loss)
    return "bold" if (point.gate, point.threshold, point.max_loss) == chosen else ""


def _notes(certificate: Certificate) -> list[str]:
    notes = []
    if certificate.learned is not None:
        notes.append(
            f"{certificate.gate} was fitted on other samples of {certificate.learned.run}, which "
            "were left out here."
        )
    if certificate.errors:
        failed = "1 sample" if certificate.errors == 1 else f"{certificate.errors} samples"
        notes.append(f"{failed} failed; the promise is about answered ones.")
    if certificate.undecided:
        one = certificate.undecided == 1
        answers = "1 answer" if one else f"{certificate.undecided} answers"
        notes.append(
            f"{answers} could not be judged by rule: where the agent's may be right and the "
            f"draft's is not known to be, {'it counts' if one else 'they count'} as harm. "
            f"`speceyes judge` settles {'it' if one else 'them'}."
        )
    return notes
