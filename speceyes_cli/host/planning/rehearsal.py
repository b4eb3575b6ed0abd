"""Whether the large model reads what the agent says, found out before the first sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from PIL import Image

from speceyes_cli.core.agents import Agent, ToolCaller
from speceyes_cli.core.chat import (
    Ask,
    Engine,
    Observation,
    Picture,
    Rehearsing,
    Reply,
    Role,
    ToolResults,
)
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.methods.policies import extend
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.planning.models import Load


def rehearse_agent(
    name: str, agent: Agent, loads: Mapping[Role, Load], engines: Mapping[Role, Engine]
) -> None:
    """Raise `UsageError` where a conversation of this agent does not reach the large model whole.

    A chat template that leaves a tool's picture out would otherwise fail every sample that uses
    the tool, or answer it unseen.
    """
    engine = engines.get("large")
    if not isinstance(engine, Rehearsing):
        return
    for ask in conversation(agent):
        if hindrance := engine.rehearse(ask):
            model = loads["large"].options.model
            raise UsageError(f"The agent {name} cannot use --large {model}: {hindrance}.")


def conversation(agent: Agent) -> Iterator[Ask]:
    """The agent's first two turns about a grey field, a tool's picture in the second."""
    field = Picture("a grey field", lambda: Image.new("RGB", (64, 64), "gray"))
    sample = Sample("rehearsal", "rehearsal", field, "Which colour is it?", ("grey", "red"))
    try:
        opening = agent.open(sample)
    except Exception:  # noqa: BLE001 - the first sample tells what the agent cannot do
        return
    tools = agent.tools if isinstance(agent, ToolCaller) else ()
    first = Ask("large", opening, max_new_tokens=1, phase="agent", tools=tools)
    yield first
    reply = Reply("Let me look closer.", tokens=5, finish="stop")
    seen = Observation(("Here it is: ", field, " Look at it. "))
    told = ToolResults((seen,)) if tools else seen
    going_on = agent.continues_turn
    messages = extend(opening, reply, told, continues_turn=going_on)
    yield replace(first, messages=messages, continue_turn=going_on)
