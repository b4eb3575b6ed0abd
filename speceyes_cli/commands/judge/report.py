"""How judging shows that it is going on, and what it came to."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from speceyes_cli.commands.tables import NOTHING, percent
from speceyes_cli.core.judging.judges import Judged
from speceyes_cli.core.judging.judging import Audit, Tally
from speceyes_cli.core.judging.verdicts import CACHE, KINDS, LLM, RULE, kind_of
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.text import one_line
from speceyes_cli.host.running.progress import LINE_EVERY

DECIDING = (RULE, LLM, CACHE)
"""Kinds of verdicts that say right or wrong."""
SHOWN = 10
"""Disagreements of an audit that are printed; JSON has all."""


class JudgedRun(NamedTuple):
    """A run after its judging."""

    info: RunInfo
    tally: Tally
    audit: Audit | None


@contextlib.contextmanager
def watch_judging(screen: Console, total: int, title: str) -> Iterator[Callable[[Judged], None]]:
    """A bar on a terminal, a line now and then without one; call what it gives per verdict."""
    counts: Counter[str] = Counter()

    def tally() -> str:
        return " · ".join(f"{kind} {counts[kind]}" for kind in KINDS if counts[kind])

    if not screen.is_terminal:
        yield _plain_lines(screen, total, counts, tally)
        if total:
            screen.print(f"{counts.total()} of {total} judged · {tally()}", markup=False)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TextColumn("{task.fields[tally]}"), TimeRemainingColumn(), console=screen
    ) as progress:
        task = progress.add_task(one_line(title, 40), total=total, tally="")

        def advance(judged: Judged) -> None:
            counts[_kind(judged)] += 1
            progress.update(task, advance=1, tally=tally())

        yield advance


def report(runs: Sequence[JudgedRun], console: Console) -> None:
    """The runs by number, a line of counts for each, then what the audits found."""
    counts = [run.tally.counts for run in runs]
    kinds = [kind for kind in KINDS if any(one[kind] for one in counts)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("#")
    for name in (
        "answers",
        "right",
        "wrong",
        *(f"by {kind}" if kind in DECIDING else kind for kind in kinds),
        "right %",
    ):
        table.add_column(name, justify="right")
    for number, (run, count) in enumerate(zip(runs, counts, strict=True), start=1):
        console.print(Text(f"{number:>3}  {one_line(run.info.name)}", overflow="fold"))
        shown = [
            run.tally.answers,
            count["right"],
            count["wrong"],
            *(count[kind] for kind in kinds),
        ]
        share = _share(count["right"], run)
        table.add_row(
            str(number), *map(str, shown), NOTHING if share is None else f"{100 * share:.1f}"
        )
    console.print(table)
    for run in runs:
        if run.audit is not None:
            _report_audit(run.info.name, run.audit, console)


def told_as_json(run: JudgedRun) -> dict[str, Any]:
    """A run's figures as an object."""
    answers, counts = run.tally
    told: dict[str, Any] = {"run": run.info.name, "answers": answers}
    told |= {name: counts[name] for name in ("right", "wrong", *KINDS)}
    if run.audit is not None:
        told["audit"] = {
            "asked": run.audit.asked,
            "failed": run.audit.failed,
            "disagreement": run.audit.share,
            "disagreements": [
                {
                    **found.claim.key._asdict(),
                    "answer": found.claim.sample.answer,
                    "first": found.first.model_dump(),
                    "second": found.second.model_dump(),
                }
                for found in run.audit.disagreements
            ],
        }
    return told


def _report_audit(name: str, audit: Audit, console: Console) -> None:
    compared = audit.asked - audit.failed
    line = f"Audit of {name}: {len(audit.disagreements)} of {compared} second opinions differ"
    line += f" ({percent(audit.share)})" if compared else ""
    line += f"; {audit.failed} could not be had" if audit.failed else ""
    console.print(f"{one_line(line)}.", markup=False, soft_wrap=True)
    for found in audit.disagreements[:SHOWN]:
        key, first, second = found.claim.key, found.first, found.second
        told = (
            f"  {key.split}/{key.sample_id}: {_word(first.right)} ({first.provenance}), then "
            f"{_word(second.right)}; the answer {one_line(key.said, 60)!r}, "
            f"known {one_line(found.claim.sample.answer or '', 40)!r}"
        )
        console.print(one_line(told, 240), markup=False, soft_wrap=True)
    if len(audit.disagreements) > SHOWN:
        console.print(f"  and {len(audit.disagreements) - SHOWN} more; --json lists them all")


def _plain_lines(
    screen: Console, total: int, counts: Counter[str], tally: Callable[[], str]
) -> Callable[[Judged], None]:
    last = time.monotonic()

    def advance(judged: Judged) -> None:
        nonlocal last
        counts[_kind(judged)] += 1
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            screen.print(f"{counts.total()} of {total} judged · {tally()}", markup=False)

    return advance


def _kind(judged: Judged) -> str:
    return kind_of(judged.note.right, judged.note.provenance)


def _word(right: bool | None) -> str:
    return "right" if right else "wrong"


def _share(count: int, run: JudgedRun) -> float | None:
    return count / run.tally.answers if run.tally.answers else None
