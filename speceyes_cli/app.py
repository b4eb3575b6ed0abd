"""The `speceyes` program: its commands, and the one place that knows user errors."""

from __future__ import annotations

import sys
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from speceyes_cli.commands.analyze import analyze_app
from speceyes_cli.commands.data import data_app
from speceyes_cli.commands.doctor import doctor_command
from speceyes_cli.commands.eval import eval_command
from speceyes_cli.commands.gather.command import gather_command
from speceyes_cli.commands.infer import infer_command
from speceyes_cli.commands.judge.command import judge_command
from speceyes_cli.commands.plugins import plugins_command
from speceyes_cli.commands.serve import serve_command
from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.run.info import library_versions
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host, build_host
from speceyes_cli.host.offers import BrokenPlugin

USER_ERROR = 2
HELP = """Fast agentic vision-language models: a small model answers first, and the slow agent
with its tools runs only where a gate finds the answer unsure.

[bold]Start here[/]

  speceyes eval                        the tiny pair that comes along, on pictures drawn on the spot

  speceyes eval --method baseline      the agent alone: what the speedup is measured against

  speceyes gather runs                 both side by side

[bold]With your own models and data[/]

  speceyes eval --models paper --dataset vstar --data FOLDER --threshold 0.98

Every option can also be given in the environment: SPECEYES_THRESHOLD=0.95 is --threshold 0.95.
"""


class _Group(TyperGroup):
    """Says what the user can mend in one sentence; bugs keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SpecEyesError as error:
            say(str(error))
        except OSError as error:
            if error.filename is None:
                raise
            say(f"{error.filename} cannot be used: {error.strerror}.")
        raise typer.Exit(USER_ERROR)


def build_app(host: Host) -> typer.Typer:
    """The program with the commands of the host's plugins."""
    app = typer.Typer(
        name="speceyes",
        cls=_Group,
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(_program)
    app.command("eval")(eval_command)
    app.command("infer")(infer_command)
    app.command("judge")(judge_command)
    app.command("gather")(gather_command)
    app.command("serve")(serve_command)
    app.command("plugins")(plugins_command)
    app.command("doctor")(doctor_command)
    app.add_typer(analyze_app(), name="analyze")
    app.add_typer(data_app(), name="data")
    add_plugin_commands(app, host)
    return app


def add_plugin_commands(app: typer.Typer, host: Host) -> None:
    """Add every plugin's commands; those that cannot be made are told of and left out."""
    taken = command_names(app)
    for plugin in host.implementations("speceyes_commands"):
        own = typer.Typer()
        wrong = plugin.call(app=own)
        reason = wrong_commands(own, taken)
        if wrong is None and reason:
            wrong = BrokenPlugin(plugin.source, reason, plugin.hook)
        if wrong is not None:
            say(str(wrong))
            continue
        app.registered_commands += own.registered_commands
        app.registered_groups += own.registered_groups
        taken |= command_names(own)


def wrong_commands(app: typer.Typer, taken: AbstractSet[str]) -> str | None:
    """What keeps these commands from being added, as the end of a sentence; None when they fit."""
    names = command_names(app)
    if twice := sorted(names & taken):
        return f"it adds the command {twice[0]!r}, which there is already"
    try:
        if names:
            typer.main.get_command(app)
    except Exception as error:  # noqa: BLE001 - whatever Typer finds in a plugin's functions
        return f"it adds commands that cannot be made: {type(error).__name__}: {error}".rstrip(".")
    return None


def command_names(app: typer.Typer) -> set[str]:
    """What can be written behind the program's name, as far as Typer tells."""
    named = {info.name or _spelled(info.callback) for info in app.registered_commands}
    return named | {info.name for info in app.registered_groups if isinstance(info.name, str)}


def _spelled(callback: Any) -> str:
    return str(getattr(callback, "__name__", "")).lower().replace("_", "-")


def main() -> None:
    """Run the program."""
    try:
        host = build_host()
    except SpecEyesError as error:
        say(str(error))
        sys.exit(USER_ERROR)
    for plugin in host.broken:
        say(str(plugin))
    build_app(host)(obj=host, prog_name="speceyes")


def say(sentence: str) -> None:
    """Tell the user something on the error stream."""
    typer.echo(f"speceyes: {strip_control(sentence)}", err=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(library_versions()["speceyes"])
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
