"""Judging a run: which answers still need a verdict, and keeping each as it comes."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from speceyes_cli.core.context import Closeable
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.answers import read_answers
from speceyes_cli.core.judging.judges import Claim, ClaimKey, Identity, Judge, Judged
from speceyes_cli.core.judging.verdicts import (
    ERROR,
    SCHEMA,
    JudgedNote,
    kind_of,
    read_verdicts,
)
from speceyes_cli.core.run.database import DATABASE, connect, rows_in_order, told, transaction
from speceyes_cli.core.run.info import RunInfo, read_run_info, write_atomically
from speceyes_cli.core.run.reading import VerdictPart
from speceyes_cli.core.run.store import VERDICTS, take_lock

# A verdict that decided is never overwritten; what is open gives way.
_INSERT = """
INSERT INTO verdicts (split, sample_id, said, body) VALUES (?, ?, ?, ?)
ON CONFLICT (split, sample_id, said) DO UPDATE SET body = excluded.body
WHERE json_extract(verdicts.body, '$.right') IS NULL
"""
AUDIT_SEED = 0


class Tally(NamedTuple):
    """What judging a run came to."""

    answers: int
    """Samples with an answer to judge."""
    counts: Counter[str]
    """Answers by where their verdict comes from, and by what it is ("right", "wrong")."""


class Judging(Closeable):
    """A run folder open for verdicts; use `open_judging`, and close it."""

    def __init__(self, folder: Path, info: RunInfo, lock: IO[str]) -> None:
        """`lock` is held until `close`."""
        self.folder = folder
        self.info = info
        self._lock = lock
        with told(folder):
            self._database = connect(folder / DATABASE)
            self._database.execute(SCHEMA)
            rows = rows_in_order(self._database, info.config.splits)
            self._answers = [read_answers(body, folder) for *_, body in rows]
            self.verdicts = read_verdicts(self._database)
        self._options: dict[str, Any] = {}

    def claims(self) -> list[Claim]:
        """Every distinct answer of every sample, in the run's order."""
        return [claim for answers in self._answers for claim in answers.claims]

    def pending(self, judge: str, *, retry_errors: bool) -> list[Claim]:
        """The claims that this judge has not judged yet.

        What a rule left undecided is pending for another judge; an error with `retry_errors` only.
        """

        def is_open(claim: Claim) -> bool:
            note = self.verdicts.get(claim.key)
            if note is None:
                return True
            if note.provenance == ERROR:
                return retry_errors
            return note.right is None and note.model is None and note.judge != judge

        return [claim for claim in self.claims() if is_open(claim)]

    def sign_with(self, judge: str, options: Mapping[str, Any], *, anew: bool) -> None:
        """Keep the judge's options that decide verdicts with each of them.

        Raises `DataError` when it gave some of the verdicts with others, unless all are made anew.
        """
        earlier = (n.options for n in self.verdicts.values() if n.judge == judge and not anew)
        other = next((found for found in earlier if found != options), None)
        if other is not None:
            raise DataError(
                f"{self.folder} was judged by {judge} with other options ({_spelled(other)}, now "
                f"{_spelled(options)}); --fresh judges it anew."
            )
        self._options = dict(options)

    def bind(self, identity: Identity | None) -> None:
        """Raise `DataError` when another model or prompt gave some of the verdicts."""
        if identity is None:
            return
        for note in self.verdicts.values():
            if note.model is not None and note.provenance != ERROR:
                earlier = Identity(note.model, note.prompt or "")
                if earlier != identity:
                    what = "model" if earlier.model != identity.model else "prompt"
                    raise DataError(
                        f"{self.folder} was judged with another {what} "
                        f"({_told(earlier)}, now {_told(identity)}); "
                        "--fresh judges it anew."
                    )

    @property
    def is_empty(self) -> bool:
        """Whether no sample has finished yet."""
        return not self._answers

    def tally(self) -> Tally:
        """Answers by where their verdict comes from: these, and the dataset's rule without any.

        Those to questions without a known answer, on which there is no verdict, are left out.
        """
        counted = 0
        counts: Counter[str] = Counter()
        for answers in self._answers:
            if answers.failed:
                continue
            verdict: JudgedNote | VerdictPart | None = answers.verdict
            if answers.own is not None:
                verdict = self.verdicts.get(answers.own.key, verdict)
                is_open = verdict is None or verdict.right is None
                if is_open and answers.own.sample.answer is None:
                    continue
            counted += 1
            if verdict is not None:
                counts[kind_of(verdict.right, verdict.provenance)] += 1
                if verdict.right is not None:
                    counts["right" if verdict.right else "wrong"] += 1
        return Tally(counted, counts)

    def keep(self, judged: Sequence[Judged]) -> None:
        """Keep some verdicts in one transaction; when this returns, they are on the disk."""
        if self._options:
            signed = {"options": self._options}
            judged = [Judged(claim, note.model_copy(update=signed)) for claim, note in judged]
        rows = [(*claim.key, note.model_dump_json()) for claim, note in judged]
        with told(self.folder), transaction(self._database):
            self._database.executemany(_INSERT, rows)
        self.verdicts.update({claim.key: note for claim, note in judged})

    def forget(self) -> None:
        """Drop every verdict, so that the run is judged anew."""
        with told(self.folder):
            self._database.execute("DELETE FROM verdicts")
        self.verdicts.clear()

    def export(self) -> Path:
        """Write `verdicts.jsonl`, a line for each verdict, whole or not at all."""
        path = self.folder / VERDICTS
        wanted = [claim.key for claim in self.claims()]
        notes = ((key, self.verdicts[key]) for key in wanted if key in self.verdicts)
        lines = (
            json.dumps({**key._asdict(), **note.model_dump()}, ensure_ascii=False) + "\n"
            for key, note in notes
        )
        with told(self.folder):
            write_atomically(path, lines)
        return path

    def close(self) -> None:
        """Release the folder, leaving one database file that can be read anywhere."""
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()
        self._lock.close()


