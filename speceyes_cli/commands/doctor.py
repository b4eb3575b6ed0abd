"""`speceyes doctor`: can this machine run it?"""

from __future__ import annotations

import json as json_module
import os
import platform
import shutil
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.run.info import library_versions
from speceyes_cli.core.text import one_line
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import DataSource, Finding

FAILED = 1
MARKS = {"ok": ("✓", "green"), "absent": ("–", "yellow"), "failed": ("✗", "red")}


def doctor_command(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option("--data", envvar="SPECEYES_DATA", help="Also look for datasets here."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print a list of objects.")
    ] = False,
) -> None:
    """Check this machine: libraries, GPU, kernel, sandbox, datasets. Exit 1 if something fails.

    The sandbox is really attacked, which takes about a second.
    """
    host: Host = context.obj
    rows = [(check, finding) for check, finding in look(host, data)]
    if json:
        told = [{"check": check, **finding._asdict()} for check, finding in rows]
        typer.echo(json_module.dumps(told, indent=2, ensure_ascii=False))
    else:
        Console(highlight=False, emoji=False).print(make_table(rows))
    if any(finding.state == "failed" for _, finding in rows):
        raise typer.Exit(FAILED)


def look(host: Host, data: str | None) -> Iterator[tuple[str, Finding]]:
    """Every finding with the check it belongs to."""
    yield "program", Finding("speceyes", "ok", library_versions()["speceyes"])
    yield "program", Finding("Python", "ok", platform.python_version())
    free = shutil.disk_usage(os.curdir).free / 2**30
    yield "program", Finding("disk", "ok" if free > 1 else "failed", f"{free:.1f} GiB free here")
    for plugin in host.broken:
        yield "program", Finding(plugin.source.plugin, "failed", str(plugin))
    for check in host.checks:
        try:
            for finding in check.run():
                yield check.name, finding
        except SpecEyesError as error:  # a check that breaks is itself a finding
            yield check.name, Finding(check.name, "failed", str(error))
    if data is not None:
        for dataset in host.datasets:
            yield "datasets", find_dataset(host, dataset.name, data)


def find_dataset(host: Host, name: str, data: str) -> Finding:
    """Whether every split of a dataset can be read from a folder."""
    dataset = host.datasets.get(name)
    try:
        for split in dataset.splits:
            dataset.check(split, DataSource(data))
    except SpecEyesError as error:
        return Finding(name, "absent", str(error))
    return Finding(name, "ok", ", ".join(dataset.splits))


def make_table(rows: list[tuple[str, Finding]]) -> Table:
    """The findings for a reader."""
    table = Table()
    for title in ("", "check", "what", "found"):
        table.add_column(title, overflow="fold")
    for check, finding in rows:
        mark, colour = MARKS[finding.state]
        cells = (check, finding.name, one_line(finding.detail, 300))
        table.add_row(Text(mark, colour), *(Text(cell) for cell in cells))
    return table
