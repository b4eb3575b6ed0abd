"""Help that fits 80 columns: paragraphs that flow, and no word that every option would repeat."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperOption

ENVIRONMENT = "Options are also read from the environment: SPECEYES_TOP_K=32 is --top-k 32."


def tidy(command: Any) -> Any:
    """The command, or the commands of the group, with help that fits a narrow terminal.

    The environment's rule stands below once; an option names its variable only where that is
    another than the rule's. Flags, which take no value, show no type.
    """
    for below in getattr(command, "commands", {}).values():
        tidy(below)
    command.help = flow(command.help or "")
    ruled = [option for option in command.params if _by_rule(option)]
    for option in ruled:
        option.show_envvar = False
    if ruled:
        command.epilog = ENVIRONMENT
    own = command.get_help_option(typer.Context(command))
    for option in (*command.params, *([own] if own else [])):
        if isinstance(option, TyperOption) and option.is_flag:
            option.metavar = ""
    return command


def flow(text: str) -> str:
    """Each paragraph on one line, for the terminal to break; what is indented stays as it is."""
    return "\n\n".join(map(_joined, text.split("\n\n")))


def _joined(paragraph: str) -> str:
    laid_out = "\n " in paragraph or paragraph.startswith((" ", "\b", "- "))
    return paragraph if laid_out else " ".join(paragraph.splitlines())


def _by_rule(option: Any) -> bool:
    names = [name.removeprefix("--").replace("-", "_").upper() for name in option.opts]
    return isinstance(option, TyperOption) and option.envvar in {f"SPECEYES_{n}" for n in names}
