"""Verdicts that a judge gave after the run: kept beside the records, and laid over them.

A verdict belongs to a sample and the very words judged, so an answer that a later try replaced
is judged again, and both branches of a sample have theirs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.judges import ClaimKey
from speceyes_cli.core.run.records import Record, Text, VerdictNote

SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (
    split TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    said TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (split, sample_id, said)
) STRICT
"""
ERROR = "error"
CACHE = "cache"
LLM = "llm"
RULE = "rule"
UNDECIDED = "undecided"
KINDS = (RULE, LLM, CACHE, UNDECIDED, ERROR)
"""Where verdicts come from, in the order in which tables show them."""


class JudgedNote(BaseModel):
    """One verdict of a judge, as kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    right: bool | None
    """None: undecided, or the judge failed."""
    provenance: Text
    """A rule's word such as "letter", or "llm", "cache" or "error"."""
    judge: Text
    """The judge's name."""
    model: Text | None = None
    """The model that was asked; None where a rule decided."""
    prompt: Text | None = None
    """A digest of the judge's prompt; None where a rule decided."""
    reply: Text = ""
    """The model's words, or what went wrong."""
    options: dict[str, bool | int | float | str | None] = {}
    """The judge's own options that decide verdicts, by name."""


def kind_of(right: bool | None, provenance: str) -> str:  # noqa: FBT001 - a verdict's own field
    """Which of `KINDS` a verdict is."""
    if provenance == ERROR:
        return ERROR
    if right is None:
        return UNDECIDED
    return provenance if provenance in (LLM, CACHE) else RULE


def read_verdicts(
    connection: sqlite3.Connection, sample: tuple[str, str] | None = None
) -> dict[ClaimKey, JudgedNote]:
    """Every verdict of a run, or of one sample (split, id); none where no judge has been."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'verdicts'").fetchone():
        return {}
    select = "SELECT split, sample_id, said, body FROM verdicts"
    if sample is None:
        rows = connection.execute(select).fetchall()
    else:
        rows = connection.execute(f"{select} WHERE split = ? AND sample_id = ?", sample).fetchall()
    try:
        return {ClaimKey(*key): JudgedNote.model_validate_json(body) for *key, body in rows}
    except (ValidationError, TypeError) as error:  # a damaged database may hold no text
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no text"
        raise DataError(
            f"A verdict in this run cannot be read: {reason}; "
            "`speceyes judge --fresh` judges it again."
        ) from None


def overlay(records: Iterable[Record], found: Mapping[ClaimKey, JudgedNote]) -> list[Record]:
    """The records with the judge's verdicts in place of the dataset's rule, where there are any."""
    return [_judged(record, found) for record in records] if found else list(records)


def _judged(record: Record, found: Mapping[ClaimKey, JudgedNote]) -> Record:
    def note(text: str | None, unless: VerdictNote | None) -> VerdictNote | None:
        key = ClaimKey(record.split, record.sample_id, text or "")
        given = found.get(key) if text is not None else None
        if given is None:
            return unless
        return VerdictNote(right=given.right, provenance=given.provenance)

    branches = {
        role: branch.model_copy(update={"verdict": note(branch.text, branch.verdict)})
        for role, branch in record.branches.items()
    }
    verdict = note(record.text, record.verdict)
    return record.model_copy(update={"verdict": verdict, "branches": branches})
