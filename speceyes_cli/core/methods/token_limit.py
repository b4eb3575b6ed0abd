"""A policy within a number of tokens, as whoever asked has set it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from speceyes_cli.core.agents import Begin
from speceyes_cli.core.chat import Answer, Ask, Reply
from speceyes_cli.core.methods.words import ANSWER_PHASE

COUNTED = ("agent", "propose", ANSWER_PHASE)
"""The phases whose tokens are of the answer, thoughts included."""


@dataclass(slots=True)
class _Budget:
    left: int


def within_tokens(policy: Generator[Any, Any, Any], most: int) -> Generator[Any, Any, Any]:
    """The policy, in whose answer the large model writes at most `most` tokens, thoughts included.

    A draft is cut there too, and then never stands. Where nothing is left for a further turn the
    answer is empty, and its details say "max_tokens".
    """
    return _limited(policy, most, _Budget(most))


def _limited(
    policy: Generator[Any, Any, Any], most: int, budget: _Budget
) -> Generator[Any, Any, Any]:
    sent: Any = None
    try:
        while True:
            try:
                need = policy.send(sent)
            except StopIteration as end:
                return end.value
            if isinstance(need, Begin):
                need = Begin(_limited(need.steps, most, budget))
            if not isinstance(need, Ask):
                sent = yield need
                continue
            counted = need.phase in COUNTED
            if counted and budget.left < 1:
                return Answer("", source="large", details={"stopped": "max_tokens"})
            if counted or need.phase == "draft":
                room = budget.left if counted else most
                need = replace(need, max_new_tokens=min(need.max_new_tokens, room))
            sent = yield need
            if counted and isinstance(sent, Reply):
                budget.left -= sent.tokens
    finally:
        policy.close()
