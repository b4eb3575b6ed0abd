"""The methods, as generators: they yield what they need and are sent what came back."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from speceyes_cli.core.agents import Agent, AgentState, Keeper, Policy, ToolCaller
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Picture,
    Reply,
    Role,
    ToolError,
    ToolResults,
)
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.method_options import PAPER, MethodOptions
from speceyes_cli.core.methods.prompts import draft_messages, score_messages
from speceyes_cli.core.methods.thinking import THOUGHT_END, without_thought
from speceyes_cli.core.replies.scores import read_score
from speceyes_cli.core.replies.yes_no import says_no
from speceyes_cli.core.samples import Sample

SHORT_TOKENS = 10  # enough for the screen's yes or no, and for a step's digit


def speceyes(
    sample: Sample, agent: Agent, gate: Gate, method_options: MethodOptions = PAPER
) -> Policy:
    """Screen, draft, gate, fall back (paper, section 3): the agent runs only where it must."""
    if not (yield from passes_screen(sample, agent, method_options)):
        return (yield from solve(sample, agent))
    draft = yield from write_draft(sample, gate, method_options)
    confidence = finite(gate.confidence(draft))
    if gate.accepts(draft):
        return Answer(draft.text.strip(), source="small", confidence=confidence)
    return replace((yield from solve(sample, agent)), confidence=confidence)


def baseline(
    sample: Sample,
    agent: Agent,
    gate: Gate,  # noqa: ARG001 - one signature
    method_options: MethodOptions = PAPER,  # noqa: ARG001 - one signature
) -> Policy:
    """The agent alone, on every sample."""
    return (yield from solve(sample, agent))


def draft(
    sample: Sample,
    agent: Agent,  # noqa: ARG001 - one signature
    gate: Gate,
    method_options: MethodOptions = PAPER,
) -> Policy:
    """The small model alone; the gate scores every draft to its end and turns none away."""
    reply = yield from write_draft(sample, replace(gate, hopeless=None), method_options)
    return Answer(reply.text.strip(), source="small", confidence=finite(gate.confidence(reply)))


def specreason(
    sample: Sample,
    agent: Agent,
    gate: Gate,
    method_options: MethodOptions = PAPER,
) -> Policy:
    """SpecReason: the small model proposes each step, the large one scores it from 0 to 9.

    A step that scores the gate's threshold or more stands; the large model writes any other anew.
    Whoever wrote it, a step runs its tools, and what they gave back is kept. The answer's source
    is the model that wrote the last step.
    """
    instruction = method_options.prompts.score
    write = partial(_speculate, least=gate.threshold, instruction=instruction)
    return (yield from _loop(sample, agent, write))


def solve(sample: Sample, agent: Agent) -> Policy:
    """The agent's loop on the large model, up to its turn limit.

    The answer's details tell how each turn ended (`turns`) and, where no answer was found, why
    (`stopped`); such an answer is empty.
    """
    return (yield from _loop(sample, agent, _write))


class Step(NamedTuple):
    """One turn of the agent's loop as it was written."""

    reply: Reply
    by: Role
    notes: Mapping[str, Any]
    """What the record's note of the turn says beside its outcome."""


Writer = Callable[[Ask], Generator[Ask, Reply, Step]]
"""Gets a turn written, given the ask that the large model would get."""


def _write(ask: Ask) -> Generator[Ask, Reply, Step]:
    """The large model writes."""
    return Step((yield ask), "large", {})


def _speculate(ask: Ask, *, least: float, instruction: str) -> Generator[Ask, Reply, Step]:
    """The small model writes; the large one scores, and writes itself below the least score."""
    proposal = yield replace(ask, role="small", phase="propose")
    messages = score_messages(ask.messages, written_out(proposal), instruction)
    scored = yield Ask(
        "large", messages, max_new_tokens=SHORT_TOKENS, phase="score", tools=ask.tools
    )
    score = read_score(scored.text)
    if score is not None and score >= least:
        return Step(proposal, "small", {"by": "small", "score": score})
    return Step((yield ask), "large", {"by": "large", "score": score})


def _loop(sample: Sample, agent: Agent, write: Writer) -> Policy:
    try:
        return (yield from _turns(sample, agent, write))
    finally:
        if isinstance(agent, Keeper):
            agent.forget(sample.key)


