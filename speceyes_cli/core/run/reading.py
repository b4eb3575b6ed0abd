"""Reading a run as columns, or one record of it, without every record in memory.

Of each record's JSON only what `columns` holds becomes Python objects: the conversations, most of
what is kept, are passed over by the parser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import Le
from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypedDict

from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.judges import ClaimKey
from speceyes_cli.core.judging.verdicts import JudgedNote, overlay
from speceyes_cli.core.run.columns import Columns, columns_of
from speceyes_cli.core.run.info import RunInfo, read_run_info
from speceyes_cli.core.run.records import SCHEMA_VERSION, Record
from speceyes_cli.core.run.store import (
    SampleKey,
    Stored,
    open_stored,
    parse_record,
    unreadable,
)


def read_columns(folder: Path) -> tuple[RunInfo, Columns]:
    """A run's description and its records as columns, also while it is being written.

    Where a judge has been, its verdicts stand in the place of the dataset's rule. Raises
    `DataError` for what is no run or cannot be read.
    """
    info = read_run_info(folder)
    with open_stored(folder, info) as stored:
        return info, columns_of(_rows(stored, folder))


def read_record(folder: Path, key: SampleKey) -> Record:
    """All that is kept of one sample; `DataError` when the run has no record of it."""
    with open_stored(folder, read_run_info(folder), key) as stored:
        for body in stored.bodies:
            record = parse_record(body, folder)
            if (record.split, record.sample_id) == key:
                return overlay([record], stored.verdicts)[0]
    raise DataError(f"{folder} holds no record of {key.split}/{key.sample_id}.")


class RecordPart(BaseModel):
    """Some fields of what stands in `records` under the same name; the others are passed over."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


Part = TypeVar("Part", bound=RecordPart)


class VerdictPart(RecordPart):
    """What is read of a verdict."""

    right: bool | None
    provenance: str


class _Branch(RecordPart):
    text: str
    verdict: VerdictPart


class _Error(RecordPart):
    kind: str


class _Call(RecordPart):
    phase: str
    finish: str


class _Token(RecordPart):
    separability: float | None
    logprob: float | None
    margin: float | None
    entropy: float | None
    fault: str = ""
    rivals: list[float] = []


class _Draft(RecordPart):
    text: str
    accepted: bool
    tied_tokens: int
    tokens: list[_Token]


class _Details(TypedDict, total=False):
    turns: Any
    """What the policy wrote of each of the agent's turns."""


class AnswerPart(RecordPart):
    """What is read of a sample and its answer."""

    schema_version: Annotated[int, Le(SCHEMA_VERSION)] = SCHEMA_VERSION
    sample_id: str
    split: str
    question: str
    options: tuple[str, ...]
    answer: str | None
    category: str | None
    cluster: str | None
    meta: dict[str, Any]
    text: str | None
    verdict: VerdictPart | None
    error: _Error | None


class _Row(AnswerPart):
    position: int
    picture_digest: str | None = None
    route: str
    confidence: float | None
    passed_screen: bool | None
    draft: _Draft | None
    branches: dict[Role, _Branch] = {}
    calls: list[_Call]
    small_tokens: int
    large_tokens: int
    details: _Details
    phase_seconds: dict[str, float]
    seconds: float
    cached_seconds: float = 0.0


def parse_part(part: type[Part], body: Any, where: Path) -> Part:
    """The part of the record in a text; `DataError` for what is no record."""
    try:
        return part.model_validate_json(body)
    except (ValidationError, TypeError) as error:
        raise unreadable(where, error) from None


def _rows(stored: Stored, where: Path) -> Iterator[_Row]:
    for body in stored.bodies:
        row = parse_part(_Row, body, where)
        if stored.verdicts:
            _lay_over(row, stored.verdicts)
        yield row


def _lay_over(row: _Row, verdicts: Mapping[ClaimKey, JudgedNote]) -> None:
    """Put the judge's verdicts, where there are any, in the place of the rule's."""
    answers: list[_Row | _Branch] = [row, *row.branches.values()]
    for answer in answers:
        if answer.text is not None:
            found = verdicts.get(ClaimKey(row.split, row.sample_id, answer.text))
            if found is not None:
                answer.verdict = VerdictPart(right=found.right, provenance=found.provenance)