def open_judging(folder: Path) -> Judging:
    """Open a run for verdicts; `DataError` when it is none, holds nothing yet, or is in use."""
    info = read_run_info(folder)
    if not (folder / DATABASE).exists():
        raise DataError(
            f"{folder} has no {DATABASE}: the run holds no finished sample yet, or was copied "
            "without it."
        )
    with told(folder):
        lock = take_lock(folder)
    try:
        judging = Judging(folder, info, lock)
    except BaseException:
        lock.close()
        raise
    if judging.is_empty:
        judging.close()
        raise DataError(f"{folder} holds no finished sample yet; there is nothing to judge.")
    return judging


def judge_claims(
    judging: Judging, judge: Judge, claims: Sequence[Claim], observe: Callable[[Judged], None]
) -> None:
    """Judge the claims, keep each verdict as it comes, then show it to `observe`.

    However this ends, the export is brought up to date.
    """
    try:
        with contextlib.closing(judge.judge(claims)) as batches:
            for judged in batches:
                judging.keep(judged)
                for one in judged:
                    observe(one)
    finally:
        judging.export()


class Disagreement(NamedTuple):
    """A claim on which the second opinion differs."""

    claim: Claim
    first: JudgedNote
    second: JudgedNote


class Audit(NamedTuple):
    """What judging a few claims twice came to."""

    asked: int
    """Claims that got a second opinion."""
    failed: int
    """Claims whose second opinion could not be had or was undecided."""
    disagreements: list[Disagreement]

    @property
    def share(self) -> float | None:
        """Disagreements among second opinions; None without any."""
        compared = self.asked - self.failed
        return len(self.disagreements) / compared if compared else None


def draw_audit(judging: Judging, count: int) -> list[Claim]:
    """Claims with a verdict, drawn at random but always the same ones."""
    decided = [claim for claim in judging.claims() if _right(judging.verdicts, claim) is not None]
    chance = random.Random(AUDIT_SEED)  # noqa: S311 - no secret
    return chance.sample(decided, min(count, len(decided)))


def compare_audit(verdicts: Mapping[ClaimKey, JudgedNote], second: Iterable[Judged]) -> Audit:
    """Second opinions beside the first."""
    asked = failed = 0
    differing = []
    for claim, note in second:
        asked += 1
        first = verdicts[claim.key]
        if note.right is None:
            failed += 1
        elif note.right is not first.right:
            differing.append(Disagreement(claim, first, note))
    return Audit(asked, failed, differing)


def _right(verdicts: Mapping[ClaimKey, JudgedNote], claim: Claim) -> bool | None:
    note = verdicts.get(claim.key)
    return note.right if note is not None else None


def _told(identity: Identity) -> str:
    return f"{identity.model}, prompt {identity.prompt[:8]}"


def _spelled(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "none"
