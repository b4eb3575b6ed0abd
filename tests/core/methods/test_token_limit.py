from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.agents import Await, Begin, Begun
from speceyes_cli.core.chat import Answer, Ask, Message, Reply
from speceyes_cli.core.methods.token_limit import within_tokens

HELLO = (Message("user", ("hello",)),)


def asking(*phases: str, most: int = 8) -> Generator[Any, Any, Answer]:
    """Asks in each phase, then answers with all that was said."""
    said = []
    for phase in phases:
        reply = yield Ask("large", HELLO, most, phase=phase)
        said.append(reply.text)
    return Answer(" ".join(said), source="large")


def drive(policy: Generator[Any, Any, Answer]) -> tuple[Answer, list[Ask]]:
    """Every ask is answered with as many words as it may have."""
    asks: list[Ask] = []
    reply = None
    while True:
        try:
            need = policy.send(reply)
        except StopIteration as end:
            return end.value, asks
        asks.append(need)
        reply = Reply("word", need.max_new_tokens, "length")


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 12))
def test_the_agents_turns_together_write_no_more(most: int, turns: int, each: int) -> None:
    answer, asks = drive(within_tokens(asking(*["agent"] * turns, most=each), most))
    assert sum(ask.max_new_tokens for ask in asks) <= most
    assert all(ask.max_new_tokens >= 1 for ask in asks)
    cut = answer.details.get("stopped") == "max_tokens"
    assert cut is (len(asks) < turns)


def test_screens_are_not_counted_and_drafts_are_cut() -> None:
    policy = within_tokens(asking("screen", "draft", "agent", "screen", "agent"), 10)
    _, asks = drive(policy)
    assert [ask.max_new_tokens for ask in asks] == [8, 8, 8, 8, 2]
    _, asks = drive(within_tokens(asking("screen", "draft", "agent"), 3))
    assert [ask.max_new_tokens for ask in asks] == [8, 3, 3]


def test_what_runs_beside_shares_the_budget() -> None:
    def racing() -> Generator[Any, Any, Answer]:
        begun = yield Begin(asking("agent"))
        return (yield Await(begun))

    policy = within_tokens(racing(), 5)
    begin = next(policy)
    assert isinstance(begin, Begin)
    assert next(begin.steps).max_new_tokens == 5
    waiting = policy.send(Begun())
    assert isinstance(waiting, Await)


def test_closing_it_closes_the_policy() -> None:
    closed = []

    def patient() -> Generator[Any, Any, Answer]:
        try:
            yield Ask("large", HELLO, 8, phase="agent")
        finally:
            closed.append(True)
        pytest.fail("it went on")

    policy = within_tokens(patient(), 5)
    next(policy)
    policy.close()
    assert closed
