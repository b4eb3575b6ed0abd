from __future__ import annotations

from typing import Any

import pytest

from speceyes_cli.core.chat import Answer, Ask, Message, Reply
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.methods.words import answer_words
from speceyes_cli.core.samples import NO_PICTURE, Sample

GATE = Gate("min", min_score)
SURE, UNSURE = TokenScore(12.0, -0.1, 5.0, 0.1), TokenScore(2.0, -0.9, 0.1, 2.0)
EARLIER = (Message("user", ("Hi.",)), Message("assistant", ("Hello.",)))
SAMPLE = Sample("s", "test", NO_PICTURE, "How are you?", shown=(), earlier=EARLIER)


def drive(gate: Gate | None, *replies: Reply) -> tuple[Answer, list[Ask]]:
    policy = answer_words(SAMPLE, gate, 64)
    asks = [next(policy)]
    for reply in replies:
        try:
            asks.append(policy.send(reply))
        except StopIteration as end:
            return end.value, asks
    raise AssertionError("no answer")


def test_the_large_model_answers_the_conversation_as_it_is() -> None:
    answer, [ask] = drive(None, Reply(" Well. ", 3, "stop"))
    assert (answer.text, answer.source, answer.confidence) == ("Well.", "large", None)
    assert ask.messages == (*EARLIER, Message("user", ("How are you?",)))
    assert ask.max_new_tokens == 64


@pytest.mark.parametrize(("score", "source"), [(SURE, "small"), (UNSURE, "large")])
def test_a_draft_stands_where_the_gate_accepts_it(score: TokenScore, source: str) -> None:
    drafted = Reply("Well.", 1, "stop", (score,))
    answer, asks = drive(GATE, drafted, Reply("Fine.", 1, "stop"))
    assert answer.source == source
    assert answer.confidence is not None
    assert asks[0].role == "small"
    assert asks[0].messages[:2] == EARLIER


@pytest.mark.parametrize(
    ("reply", "text", "details"),
    [
        (Reply("Well", 1, "length"), "Well", {"stopped": "max_tokens"}),
        (Reply("<think>Hm.</think>\nWell.", 3, "stop"), "Well.", {}),
        (Reply("Hm.</think>Well.", 3, "stop"), "Well.", {}),
        (Reply("<think>Hm", 3, "length"), "", {"stopped": "max_tokens"}),
    ],
)
def test_a_thought_is_no_answer_and_a_cut_is_said(
    reply: Reply, text: str, details: dict[str, Any]
) -> None:
    answer, _ = drive(None, reply)
    assert (answer.text, answer.details) == (text, details)
