"""`speceyes plugins`: what is installed and from where."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speceyes_cli.core.text import one_line
from speceyes_cli.host.manager import Host


class Listed(NamedTuple):
    """One thing that a plugin offers."""

    kind: str
    name: str
    plugin: str
    distribution: str
    summary: str


def plugins_command(
    context: typer.Context,
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print a list of objects.")
    ] = False,
) -> None:
    """List methods, agents, engines, datasets, gates and judges, and where each comes from."""
    rows = list_plugins(context.obj)
    if json:
        typer.echo(json_module.dumps([row._asdict() for row in rows], indent=2))
        return
    console = Console(highlight=False, emoji=False)
    for distribution in dict.fromkeys(row.distribution for row in rows):
        console.print(Text(f"From {one_line(distribution)}", "table.title"))
        console.print(_table([row for row in rows if row.distribution == distribution]))


def _table(rows: Sequence[Listed]) -> Table:
    """What one distribution offers; on a narrow terminal only what it is takes several lines."""
    table = Table()
    for title in ("kind", "name", "plugin", "what it is"):
        table.add_column(title, no_wrap=title != "what it is")
    for row in rows:
        cells = (row.kind, row.name, row.plugin, row.summary)
        table.add_row(*(Text(one_line(cell, 500)) for cell in cells))
    return table


def list_plugins(host: Host) -> list[Listed]:
    """Everything the installed plugins offer, then what is wrong and set aside."""
    listed = [
        Listed(catalog.kind, spec.name, *catalog.sources[spec.name], spec.summary)
        for catalog in host.catalogs
        for spec in catalog
    ]
    listed += _implementers(host, "commands", "speceyes_commands", "adds commands")
    listed += _implementers(host, "record", "speceyes_record", "observes finished records")
    return listed + [
        Listed("broken", plugin.hook or plugin.source.plugin, *plugin.source, plugin.reason)
        for plugin in host.broken
    ]


def _implementers(host: Host, kind: str, hook: str, summary: str) -> list[Listed]:
    return [
        Listed(kind, found.source.plugin, *found.source, summary)
        for found in host.implementations(hook)
    ]
