from __future__ import annotations

import math
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
    Size,
    ToolError,
)
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.early_rejection import min_hopeless
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.methods.method_options import MethodOptions
from speceyes_cli.core.methods.policies import (
    baseline,
    draft,
    solve,
    speceyes,
    specreason,
)
from speceyes_cli.core.methods.prompts import SCORE_INSTRUCTION
from speceyes_cli.core.replies.scores import read_score
from speceyes_cli.core.replies.yes_no import says_no
from speceyes_cli.core.samples import Sample

SAMPLE = Sample(
    "s", "test", Picture("p", lambda: Image.new("RGB", (8, 8))), "Which?", ("red", "blue"), "blue"
)
GATE = Gate("min", min_score, hopeless=min_hopeless)
SURE = (TokenScore(12.0, -0.01, 9.0, 0.1),)
UNSURE = (TokenScore(1.0, -0.9, 0.1, 2.0),)


@dataclass(frozen=True)
class Parrot:
    """An agent that runs a tool for "look", fails for "bad", and takes anything else as answer."""

    max_turns: int = 3
    max_new_tokens: int = 32
    stop: tuple[str, ...] = ("</end>",)
    continues_turn: bool = False

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        return (Message("user", (sample.picture, "tool?")),)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        return (Message("system", ("be good",)), Message("user", (sample.picture, "go")))

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        if reply.text == "look":
            return (yield Run(lambda: Observation(("never called",)), {}))
        if reply.text == "bad":
            return ToolError("bad_json", "<told>not JSON</told>")
        return Answer(reply.text, "large", details={"frames": state.frames, "turn": state.turn})


def drive(policy: Policy, *outcomes: Any) -> tuple[Answer, list[Ask | Run]]:
    """Feed the policy its outcomes; the answer and everything it wanted."""
    wanted = [next(policy)]
    for outcome in outcomes:
        try:
            wanted.append(policy.send(outcome))
        except StopIteration as end:
            assert outcome is outcomes[-1], "the policy ended early"
            return end.value, wanted
    raise AssertionError("the policy wants more")


def reply(text: str, **changes: Any) -> Reply:
    return replace(Reply(text, 1, "stop"), **changes)


def test_a_sure_draft_stands_and_the_agent_never_runs() -> None:
    answer, wanted = drive(
        speceyes(SAMPLE, Parrot(), GATE), reply("No."), reply(" blue ", statistics=SURE)
    )
    assert (answer.text, answer.source) == ("blue", "small")
    assert answer.confidence == pytest.approx(1 / (1 + math.exp(-7.2)))
    screen, drafted = wanted
    assert isinstance(screen, Ask)
    assert (screen.role, screen.max_new_tokens, screen.phase) == ("large", 10, "screen")
    assert screen.gate is None
    assert isinstance(drafted, Ask)
    assert (drafted.role, drafted.max_new_tokens, drafted.phase) == ("small", 20, "draft")
    assert drafted.gate is GATE
    assert "B. blue" in str(drafted.messages[0].content[1])


def test_an_unsure_draft_goes_to_the_agent_and_keeps_its_confidence() -> None:
    answer, wanted = drive(
        speceyes(SAMPLE, Parrot(), GATE),
        reply("no"),
        reply("red", statistics=UNSURE),
        reply("blue"),
    )
    assert (answer.text, answer.source) == ("blue", "large")
    assert answer.confidence == pytest.approx(1 / (1 + math.exp(-0.6)))
    assert isinstance(wanted[2], Ask)
    assert (wanted[2].phase, wanted[2].max_new_tokens) == ("agent", 32)
    assert wanted[2].stop == ("</end>",)


@pytest.mark.parametrize("word", ["Yes", "yes.", "", "I am not sure", "Tool: no"])
def test_anything_but_no_goes_straight_to_the_agent(word: str) -> None:
    answer, wanted = drive(speceyes(SAMPLE, Parrot(), GATE), reply(word), reply("blue"))
    assert answer.source == "large"
    assert answer.confidence is None
    assert [ask.role for ask in wanted if isinstance(ask, Ask)] == ["large", "large"]


@pytest.mark.parametrize("word", ["no", "No", "NO.", "  no, thanks", "None needed"])
def test_a_leading_no_passes_the_screen(word: str) -> None:
    assert says_no(word)


@pytest.mark.parametrize(
    "bad_draft",
    [
        reply("blue", statistics=SURE, finish="length"),
        reply("blue", statistics=SURE, finish="rejected"),
        reply("blue", statistics=()),
        reply("", statistics=SURE),
        reply(" \n", statistics=SURE),
        reply("blue", statistics=(TokenScore(math.nan, 0.0, 1.0, 1.0), *SURE)),
        reply("blue", statistics=(TokenScore(math.inf, 0.0, 1.0, 1.0),)),
    ],
)
def test_a_draft_that_is_cut_empty_or_undefined_never_stands(bad_draft: Reply) -> None:
    open_gate = replace(GATE, threshold=0.0)
    answer, _ = drive(speceyes(SAMPLE, Parrot(), open_gate), reply("no"), bad_draft, reply("agent"))
    assert answer.source == "large"
    assert answer.confidence is None or math.isfinite(answer.confidence)


