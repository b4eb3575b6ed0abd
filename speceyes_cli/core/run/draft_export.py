"""The drafts of a run as JSON lines: answer, every gate's score, each token, and timing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.run.records import Record, TokenNote, plain_json

Score = Callable[[Sequence[TokenScore]], float]


def draft_lines(records: Sequence[Record], scores: Mapping[str, Score]) -> Iterator[str]:
    """A line for each record that has a draft, in the run's order."""
    for record in records:
        draft = record.draft
        if draft is None:
            continue
        tokens = [token_score(note) for note in draft.tokens]
        line = {
            "split": record.split,
            "sample_id": record.sample_id,
            "text": draft.text,
            "answer": record.answer,
            "right": record.verdict.right if record.verdict is not None else None,
            "scores": {
                name: plain_json(score(tokens)) if tokens else None
                for name, score in scores.items()
            },
            "tokens": [note.model_dump() for note in draft.tokens],
            "seconds": record.phase_seconds.get("draft"),
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"


def token_score(note: TokenNote) -> TokenScore:
    """The note as gates take it: NaN where undefined."""
    return TokenScore(
        _number(note.separability),
        _number(note.logprob),
        _number(note.margin),
        _number(note.entropy),
        note.fault,
        note.rivals,
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
