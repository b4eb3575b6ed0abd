"""`speceyes view`: a local page that shows runs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from speceyes_cli.commands.options import takes
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.planning.options import argument, option

SHOW = "The page"
DEFAULT = Path("runs")


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """The options of `speceyes view`."""

    paths: list[Path] | None = argument(
        "Folders that hold runs, or run folders; runs by default. They may be growing."
    )
    port: int = option(0, "Port of 127.0.0.1; 0 for a free one.", SHOW, "--port")
    open: bool = option(default=False, help="Open it in the browser.", panel=SHOW, flags="--open")


@takes(ViewOptions)
def view_command(context: typer.Context, options: ViewOptions) -> None:
    """Look at runs in the browser: tables, charts, samples with their pictures, and what if.

    A read-only page at 127.0.0.1 for who has the address that is printed. It reads the folders
    again as runs grow; a both-branches run has a slider for its threshold, with the figures of
    `analyze replay`.

    Exit codes: 0 stopped, 2 something to mend.
    """
    from speceyes_cli.serve.http.server import (  # noqa: PLC0415 - starlette and uvicorn are heavy
        open_socket,
        terminable,
    )
    from speceyes_cli.view.server import ADDRESS, run_view  # noqa: PLC0415 - the same

    paths = options.paths or [DEFAULT]
    for path in paths:
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise UsageError(f"{path} {what}; name a folder that holds runs, or one to hold them.")
    screen = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

    def announce(line: str) -> None:
        screen.print(strip_control(line), markup=False)

    with (
        terminable(),
        open_socket(ADDRESS, options.port) as listener,
        contextlib.suppress(KeyboardInterrupt),
    ):
        run_view(paths, context.obj, listener, announce, open_browser=options.open)
