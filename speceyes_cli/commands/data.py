"""`speceyes data check`: is a benchmark's folder whole?"""

from __future__ import annotations

import contextlib
import json as json_module
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import one_line
from speceyes_cli.host.data_check import SplitCheck, check_dataset, expected_samples, recognize
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.plans import choose_splits
from speceyes_cli.host.running.progress import LINE_EVERY

SOMETHING_WRONG = 1
SHOWN = 20
"""Findings of a split that are printed; JSON has all."""


def data_app() -> typer.Typer:
    """The commands under `speceyes data`."""
    app = typer.Typer(help="Look after benchmark files.", no_args_is_help=True)
    app.callback()(_data)
    app.command("check")(check_command)
    return app


def check_command(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(help="Benchmark; without it, the one found in the folder.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(envvar="SPECEYES_DATA", help="Folder of its files, or hub to download them."),
    ] = None,
    split: Annotated[
        str, typer.Option(envvar="SPECEYES_SPLIT", help="One of its splits, or all.")
    ] = "all",
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print a list of objects.")
    ] = False,
) -> None:
    """Read every row of a benchmark and open every picture.

    Reported are splits that cannot be read, counts other than the published ones, malformed rows
    with their file and line, pictures that are missing or cannot be decoded, and duplicates.

    Exit codes: 0 all is well, 1 something is wrong with the data, 2 something to mend.
    """
    host: Host = context.obj
    if dataset is not None:
        spec = host.datasets.get(dataset)
    elif data is not None:
        spec = recognize(host.datasets, data)
    else:
        raise UsageError("Name a benchmark, or with --data the folder of one.")
    splits = choose_splits(spec, split)
    with _progress(spec.name, expected_samples(spec, splits, data)) as observe:
        checks = check_dataset(spec, splits, data, observe)
    _report(checks, as_json=json)
    if any(check.findings for check in checks):
        raise typer.Exit(SOMETHING_WRONG)


def _report(checks: Sequence[SplitCheck], *, as_json: bool) -> None:
    console = Console(highlight=False, emoji=False)
    if as_json:
        text = json_module.dumps([c.model_dump() for c in checks], indent=2, ensure_ascii=False)
        typer.echo(text)
        return
    table = Table()
    for name in ("split", "samples", "published", "findings"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for check in checks:
        published = "–" if check.published is None else f"{check.published:,}"
        cells = (check.split, f"{check.samples:,}", published, f"{len(check.findings):,}")
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    console.print(table)
    for check in checks:
        if check.unshuffled:
            said = (
                f"{check.split} · note · {check.unshuffled:,} samples keep options in place when "
                "the others are shuffled, since they mean others (None of the above) or carry "
                f"letters or numbers of their own; the first is {check.unshuffled_example}"
            )
            console.print(one_line(said, 500), markup=False, soft_wrap=True)
        for finding in check.findings[:SHOWN]:
            line = f"{check.split} · {finding.kind} · {one_line(finding.text, 500)}"
            console.print(line, markup=False, soft_wrap=True)
        if len(check.findings) > SHOWN:
            more = len(check.findings) - SHOWN
            console.print(f"{check.split} · and {more:,} more; --json lists them all", markup=False)


@contextlib.contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, a line now and then without one; call what it gives per sample."""
    screen = Console(stderr=True, highlight=False)
    if not screen.is_terminal:
        yield _plain_lines(screen, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=screen) as progress:
        task = progress.add_task(name, total=total)
        yield lambda: progress.advance(task)


def _plain_lines(screen: Console, total: int | None) -> Callable[[], None]:
    done, last = 0, time.monotonic()
    of = "" if total is None else f" of {total}"

    def observe() -> None:
        nonlocal done, last
        done += 1
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            screen.print(f"{done}{of} samples read", markup=False)

    return observe


def _data() -> None:
    """Keep `check` a subcommand while it is the only one."""
