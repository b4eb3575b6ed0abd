"""What the cascade saved against the agent alone: an estimate, from what the agent took of late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from speceyes_cli.core.run.records import Record

REMEMBERED = 256
"""Latest answers of the agent whose mean is taken."""
AGENT_PHASES = ("agent", "propose", "score", "tool")


@dataclass(frozen=True, slots=True)
class Saving:
    """Against the agent alone; negative where screen and draft came on top of it."""

    seconds: float
    large_tokens: float
    """Tokens that the large model did not write."""
    answers: int
    """Answers of the agent that the estimate rests on."""


class AgentCosts:
    """What the agent took for the latest questions that it answered."""

    def __init__(self) -> None:
        self._latest: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)

    def estimate(self, record: Record) -> Saving | None:
        """What this answer saved; None before the agent has answered anything.

        An answer of the agent's own is known to have cost screen and draft, and adds to the mean.
        """
        own = sum(record.phase_seconds.get(phase, 0.0) for phase in AGENT_PHASES)
        written = sum(
            call.tokens
            for call in record.calls
            if call.phase in AGENT_PHASES and call.role == "large"
        )
        if record.route == "large" and own:
            self._latest.append((own, written))
            extra = record.large_tokens - written
            return Saving(own - record.seconds, -extra, len(self._latest))
        if not self._latest:
            return None
        count = len(self._latest)
        seconds = sum(seconds for seconds, _ in self._latest) / count
        tokens = sum(tokens for _, tokens in self._latest) / count
        return Saving(seconds - record.seconds, tokens - record.large_tokens, count)


def as_json(saving: Saving | None) -> dict[str, Any] | None:
    """The field of an answer."""
    if saving is None:
        return None
    return {
        "estimate": True,
        "seconds": saving.seconds,
        "large_tokens": saving.large_tokens,
        "from_answers": saving.answers,
    }
