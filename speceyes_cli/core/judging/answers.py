"""What judging needs of a run's records, read without conversations and tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pydantic import Field

from speceyes_cli.core.chat import Picture, Role
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.judging.judges import Claim
from speceyes_cli.core.run.reading import AnswerPart, RecordPart, VerdictPart, parse_part
from speceyes_cli.core.samples import Sample


class Answers(NamedTuple):
    """The answers of one sample."""

    claims: tuple[Claim, ...]
    """What there is to judge: its answer, then its branches; each text once."""
    own: Claim | None
    """Its answer; None after an error."""
    failed: bool
    """It ended by an error."""
    verdict: VerdictPart | None
    """The dataset's rule on its answer; None after an error."""


class _Branch(RecordPart):
    text: str


class _Row(AnswerPart):
    branches: dict[Role, _Branch] = Field(default_factory=dict)


def read_answers(body: Any, where: Path) -> Answers:
    """The answers in a record's JSON; `DataError` for what is no record."""
    row = parse_part(_Row, body, where)
    sample = Sample(
        id=row.sample_id,
        split=row.split,
        picture=Picture(row.sample_id, _no_picture),
        question=row.question,
        options=row.options,
        answer=row.answer,
        cluster=row.cluster,
        category=row.category,
        meta=row.meta,
    )
    texts = [] if row.text is None else [row.text]
    texts += [branch.text for branch in row.branches.values()]
    claims = tuple(Claim(sample, text) for text in dict.fromkeys(texts))
    own = None if row.text is None else claims[0]
    return Answers(claims, own, row.error is not None, row.verdict)


def _no_picture() -> NoReturn:
    raise PictureError("a judge sees no picture")
