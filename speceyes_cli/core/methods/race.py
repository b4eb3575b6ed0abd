"""The method for the shortest wait: screen, draft and agent begin at once."""

from __future__ import annotations

from dataclasses import replace

from speceyes_cli.core.agents import Agent, Await, Begin, Drop, Policy
from speceyes_cli.core.chat import Answer
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.method_options import PAPER, MethodOptions
from speceyes_cli.core.methods.policies import finite, passes_screen, solve, write_draft
from speceyes_cli.core.samples import Sample


def race(sample: Sample, agent: Agent, gate: Gate, method_options: MethodOptions = PAPER) -> Policy:
    """`policies.speceyes`, but nobody waits for the other; what is not wanted is cancelled.

    The answer is the same. Where models share a device, the screen goes first, then the draft.
    """
    drafting = yield Begin(write_draft(sample, gate, method_options))
    solving = yield Begin(solve(sample, agent))
    if not (yield from passes_screen(sample, agent, method_options)):
        yield Drop(drafting)
        answer: Answer = yield Await(solving)
        return answer
    draft = yield Await(drafting)
    confidence = finite(gate.confidence(draft))
    if gate.accepts(draft):
        return Answer(draft.text.strip(), source="small", confidence=confidence)
    answer = yield Await(solving)
    return replace(answer, confidence=confidence)
