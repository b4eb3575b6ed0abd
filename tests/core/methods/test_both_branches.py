from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import Answer, Ask, Message, Picture, Reply
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.defaults import KEPT_LOGITS
from speceyes_cli.core.gate.early_rejection import min_hopeless
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.methods.both_branches import both_branches
from speceyes_cli.core.methods.policies import speceyes
from speceyes_cli.core.samples import Sample

GATE = Gate("min", min_score, hopeless=min_hopeless)
SURE, UNSURE = TokenScore(12.0, -0.1, 5.0, 0.1), TokenScore(2.0, -0.9, 0.1, 2.0)
SAMPLE = Sample("s", "test", Picture("p", lambda: Image.new("RGB", (8, 8))), "What?")


class Agent:
    max_turns, max_new_tokens, stop, continues_turn = 3, 9, (), False

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        return (Message("user", (sample.question,)),)

    open = screen

    def step(self, reply: Reply, state: AgentState) -> Any:  # noqa: ARG002 - the protocol
        yield from ()
        return Answer(reply.text, "large")


def play(policy: Any, replies: dict[str, Reply]) -> tuple[Answer, list[Ask]]:
    """The policy's answer when each phase gets its reply, and what it asked."""
    asks: list[Ask] = []
    reply = None
    try:
        while True:
            asks.append(policy.send(reply))
            reply = replies[asks[-1].phase]
    except StopIteration as end:
        return end.value, asks


@pytest.mark.parametrize("screen", ["No.", "Yes."])
@pytest.mark.parametrize("score", [SURE, UNSURE, TokenScore(*[math.nan] * 4)])
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_it_answers_what_the_method_answers_and_keeps_both(
    screen: str, score: TokenScore, finish: Any
) -> None:
    replies = {
        "screen": Reply(screen, 1, "stop"),
        "draft": Reply(" red ", 1, finish, (score,)),
        "agent": Reply("blue", 1, "stop"),
    }
    answer, asks = play(both_branches(SAMPLE, Agent(), GATE), replies)
    wanted, _ = play(speceyes(SAMPLE, Agent(), GATE), replies)
    assert (answer.text, answer.source) == (wanted.text, wanted.source)
    assert answer.branches == {"small": "red", "large": "blue"}
    assert [ask.phase for ask in asks] == ["screen", "draft", "agent"]


def test_the_draft_is_scored_to_its_end_with_what_any_k_needs() -> None:
    replies = {
        "screen": Reply("Yes.", 1, "stop"),
        "draft": Reply("red", 1, "stop", (UNSURE,)),
        "agent": Reply("blue", 1, "stop"),
    }
    _, asks = play(both_branches(SAMPLE, Agent(), GATE), replies)
    assert asks[1].gate == replace(GATE, hopeless=None, kept=KEPT_LOGITS)
