"""`speceyes prompts`: what a run would say to its models, and where every text comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from speceyes_cli.commands.options import passed_options, takes
from speceyes_cli.commands.prompts.toml import as_toml
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import (
    WHAT,
    AgentChoice,
    DataOptions,
    ModelOptions,
    ParityOptions,
    option,
)
from speceyes_cli.host.planning.rendered import PromptPlan, Shown, plan_prompts

SOMETHING_WRONG = 1
SHOW = "How to show it"


@dataclass(frozen=True, kw_only=True)
class PromptsOptions(ParityOptions, AgentChoice, ModelOptions, DataOptions):
    """Whose prompts, about which samples, for which models."""

    limit: int | None = option(1, "Samples of each split; 0 for all.", WHAT)


@dataclass(frozen=True, kw_only=True)
class ShowOptions(PromptsOptions):
    """The prompts, and how they are shown."""

    tokens: bool = option(
        default=False, help="Print the token ids too.", panel=SHOW, flags="--tokens"
    )
    json: bool = option(default=False, help="Print an object.", panel=SHOW, flags="--json")


def prompts_app() -> typer.Typer:
    """The commands under `speceyes prompts`."""
    app = typer.Typer(
        help="See what a run would say to its models, as text and as tokens.", no_args_is_help=True
    )
    app.callback()(_prompts)
    app.command("show")(show_command)
    app.command("check")(check_command)
    app.command("export")(export_command)
    return app


@takes(ShowOptions)
def show_command(context: typer.Context, options: ShowOptions) -> None:
    """Print what each phase of a run would say, through the chat template of its model.

    speceyes prompts show --prompts upstream:FOLDER --dataset vstar --data FOLDER --large FOLDER

    The models are not loaded: a folder with a tokenizer, a processor and a template is enough. A
    picture is one placeholder in the text, and as many tokens as the model has for it.
    """
    host: Host = context.obj
    plan = plan_prompts(options, passed_options(context), host)
    if options.json:
        typer.echo(json.dumps(_document(plan), indent=2, ensure_ascii=False))
        return
    for line in plan.notes:
        typer.echo(strip_control(line), err=True)
    for sample_key, shown in plan.shown():
        for line in _lines(sample_key, shown, tokens=options.tokens):
            typer.echo(strip_control(line))
    typer.echo("── where the texts come from")
    for key, note in plan.prompts.items():
        typer.echo(strip_control(f"{key:<22}{note.digest[:12]}  {note.origin}"))


@takes(PromptsOptions)
def check_command(context: typer.Context, options: PromptsOptions) -> None:
    """Render every phase for every sample, and tell what the templates do to the texts.

    Told are a template that fails, and one that leaves out or changes a word of a prompt.

    Exit codes: 0 all is well, 1 a template does something to a prompt, 2 something to mend.
    """
    host: Host = context.obj
    plan = plan_prompts(options, passed_options(context), host)
    for line in plan.notes:
        typer.echo(strip_control(line), err=True)
    wrong: dict[tuple[str, str], list[str]] = {}
    count = unknown = 0
    for sample_key, shown in plan.shown():
        count += 1
        unknown += shown.rendered is None and not shown.wrong
        if shown.wrong:
            wrong.setdefault((shown.phase, shown.wrong), []).append(sample_key)
    for (phase, sentence), keys in wrong.items():
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        typer.echo(strip_control(f"{phase}, {keys[0]}{more}: {sentence}"))
    if unknown:
        typer.echo(
            f"{unknown} of {count} could not be rendered: their engine has no template here."
        )
    if wrong:
        raise typer.Exit(SOMETHING_WRONG)
    typer.echo(f"{count - unknown} prompts rendered; every word of them reaches its model.")


@takes(PromptsOptions)
def export_command(context: typer.Context, options: PromptsOptions) -> None:
    """Print every text as a TOML file for --prompts, each below the place it comes from."""
    host: Host = context.obj
    plan = plan_prompts(options, passed_options(context), host)
    for line in plan.notes:
        typer.echo(strip_control(line), err=True)
    typer.echo(
        as_toml(plan.texts, {key: note.origin for key, note in plan.prompts.items()}), nl=False
    )


def _lines(sample_key: str, shown: Shown, *, tokens: bool) -> Iterator[str]:
    count = "" if shown.rendered is None else f" · {len(shown.rendered.ids)} tokens"
    yield f"── {sample_key} · {shown.phase} · {shown.role}{count}"
    if shown.wrong:
        yield f"!! {shown.wrong}"
    if shown.rendered is None:
        yield from _plain(shown)
        return
    yield shown.rendered.text
    if tokens:
        yield " ".join(map(str, shown.rendered.ids))


def _plain(shown: Shown) -> Iterable[str]:
    """The messages themselves, where no template is at hand."""
    for message in shown.ask.messages:
        parts = (part if isinstance(part, str) else "<picture>" for part in message.content)
        yield f"[{message.role}] {''.join(parts)}"


def _document(plan: PromptPlan) -> dict[str, Any]:
    shown: Sequence[tuple[str, Shown]] = list(plan.shown())
    return {
        "notes": list(plan.notes),
        "texts": {
            key: {"text": plan.texts[key], **plan.prompts[key].model_dump()} for key in plan.texts
        },
        "phases": [
            {
                "sample": sample_key,
                "phase": one.phase,
                "role": one.role,
                "text": one.rendered.text if one.rendered else None,
                "ids": list(one.rendered.ids) if one.rendered else None,
                "wrong": one.wrong or None,
            }
            for sample_key, one in shown
        ],
    }


def _prompts() -> None:
    """Keep the commands a group however many there are."""
