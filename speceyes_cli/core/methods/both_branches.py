"""The method with nothing left out: every sample is screened, drafted and given to the agent.

What the gate would have answered is the run's answer; both answers are kept and judged, so that any
gate, K and threshold can be replayed without a model.
"""

from __future__ import annotations

from dataclasses import replace

from speceyes_cli.core.agents import Agent, Policy
from speceyes_cli.core.chat import Answer, Role
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.method_options import PAPER, MethodOptions
from speceyes_cli.core.methods.policies import finite, passes_screen, solve, write_draft
from speceyes_cli.core.samples import Sample


def both_branches(
    sample: Sample, agent: Agent, gate: Gate, method_options: MethodOptions = PAPER
) -> Policy:
    """`policies.speceyes`, but the draft is scored to its end and the agent runs in any case."""
    gate = gate.thorough()
    passed = yield from passes_screen(sample, agent, method_options)
    draft = yield from write_draft(sample, gate, method_options)
    answer = yield from solve(sample, agent)
    texts: dict[Role, str] = {"small": draft.text.strip(), "large": answer.text}
    confidence = finite(gate.confidence(draft))
    if passed and gate.accepts(draft):
        answer = Answer(texts["small"], source="small", details=answer.details)
    return replace(answer, confidence=confidence, branches=texts)
