"""The options that plugins declare, below a command's own in its `--help`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.plugin_options import AGENT, ENGINE, JUDGE, METHOD, Owner, declared


class _Command(TyperCommand):
    """A command that takes the options of some kinds of plugins."""

    flags: tuple[str, ...] = ()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        if not isinstance(ctx.obj, Host):
            return
        console = Console(highlight=False, emoji=False)
        for flag in self.flags:
            for owner in declared(flag, ctx.obj):
                console.print(_panel(flag, owner))


class RunCommand(_Command):
    """A command that runs a method: with the options of agents, engines and methods."""

    flags = (AGENT, ENGINE, METHOD)


class JudgeCommand(_Command):
    """A command that judges: with the options of judges."""

    flags = (JUDGE,)


CLASSES: Mapping[str, type[TyperCommand]] = {
    "eval": RunCommand,
    "infer": RunCommand,
    "serve": RunCommand,
    "judge": JudgeCommand,
}
"""The commands that take plugins' options, by name."""


def _panel(flag: str, owner: Owner) -> Panel:
    table = Table.grid(padding=(0, 2))
    for option in owner.options:
        default = "" if option.default is None else f" [default: {_spelled(option.default)}]"
        given = f"{flag} {option.name}={option.form}"
        table.add_row(Text(given, style="bold cyan"), Text(strip_control(option.help) + default))
    title = Text(strip_control(f"The {owner.kind} {owner.name}"))
    return Panel(table, title=title, title_align="left", border_style="dim")


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
