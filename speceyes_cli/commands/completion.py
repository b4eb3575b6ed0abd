"""The values that a shell offers behind an option."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import typer

from speceyes_cli.host.manager import Host

Complete = Callable[[typer.Context, str], list[str]]


def _names(find: Callable[[Host, typer.Context], Iterable[str]]) -> Complete:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [name for name in find(ctx.obj, ctx) if name.startswith(incomplete)]

    return complete


def _splits(host: Host, context: typer.Context) -> list[str]:
    """The splits of the dataset that is named before, or of all."""
    named = context.params.get("dataset")
    specs = [spec for spec in host.datasets if named in (None, spec.name)]
    return ["all", *dict.fromkeys(split for spec in specs for split in spec.splits)]


VALUES: Mapping[str, Complete] = {
    "agent": _names(lambda host, _: [spec.name for spec in host.agents]),
    "dataset": _names(lambda host, _: [spec.name for spec in host.datasets]),
    "gate": _names(lambda host, _: [spec.name for spec in host.gates]),
    "method": _names(lambda host, _: [spec.name for spec in host.methods]),
    "split": _names(_splits),
}
"""What completes an option, by its name."""
