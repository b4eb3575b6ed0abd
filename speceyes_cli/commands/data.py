"""`speceyes data`: is a benchmark's folder whole, and a few pictures to begin with."""

from __future__ import annotations

import contextlib
import json as json_module
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from speceyes_cli.commands.completion import VALUES
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.text import one_line, strip_control
from speceyes_cli.host.data_check import SplitCheck, check_dataset, expected_samples, recognize
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import DataOptions
from speceyes_cli.host.planning.splits import choose_splits
from speceyes_cli.host.running.progress import LINE_EVERY
from speceyes_cli.host.specs import DatasetSpec, DataSource

SOMETHING_WRONG = 1
SHOWN = 20
"""Findings of a split that are printed; JSON has all."""
SAMPLES = 10
QUESTIONS = "questions.jsonl"


def data_app() -> typer.Typer:
    """The commands under `speceyes data`."""
    app = typer.Typer(
        help="Check a benchmark's files, or write sample pictures.", no_args_is_help=True
    )
    app.command("check")(check_command)
    app.command("sample")(sample_command)
    return app


def check_command(
    context: typer.Context,
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="Benchmark; without it, the one found in the folder.",
            autocompletion=VALUES["dataset"],
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            envvar="SPECEYES_DATA",
            help="Folder of its files, or one file; hub or hub@COMMIT downloads them.",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            envvar="SPECEYES_SPLIT",
            help="One of its splits, or all.",
            autocompletion=VALUES["split"],
        ),
    ] = "all",
    json: Annotated[
        bool, typer.Option("--json", envvar="SPECEYES_JSON", help="Print a list of objects.")
    ] = False,
) -> None:
    """Read every row of a benchmark and open every picture.

    Reported are splits that cannot be read, counts other than the published ones, malformed rows
    with their file and line, pictures that are missing or cannot be decoded, and duplicates.

    Exit codes: 0 all is well, 1 something is wrong with the data, 2 something to mend.
    """
    host: Host = context.obj
    if dataset is not None:
        spec = host.datasets.get(dataset)
    elif data is not None:
        spec = recognize(host.datasets, data)
    else:
        raise UsageError("Name a benchmark, or with --data the folder of one.")
    splits = choose_splits(spec, split)
    with _progress(spec.name, expected_samples(spec, splits, data)) as observe:
        checks = check_dataset(spec, splits, data, observe)
    _report(checks, as_json=json)
    if any(check.findings for check in checks):
        raise typer.Exit(SOMETHING_WRONG)


def sample_command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="New folder for them.")] = Path("sample"),
) -> None:
    """Write ten needle pictures with their questions, to ask and to run.

    The folder is one that --dataset jsonl reads: pictures, and a line of questions.jsonl for each.
    """
    host: Host = context.obj
    samples = write_samples(host.datasets.get(DataOptions.dataset), folder)
    first = samples[0]
    options = "".join(f" --option {shlex.quote(option)}" for option in first.options)
    shown = shlex.quote(strip_control(str(folder)))
    typer.echo(f"{len(samples)} pictures and {QUESTIONS} in {shown}. Ask about one, or run them:")
    typer.echo(
        f"  speceyes infer {shown}/{picture_name(first)} {shlex.quote(first.question)}{options}"
    )
    typer.echo(f"  speceyes eval --dataset jsonl --data {shown}")


def write_samples(spec: DatasetSpec, folder: Path) -> list[Sample]:
    """Write the first samples of each split, ten in all; `DataError` unless the folder is new."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; name a new folder.")
    splits = choose_splits(spec, "all")
    source = DataSource(None, DataOptions.option_order)
    rows = [spec.open(split, source) for split in splits]
    samples = [sample for found in rows for sample in islice(found, SAMPLES // len(splits))]
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        sample.picture.open().save(folder / picture_name(sample))
    lines = [
        json_module.dumps(
            {
                "image": picture_name(sample),
                "question": sample.question,
                "options": sample.options,
                "answer": sample.answer,
            }
        )
        for sample in samples
    ]
    (folder / QUESTIONS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return samples


def picture_name(sample: Sample) -> str:
    """The file of a sample's picture."""
    return f"{sample.id.replace('/', '-')}.png"


def _report(checks: Sequence[SplitCheck], *, as_json: bool) -> None:
    console = Console(highlight=False, emoji=False)
    if as_json:
        text = json_module.dumps([c.model_dump() for c in checks], indent=2, ensure_ascii=False)
        typer.echo(text)
        return
    table = Table()
    for name in ("split", "samples", "published", "findings"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for check in checks:
        published = "–" if check.published is None else f"{check.published:,}"
        cells = (check.split, f"{check.samples:,}", published, f"{len(check.findings):,}")
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    console.print(table)
    for check in checks:
        if check.unshuffled:
            said = (
                f"{check.split} · note · {check.unshuffled:,} samples keep options in place when "
                "the others are shuffled, since they mean others (None of the above) or carry "
                f"letters or numbers of their own; the first is {check.unshuffled_example}"
            )
            console.print(one_line(said, 500), markup=False, soft_wrap=True)
        for finding in check.findings[:SHOWN]:
            line = f"{check.split} · {finding.kind} · {one_line(finding.text, 500)}"
            console.print(line, markup=False, soft_wrap=True)
        if len(check.findings) > SHOWN:
            more = len(check.findings) - SHOWN
            console.print(f"{check.split} · and {more:,} more; --json lists them all", markup=False)


@contextlib.contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, a line now and then without one; call what it gives per sample."""
    screen = Console(stderr=True, highlight=False)
    if not screen.is_terminal:
        yield _plain_lines(screen, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=screen) as progress:
        task = progress.add_task(name, total=total)
        yield lambda: progress.advance(task)


def _plain_lines(screen: Console, total: int | None) -> Callable[[], None]:
    done, last = 0, time.monotonic()
    of = "" if total is None else f" of {total}"

    def observe() -> None:
        nonlocal done, last
        done += 1
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            screen.print(f"{done}{of} samples read", markup=False)

    return observe
