"""The `speceyes` program: its commands, and the one place that knows user errors."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host, build_host
from speceyes_cli.host.offers import BrokenPlugin

USER_ERROR = 2
HELP = """Fast agentic vision-language models: a small model answers first, and the slow agent
with its tools runs only where a gate finds the answer unsure.

\b
Start here:
  speceyes eval                     the tiny pair on pictures drawn on the spot
  speceyes eval --method baseline   the agent alone: the speedup's measure
  speceyes gather runs              both side by side

\b
With your own models and data:
  speceyes eval --models paper --dataset vstar --data FOLDER

Every option can also be given in the environment: SPECEYES_THRESHOLD=0.95 is --threshold 0.95.
"""


class Command(NamedTuple):
    """A command that is imported when it is wanted, so that `--help` is quick."""

    module: str
    attribute: str
    """A command's function, or a function that makes a `typer.Typer` of several."""
    summary: str
    """Its line in the help."""


COMMANDS = {
    "eval": Command("eval", "eval_command", "Run a method over a dataset."),
    "infer": Command("infer", "infer_command", "Answer one question, or draft a whole dataset."),
    "judge": Command("judge.command", "judge_command", "Judge the answers of runs."),
    "gather": Command("gather.command", "gather_command", "Put runs side by side in one table."),
    "serve": Command("serve", "serve_command", "Serve the cascade to any OpenAI client."),
    "view": Command("view", "view_command", "Look at runs in the browser."),
    "plugins": Command("plugins", "plugins_command", "List all plugins and where they come from."),
    "doctor": Command("doctor", "doctor_command", "Look at what this machine can run."),
    "analyze": Command("analyze", "analyze_app", "Read runs: confidence, threshold, certificate."),
    "data": Command("data", "data_app", "Check a benchmark's files, or write sample pictures."),
    "prompts": Command("prompts.command", "prompts_app", "See what a run would say to its models."),
}
"""The built-in commands; a plugin may take none of their names."""
GROUPS = ("analyze", "data", "prompts")
"""Those that hold several."""


def load_command(name: str) -> Any:
    """Import one of `COMMANDS` as the parser takes it."""
    command = COMMANDS[name]
    module = importlib.import_module(f"speceyes_cli.commands.{command.module}")
    made = getattr(module, command.attribute)
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)
    tidy = importlib.import_module("speceyes_cli.commands.help_texts").tidy
    if name in GROUPS:
        app.callback()(lambda: None)  # so that it stays a group of groups
        app.add_typer(made(), name=name)
        return tidy(typer.main.get_group(app).commands[name])
    helps = importlib.import_module("speceyes_cli.commands.plugin_help")
    app.command(name, cls=helps.CLASSES.get(name))(made)
    return tidy(typer.main.get_command(app))


class _Group(TyperGroup):
    """Imports a command when it is called.

    Says what the user can mend in one sentence; bugs keep their traceback.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = load_command(args[0])
        return super().resolve_command(ctx, args)

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
        rich_markup_mode=None,  # the library for it takes longer than all the rest of --help
        pretty_exceptions_enable=False,
    )
    app.callback()(_program)
    for name, command in COMMANDS.items():
        app.command(name, help=command.summary)(_not_loaded)
    add_plugin_commands(app, host)
    return app


def add_plugin_commands(app: typer.Typer, host: Host) -> None:
    """Add every plugin's commands; those that fail are named and left out."""
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


def _not_loaded() -> None:
    """Stands for a command in the help."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("speceyes"))
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
