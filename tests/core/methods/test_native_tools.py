"""An agent whose model is told of its tools natively, from its first ask to its record."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from speceyes_cli.core.agents import AgentState, Policy
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Tool,
    ToolCall,
    ToolError,
    ToolResults,
)
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.methods.policies import solve, speceyes, specreason
from speceyes_cli.core.run.prompt_notes import prompt_hashes
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.scheduling.trajectories import Asked, Finished
from speceyes_cli.host.contracts.agents import WatchedAgent
from speceyes_cli.host.offers import Offer, Source

PICTURE = Picture("p", lambda: Image.new("RGB", (8, 8)))
CROP = Picture("crop", lambda: Image.new("RGB", (4, 4)))
SAMPLE = Sample("s", "test", PICTURE, "Which?", ("red", "blue"), "blue")
GATE = Gate("min", min_score)
LOOK = Tool("look", "Look closer.", {"type": "object", "properties": {}})
CALLS = (ToolCall("look", '{"at": 1}', "a"), ToolCall("look", "{", "b"))
RESULTS = ToolResults((Observation((CROP,), ("mended",)), ToolError("bad_json", "It is cut off.")))


@dataclass(frozen=True)
class Caller:
    """Calls twice where the reply says so; whatever else is said is the answer."""

    tools: Any = (LOOK,)
    outcome: ToolResults = RESULTS
    max_turns: int = 3
    max_new_tokens: int = 32
    stop: tuple[str, ...] = ()
    continues_turn: bool = False

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        return (Message("user", (sample.picture, "tool?")),)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        return (Message("user", (sample.picture, "go")),)

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, ToolResults | Answer]:
        del state
        yield from ()
        return self.outcome if reply.calls or "look" in reply.text else Answer(reply.text, "large")


def drive(policy: Policy, *replies: Reply) -> tuple[Answer, list[Ask]]:
    """Send the policy its replies; the answer, and every ask."""
    asks: list[Any] = [next(policy)]
    for reply in replies:
        try:
            asks.append(policy.send(reply))
        except StopIteration as end:
            return end.value, asks
    raise AssertionError("the policy wants more")


def said(text: str, **changes: Any) -> Reply:
    return replace(Reply(text, 1, "stop"), **changes)


def test_the_agents_asks_carry_its_tools_and_no_others_do() -> None:
    _, asks = drive(
        speceyes(SAMPLE, Caller(), GATE), said("no"), said("blue"), said("look"), said("red")
    )
    assert [(ask.phase, ask.tools) for ask in asks] == [
        ("screen", ()),
        ("draft", ()),
        ("agent", (LOOK,)),
        ("agent", (LOOK,)),
    ]


def test_each_call_has_its_answer() -> None:
    answer, asks = drive(solve(SAMPLE, Caller()), said("", calls=CALLS), said("red"))
    called, first, second = asks[1].messages[1:]
    assert called == Message("assistant", (), CALLS)
    assert first == Message("tool", (CROP,), call_id="a")
    assert second == Message("tool", ("It is cut off.",), call_id="b")
    assert answer.details["turns"][0] == {
        "outcome": "observation",
        "calls": 2,
        "kinds": ["bad_json"],
        "notes": ["mended"],
    }


def test_calls_in_the_text_stay_as_they_were_written() -> None:
    _, asks = drive(solve(SAMPLE, Caller()), said("<look> <look>"), said("red"))
    called, *results = asks[1].messages[1:]
    assert called == Message("assistant", ("<look> <look>",))
    assert [(one.role, one.call_id) for one in results] == [("tool", "")] * 2


def test_a_step_is_scored_with_its_calls_written_out() -> None:
    policy = specreason(SAMPLE, Caller(), GATE)
    _, asks = drive(policy, said("So:", calls=CALLS), said("9"), said("red"), said("9"))
    scored = asks[1]
    assert (scored.phase, scored.tools) == ("score", (LOOK,))
    assert scored.messages[-2] == Message("assistant", ('So:\nlook {"at": 1}\nlook {',))


def test_the_record_keeps_calls_and_answers() -> None:
    _, asks = drive(solve(SAMPLE, Caller()), said("", calls=CALLS), said("red"))
    replies = (said("", calls=CALLS), said("red"))
    events = tuple(Asked(ask, reply) for ask, reply in zip(asks, replies, strict=True))
    finished = Finished(SAMPLE.key, Answer("red", "large"), None, None, events, 1.0)
    record = build_record(SAMPLE, 0, finished, GATE, None)
    record = Record.model_validate_json(record.model_dump_json())
    assert [call.arguments for call in record.calls[0].calls] == ['{"at": 1}', "{"]
    called, first, second, last = record.messages["agent"][1:]
    assert [call.id for call in called.calls] == ["a", "b"]
    assert [(one.role, one.call_id) for one in (first, second)] == [("tool", "a"), ("tool", "b")]
    assert (last.role, last.calls) == ("assistant", ())


def test_other_tools_are_another_prompt() -> None:
    other = replace(Caller(), tools=(replace(LOOK, description="Look."),))
    none = replace(Caller(), tools=())
    hashes = [prompt_hashes(agent) for agent in (Caller(), other, none)]
    assert len({one.get("tools") for one in hashes}) == 3
    assert len({one["agent"] for one in hashes}) == 1


OFFER = Offer(Source("caller", "a test"), "tests", "speceyes_agents", "agent", "caller")


@pytest.mark.parametrize("tools", [None, "look", (LOOK.as_json(),), [1]])
def test_an_agent_whose_tools_are_none_is_refused(tools: Any) -> None:
    with pytest.raises(Exception, match="its tools"):
        WatchedAgent(Caller(tools=tools), OFFER)


@pytest.mark.parametrize("given", [0, 1, 3])
def test_a_step_that_leaves_calls_unanswered_is_an_error(given: int) -> None:
    outcome = ToolResults((ToolError("bad_json", "x"),) * given)
    agent = WatchedAgent(Caller(outcome=outcome), OFFER)
    state = AgentState(SAMPLE, agent.open(SAMPLE), 0)
    with pytest.raises(Exception, match=f"gives {given} results from step to 2 calls"):
        next(agent.step(said("", calls=CALLS), state))
