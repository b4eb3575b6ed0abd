"""The drafts of a run as JSON lines: answer, every gate's score, each token, and timing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from speceyes_cli.core.gate.token import TokenScore, score_from
from speceyes_cli.core.run.records import Record, plain_json

Score = Callable[[Sequence[TokenScore]], float]


def draft_lines(records: Sequence[Record], scores: Mapping[str, Score]) -> Iterator[str]:
    """A line for each record that has a draft, in the run's order."""
    for record in records:
        draft = record.draft
        if draft is None:
            continue
        tokens = [score_from(note) for note in draft.tokens]
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
