"""Adds `speceyes sandbox run`; the sandbox itself is imported when the command runs."""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speceyes_cli.plugin import CheckSpec, Finding, UsageError, hookimpl, picture_from

if TYPE_CHECKING:
    from speceyes_plugins.sandbox.values import BlockResult

FAILED = 1


@hookimpl
def speceyes_checks() -> Iterable[CheckSpec]:
    """Look at every layer of isolation, and attack the sandbox."""
    yield CheckSpec("sandbox", look, "isolation of model-written code, proved by attacks")


def look() -> list[Finding]:
    """Layers as found, attacks as they ended."""
    from speceyes_plugins.sandbox.parent.report import isolation_report  # noqa: PLC0415 - when asked

    report = isolation_report()
    found = [
        Finding(layer.name, "ok" if layer.found else "absent", layer.detail)
        for layer in report.layers
    ]
    found += [
        Finding(f"attack: {attempt.name}", "ok" if attempt.stopped else "failed", attempt.detail)
        for attempt in report.attempts
    ]
    if report.problem is not None:
        found.append(Finding("sandbox", "failed", report.problem))
    return found


@hookimpl
def speceyes_commands(app: typer.Typer) -> None:
    """Add `speceyes sandbox`."""
    group = typer.Typer(no_args_is_help=True, help="The sandbox for model-written code.")
    group.callback()(_sandbox)
    group.command("run")(run_command)
    app.add_typer(group, name="sandbox")


def run_command(
    script: Annotated[Path, typer.Argument(help="A Python file.", show_default=False)],
    image: Annotated[
        Path, typer.Option("--image", help="The picture the script works on.", show_default=False)
    ],
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the pictures it gave back to this folder.")
    ] = None,
    json: Annotated[  # noqa: FBT002 - Typer names flags so
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print one object.")
    ] = False,
) -> None:
    """Run one file exactly as the agent would, and print what came back.

    The picture is read as a dataset's would be: upright, as RGB. The script finds it at
    `image_path` or /mnt/data/input.jpg and saves results under `temp_output_dir`; it shows a
    picture by printing its path. Exit code 1 when it failed.
    """
    from speceyes_plugins.sandbox import Sandbox  # noqa: PLC0415 - when it is needed

    for path in (script, image):
        if not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise UsageError(f"{path} {what}.")
    try:
        code = script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{script} cannot be read as text: {error}") from error
    picture = picture_from(image, image.name).open()
    began = time.perf_counter()
    with Sandbox() as sandbox, sandbox.open(picture) as session:
        started = time.perf_counter() - began
        result = session.run(code)
    saved = save_pictures(result, save) if save else []
    if json:
        typer.echo(json_module.dumps(told(result, saved), ensure_ascii=False, indent=2))
    else:
        show(result, saved, started)
    if not result.ok:
        raise typer.Exit(FAILED)


def save_pictures(result: BlockResult, folder: Path) -> list[str]:
    """Write the result's pictures as PNG; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"picture-{i + 1}.png" for i in range(len(result.images))]
    for path, picture in zip(paths, result.images, strict=True):
        picture.save(path)
    return [str(path) for path in paths]


def told(result: BlockResult, saved: list[str]) -> dict[str, Any]:
    """The result as JSON values; pictures as sizes, and paths where they were saved."""
    error = result.error
    return {
        "ok": result.ok,
        "stdout": result.stdout,
        "images": [{"width": i.width, "height": i.height} for i in result.images],
        "saved": saved,
        "error": None if error is None else {"kind": error.kind, "text": error.text},
        "seconds": round(result.seconds, 4),
        "repairs": list(result.repairs),
    }


def show(result: BlockResult, saved: list[str], started: float) -> None:
    """The result for a reader."""
    if result.stdout:
        typer.echo(result.stdout.rstrip("\n"))
    for number, picture in enumerate(result.images):
        where = f", saved as {saved[number]}" if saved else ""
        typer.echo(f"picture {number + 1}: {picture.width}x{picture.height}{where}")
    for note in result.repairs:
        typer.echo(f"mended: {note}", err=True)
    if result.error is not None:
        typer.echo(f"failed ({result.error.kind}): {result.error.text}", err=True)
    typer.echo(f"{result.seconds:.3f} s; the sandbox started in {started:.3f} s", err=True)


def _sandbox() -> None:
    pass