def _turns(sample: Sample, agent: Agent, write: Writer) -> Policy:
    messages = agent.open(sample)
    turns: list[dict[str, Any]] = []
    for turn in range(agent.max_turns):
        ask = Ask(
            role="large",
            messages=messages,
            max_new_tokens=agent.max_new_tokens,
            stop=agent.stop,
            continue_turn=agent.continues_turn and turn > 0,
            phase="agent",
            tools=agent.tools if isinstance(agent, ToolCaller) else (),
        )
        step = yield from write(ask)
        state = AgentState(sample, messages, turn, step.reply.frames)
        outcome = yield from agent.step(step.reply, state)
        turns.append({**turn_note(outcome), **step.notes})
        if isinstance(outcome, Answer):
            details = {**outcome.details, "turns": turns}
            return replace(outcome, source=step.by, details=details)
        messages = extend(messages, step.reply, outcome, continues_turn=agent.continues_turn)
    return Answer("", source="large", details={"turns": turns, "stopped": "turn_limit"})


def passes_screen(
    sample: Sample, agent: Agent, method_options: MethodOptions = PAPER
) -> Generator[Ask, Reply, bool]:
    """Phase I: whether the sample goes on to a draft; without a screen, every one does."""
    if method_options.screen == "none":
        return True
    ask = screen_ask(sample, agent, method_options.screen, as_paper=method_options.as_paper)
    screen = yield ask
    return lets_on(ask, screen.text)


def lets_on(ask: Ask, said: str) -> bool:
    """Whether a screen's reply lets the sample on to a draft."""
    return said.lower().startswith("no") if ask.as_paper else says_no(said)


def write_draft(
    sample: Sample, gate: Gate, method_options: MethodOptions = PAPER
) -> Generator[Ask, Reply, Reply]:
    """Phase II: the small model's answer, scored, without any thought before it."""
    ask = draft_ask(sample, gate, method_options)
    reply = yield ask
    return without_thought(reply, scored_after=ask.scored_after)


def screen_ask(
    sample: Sample, agent: Agent, role: Role = "large", *, as_paper: bool = False
) -> Ask:
    """Would a tool help?"""
    return Ask(
        role,
        agent.screen(sample),
        max_new_tokens=SHORT_TOKENS,
        phase="screen",
        as_paper=as_paper,
    )


def draft_ask(sample: Sample, gate: Gate, method_options: MethodOptions = PAPER) -> Ask:
    """The small model answers at once, every token of the answer scored."""
    return Ask(
        "small",
        draft_messages(sample, method_options.prompts),
        max_new_tokens=method_options.draft_tokens,
        gate=gate,
        scored_after=THOUGHT_END if method_options.thinking else "",
        phase="draft",
    )


def extend(
    messages: tuple[Message, ...],
    reply: Reply,
    seen: Observation | ToolError | ToolResults,
    *,
    continues_turn: bool,
) -> tuple[Message, ...]:
    """The conversation after a reply and what the model is shown next.

    With `continues_turn` both go into one assistant message, which the next ask goes on with.
    """
    if isinstance(seen, ToolResults):
        said = Message("assistant", (reply.text,) if reply.text else (), reply.calls)
        ids = [call.id for call in reply.calls] or [""] * len(seen.results)
        results = zip(ids, seen.results, strict=True)
        told = (Message("tool", shown(one), call_id=call) for call, one in results)
        return (*messages, said, *told)
    content = shown(seen)
    if not continues_turn:
        return (*messages, Message("assistant", (reply.text,)), Message("user", content))
    if messages and messages[-1].role == "assistant":
        begun = messages[-1].content
        messages = messages[:-1]
    else:
        begun = ()
    return (*messages, Message("assistant", (*begun, reply.text, *content)))


def written_out(reply: Reply) -> str:
    """What was said, calls that came apart from the text included.

    An endpoint refuses a conversation with a call that nobody has answered.
    """
    calls = (f"\n{call.name} {call.arguments}" for call in reply.calls)
    return "".join((reply.text, *calls))


def shown(seen: Observation | ToolError) -> tuple[str | Picture, ...]:
    """What the model reads of a tool's result."""
    return seen.content if isinstance(seen, Observation) else (seen.text,)


def turn_note(outcome: Observation | ToolResults | Answer | ToolError) -> dict[str, Any]:
    """How one turn of the agent ended, for the record."""
    match outcome:
        case Answer():
            return {"outcome": "answer"}
        case ToolError(kind=kind):
            return {"outcome": "tool_error", "kind": kind}
        case Observation(notes=notes):
            return {"outcome": "observation", "notes": list(notes)}
        case ToolResults(results=results):
            kinds = [one.kind for one in results if isinstance(one, ToolError)]
            return {
                "outcome": "tool_error" if len(kinds) == len(results) else "observation",
                "calls": len(results),
                "kinds": kinds,
                "notes": [note for one in results for note in one.notes],
            }


def finite(confidence: float) -> float | None:
    """A confidence as records keep it: None where it is undefined."""
    return confidence if math.isfinite(confidence) else None