def test_the_baseline_is_the_agent_alone() -> None:
    answer, wanted = drive(baseline(SAMPLE, Parrot(), GATE), reply("red"))
    assert (answer.text, answer.source) == ("red", "large")
    assert [ask.phase for ask in wanted if isinstance(ask, Ask)] == ["agent"]


def test_the_draft_method_takes_every_draft_and_never_cuts_one_short() -> None:
    answer, wanted = drive(draft(SAMPLE, Parrot(), GATE), reply("red", statistics=UNSURE))
    assert (answer.text, answer.source) == ("red", "small")
    assert answer.confidence == pytest.approx(1 / (1 + math.exp(-0.6)))
    [ask] = wanted
    assert isinstance(ask, Ask)
    assert ask.gate is not None
    assert ask.gate.hopeless is None


def test_observations_and_tool_errors_go_back_as_user_turns() -> None:
    seen = Observation(("<crop>", SAMPLE.picture), notes=("clamped",))
    answer, wanted = drive(
        solve(SAMPLE, Parrot()), reply("look"), seen, reply("bad"), reply("blue")
    )
    last = wanted[-1]
    assert isinstance(last, Ask)
    assert [message.role for message in last.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert last.messages[2].content == ("look",)
    assert last.messages[3].content == ("<crop>", SAMPLE.picture)
    assert last.messages[5].content == ("<told>not JSON</told>",)
    assert not last.continue_turn
    assert answer.details["turns"] == [
        {"outcome": "observation", "notes": ["clamped"]},
        {"outcome": "tool_error", "kind": "bad_json"},
        {"outcome": "answer"},
    ]


def test_an_agent_that_continues_its_turn_gets_one_growing_assistant_message() -> None:
    agent = Parrot(continues_turn=True)
    seen = Observation(("<out>", SAMPLE.picture, "</out>"))
    _, wanted = drive(solve(SAMPLE, agent), reply("look"), seen, reply("bad"), reply("blue"))
    asks = [ask for ask in wanted if isinstance(ask, Ask)]
    assert [ask.continue_turn for ask in asks] == [False, True, True]
    assert [message.role for message in asks[2].messages] == ["system", "user", "assistant"]
    assert asks[2].messages[-1].content == (
        "look",
        "<out>",
        SAMPLE.picture,
        "</out>",
        "bad",
        "<told>not JSON</told>",
    )


def test_the_agent_is_told_the_turn_and_the_frames_it_saw() -> None:
    frames = (Size(56, 28),)
    answer, _ = drive(solve(SAMPLE, Parrot()), reply("bad"), reply("blue", frames=frames))
    assert answer.details["frames"] == frames
    assert answer.details["turn"] == 1


def test_the_turn_limit_ends_an_endless_loop() -> None:
    answer, wanted = drive(solve(SAMPLE, Parrot(max_turns=3)), *[reply("bad")] * 3)
    assert answer == Answer(
        "",
        "large",
        details={
            "turns": [{"outcome": "tool_error", "kind": "bad_json"}] * 3,
            "stopped": "turn_limit",
        },
    )
    assert len(wanted) == 3


STEPS = Gate("min", min_score, threshold=7)


def phases(wanted: list[Ask | Run]) -> list[tuple[str, str]]:
    return [(need.role, need.phase) for need in wanted if isinstance(need, Ask)]


def test_a_step_with_a_good_score_stands_and_runs_its_tool() -> None:
    seen = Observation(("<crop>", SAMPLE.picture))
    answer, wanted = drive(
        specreason(SAMPLE, Parrot(), STEPS),
        reply("look"),
        reply("7"),
        seen,
        reply("blue"),
        reply("9"),
    )
    assert (answer.text, answer.source) == ("blue", "small")
    assert phases(wanted) == [
        ("small", "propose"),
        ("large", "score"),
        ("small", "propose"),
        ("large", "score"),
    ]
    last = wanted[3]
    assert isinstance(last, Ask)
    assert last.messages[3].content == seen.content
    assert answer.details["turns"] == [
        {"outcome": "observation", "notes": [], "by": "small", "score": 7},
        {"outcome": "answer", "by": "small", "score": 9},
    ]


@pytest.mark.parametrize("score", ["6", "0", "", "good", "10", "seventy"])
def test_a_step_with_a_bad_score_is_written_anew_and_its_tool_is_kept(score: str) -> None:
    seen = Observation(("<crop>", SAMPLE.picture))
    answer, wanted = drive(
        specreason(SAMPLE, Parrot(), STEPS),
        reply("red"),
        reply(score),
        reply("look"),
        seen,
        reply("red"),
        reply("8"),
    )
    assert (answer.text, answer.source) == ("red", "small")
    written = wanted[2]
    assert isinstance(written, Ask)
    assert (written.role, written.phase) == ("large", "agent")
    assert [message.role for message in written.messages] == ["system", "user"]
    proposal = wanted[4]
    assert isinstance(proposal, Ask)
    assert [message.content for message in proposal.messages[2:]] == [("look",), seen.content]
    assert answer.details["turns"][0]["by"] == "large"


def test_the_large_model_scores_the_conversation_with_the_step_at_its_end() -> None:
    policy = specreason(SAMPLE, Parrot(), STEPS)
    proposed = next(policy)
    scoring = policy.send(reply("step"))
    assert scoring.messages[: len(proposed.messages)] == proposed.messages
    assert scoring.messages[-2:] == (
        Message("assistant", ("step",)),
        Message("user", (SCORE_INSTRUCTION,)),
    )
    assert not scoring.continue_turn


def test_a_step_within_a_turn_is_scored_as_one_assistant_message() -> None:
    agent = Parrot(continues_turn=True)
    seen = Observation(("<out>", SAMPLE.picture, "</out>"))
    _, wanted = drive(
        specreason(SAMPLE, agent, STEPS),
        reply("look"),
        reply("9"),
        seen,
        reply("blue"),
        reply("1"),
        reply("red"),
    )
    proposal, scoring, written = wanted[3], wanted[4], wanted[5]
    assert isinstance(proposal, Ask)
    assert isinstance(scoring, Ask)
    assert isinstance(written, Ask)
    assert proposal.continue_turn
    assert written.continue_turn
    assert written.messages == proposal.messages
    assert [message.role for message in scoring.messages] == ["system", "user", "assistant", "user"]
    assert scoring.messages[2].content == (*proposal.messages[-1].content, "blue")


def test_specreason_ends_at_the_turn_limit() -> None:
    rounds = [reply("bad"), reply("9")] * 2
    answer, _ = drive(specreason(SAMPLE, Parrot(max_turns=2), STEPS), *rounds)
    assert answer.text == ""
    assert answer.details["stopped"] == "turn_limit"


@pytest.mark.parametrize(
    ("text", "score"), [("7", 7), (" 9.", 9), ("8/9", 8), ("score: 3", 3), ("12", None), ("", None)]
)
def test_a_score_is_the_first_digit(text: str, score: int | None) -> None:
    assert read_score(text) == score


def test_the_small_model_may_screen() -> None:
    _, wanted = drive(
        speceyes(SAMPLE, Parrot(), GATE, MethodOptions(screen="small")),
        reply("No."),
        reply("blue", statistics=SURE),
    )
    assert phases(wanted) == [("small", "screen"), ("small", "draft")]


def test_without_a_screen_every_sample_is_drafted() -> None:
    answer, wanted = drive(
        speceyes(SAMPLE, Parrot(), GATE, MethodOptions(screen="none")),
        reply("red", statistics=UNSURE),
        reply("blue"),
    )
    assert phases(wanted) == [("small", "draft"), ("large", "agent")]
    assert answer.confidence is not None


def test_a_thinking_draft_is_what_follows_the_thought() -> None:
    thinking = MethodOptions(screen="none", thinking=True, draft_tokens=1024)
    answer, wanted = drive(
        speceyes(SAMPLE, Parrot(), GATE, thinking),
        reply("it may be red\n</think>\n\n blue", statistics=SURE),
    )
    assert (answer.text, answer.source) == ("blue", "small")
    [ask] = wanted
    assert isinstance(ask, Ask)
    assert (ask.scored_after, ask.max_new_tokens) == ("</think>", 1024)


@pytest.mark.parametrize(
    "unfinished",
    [
        reply("<think>it may", statistics=SURE),
        reply("it may be", statistics=SURE, finish="length"),
        reply("a thought</think>", statistics=()),
    ],
)
def test_a_thought_without_an_answer_never_stands(unfinished: Reply) -> None:
    thinking = MethodOptions(screen="none", thinking=True)
    open_gate = replace(GATE, threshold=0.0)
    answer, _ = drive(speceyes(SAMPLE, Parrot(), open_gate, thinking), unfinished, reply("agent"))
    assert answer.source == "large"


@pytest.mark.parametrize("method", [speceyes, draft])
@pytest.mark.parametrize("said", ["red</think> blue", "<think>red</think>\n<think></think>blue"])
def test_a_thought_that_nobody_asked_for_is_neither_shown_nor_accepted(
    method: Any, said: str
) -> None:
    options = MethodOptions(screen="none")
    thought = reply(said, statistics=SURE)
    outcomes = [thought] if method is draft else [thought, reply("agent")]
    answer, _ = drive(method(SAMPLE, Parrot(), GATE, options), *outcomes)
    assert (answer.text, answer.confidence) == ("blue" if method is draft else "agent", None)
