"""From a dataclass of options to a command of the command line."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from speceyes_cli.commands.completion import VALUES
from speceyes_cli.core.errors import UsageError

Options = TypeVar("Options")


def takes(
    options: type[Options],
) -> Callable[[Callable[[typer.Context, Options], None]], Callable[..., None]]:
    """Make a function of (context, options) a command with an option for each field.

    A field made by `argument` is an argument; those made by `option` are options.
    A field's metadata gives its help, its panel and, where the name alone does not say them, its
    flags. Each option can also come from the environment variable SPECEYES_<NAME>.
    """

    def decorate(function: Callable[[typer.Context, Options], None]) -> Callable[..., None]:
        def command(context: typer.Context, **values: Any) -> None:
            function(context, options(**values))

        parameters = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *_parameters(options),
        ]
        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def passed_options(context: typer.Context) -> tuple[str, ...]:
    """The options the user named, on the command line or in the environment."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return tuple(
        name for name, source in sources.items() if source is not None and source.name != "DEFAULT"
    )


def refuse_named(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise `UsageError` for the first of these options that is on the command line.

    One that comes from the environment, which serves all commands, is left unread.
    """
    for param in context.command.params:
        if param.name in names and is_written(context, param.name):
            raise UsageError(f"{param.opts[0]} {why}")


def is_written(context: typer.Context, name: str) -> bool:
    """Whether the option is on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parameters(options: type[Any]) -> list[inspect.Parameter]:
    types = get_type_hints(options)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=Annotated[types[field.name], _declaration(field)],
        )
        for field in dataclasses.fields(options)
    ]


def _default(field: dataclasses.Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


def _declaration(field: dataclasses.Field[Any]) -> Any:
    if field.metadata.get("argument"):
        return typer.Argument(help=field.metadata["help"], show_default=False)
    flags = field.metadata["flags"] or f"--{field.name.replace('_', '-')}"
    return typer.Option(
        flags,
        help=field.metadata["help"],
        rich_help_panel=field.metadata["panel"],
        envvar=f"SPECEYES_{field.name.upper()}",
        autocompletion=VALUES.get(field.name),
    )
