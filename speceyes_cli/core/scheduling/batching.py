"""Which of the asks that wait go to a model together, and which batch goes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.core.chat import Role

PATIENCE = 8
"""Calls that may go ahead of an ask before its own batch goes, however small it is."""


class Waiting(NamedTuple):
    """An ask that waits for its model."""

    role: Role
    phase: str
    turn: int
    """How often its trajectory has asked in that phase before."""
    alone: bool
    """It was lost with a batch, and is not to take another one with it."""
    overtaken: int
    """Calls that went ahead of it."""
    longest: int = 0
    """Tokens that its reply may have."""


def next_batch(asks: Sequence[Waiting], most: Mapping[Role, int]) -> list[int]:
    """Places in `asks` of the fullest batch, none of `most` rows exceeded.

    Of batches that are as full, the one of shorter replies goes first, so that screens and drafts
    are not kept waiting by agents' turns; then the earlier one.

    Phases are kept apart because a batch lasts as long as its longest reply, and so are the turns
    of a conversation where one of them fills a batch by itself. Once an ask has been overtaken
    `PATIENCE` times its batch goes first.
    """
    of_phase: dict[object, list[int]] = {}
    of_turn: dict[object, list[int]] = {}
    for place, ask in enumerate(asks):
        phase = (ask.role, ask.phase, place if ask.alone else None)
        for batch in (of_phase.setdefault(phase, []), of_turn.setdefault((phase, ask.turn), [])):
            if len(batch) < most[ask.role]:
                batch.append(place)
    late = [b for b in of_phase.values() if any(asks[i].overtaken >= PATIENCE for i in b)]
    full = [b for b in of_turn.values() if len(b) == most[asks[b[0]].role]]
    return max(
        late or full or of_phase.values(),
        key=lambda batch: (len(batch), -asks[batch[0]].longest),
        default=[],
    )
