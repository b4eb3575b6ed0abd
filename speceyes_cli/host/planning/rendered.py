"""What a run would say to its models: every phase's messages, rendered by their own templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from speceyes_cli.core.agents import Agent, AgentState, ToolCaller, Worded
from speceyes_cli.core.chat import Ask, Message, Observation, Picture, Reply, Role, ToolError
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.method_options import MethodOptions
from speceyes_cli.core.methods.policies import SHORT_TOKENS, draft_ask, extend, screen_ask
from speceyes_cli.core.methods.prompts import score_messages, texts_of
from speceyes_cli.core.pictures.pre_resized import pre_resized_messages
from speceyes_cli.core.run.prompt_notes import PromptNote
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import Load, name_loads
from speceyes_cli.host.planning.options import as_run_options
from speceyes_cli.host.planning.parity import follow_paper
from speceyes_cli.host.planning.plans import (
    check_numbers,
    choose_method_options,
    make_agent,
    make_gate,
)
from speceyes_cli.host.planning.splits import choose_splits, require_splits
from speceyes_cli.host.planning.wording import prompt_notes, read_wording
from speceyes_cli.host.specs import DataSource, Rendered

WROTE = "(what the model wrote)"
"""Stands for a turn of the model's, in phases that follow one."""
METHOD = "speceyes"
"""The method that has every phase but the score."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One phase's prompt as its model would read it."""

    phase: str
    role: Role
    ask: Ask
    rendered: Rendered | None
    """None where the engine has no template at hand, or the template failed."""
    wrong: str = ""
    """Why it cannot be rendered, or what the template does to it."""


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """Samples, and all that is said about each."""

    samples: tuple[Sample, ...]
    agent: Agent
    gate: Gate
    method_options: MethodOptions
    resized: bool
    """Every picture is resized before a model sees it, as in the paper's own code."""
    loads: Mapping[Role, Load]
    prompts: Mapping[str, PromptNote]
    """Digest and origin of every text, by key."""
    texts: Mapping[str, str]
    notes: tuple[str, ...]

    def shown(self) -> Iterator[tuple[str, Shown]]:
        """Each sample's key with each of its phases."""
        for sample in self.samples:
            for phase, ask in asks_of(sample, self):
                yield sample.key, _show(phase, ask, self.loads[ask.role])


def plan_prompts(options: Any, passed: tuple[str, ...], host: Host) -> PromptPlan:
    """Resolve every name; raises `SpecEyesError` for the first wrong one. No model is loaded."""
    run = as_run_options(options)
    check_numbers(run)
    method = host.methods.get(METHOD)
    followed = follow_paper(run, method, passed, host)
    run = followed.options
    wording = read_wording(run, host)
    agent = make_agent(run, host, wording)
    dataset = host.datasets.get(run.dataset)
    source = DataSource(run.data, run.option_order)
    samples: list[Sample] = []
    splits = choose_splits(dataset, run.split)
    require_splits(dataset, splits, source)
    for split in splits:
        samples += islice(dataset.open(split, source), run.limit or None)
    method_options = choose_method_options(run, method, wording)
    own = dict(agent.prompts) if isinstance(agent, Worded) else {}
    return PromptPlan(
        samples=tuple(samples),
        agent=agent,
        gate=make_gate(replace(run, threshold=None), host),
        method_options=method_options,
        resized=run.parity is not None,
        loads=name_loads(method, run, host),
        prompts=prompt_notes(agent, wording),
        texts={**own, **texts_of(method_options.prompts)},
        notes=(*followed.told, *wording.notes),
    )


def asks_of(sample: Sample, plan: PromptPlan) -> Iterator[tuple[str, Ask]]:
    """Every phase's ask: screen, draft, agent, a reminder, and a score."""
    agent, method_options = plan.agent, plan.method_options
    opened = agent.open(sample)
    tools = agent.tools if isinstance(agent, ToolCaller) else ()
    begun = Ask("large", opened, agent.max_new_tokens, stop=agent.stop, phase="agent", tools=tools)
    asks = [screen_ask(sample, agent), draft_ask(sample, plan.gate, method_options), begun]
    reminded = _reminded(sample, agent, opened)
    if reminded is not None:
        asks.append(
            replace(begun, messages=reminded, continue_turn=agent.continues_turn, phase="reminder")
        )
    scored = score_messages(opened, WROTE, method_options.prompts.score)
    asks.append(Ask("large", scored, SHORT_TOKENS, phase="score", tools=tools))
    shown: dict[Picture, Picture] = {}
    for ask in asks:
        if plan.resized:
            yield ask.phase, replace(ask, messages=pre_resized_messages(ask.messages, shown))
        else:
            yield ask.phase, ask


def _reminded(
    sample: Sample, agent: Agent, opened: tuple[Message, ...]
) -> tuple[Message, ...] | None:
    """The conversation after a turn with neither call nor answer; None where a tool would run."""
    reply = Reply(WROTE, tokens=1, finish="length")
    steps = agent.step(reply, AgentState(sample, opened, 0))
    try:
        next(steps)
    except StopIteration as end:
        if isinstance(end.value, Observation | ToolError):
            return extend(opened, reply, end.value, continues_turn=agent.continues_turn)
    finally:
        steps.close()
    return None


def _show(phase: str, ask: Ask, load: Load) -> Shown:
    """The ask as its model would read it, and what is wrong with that."""
    render = load.spec.render
    if render is None:
        return Shown(phase, ask.role, ask, None)
    try:
        [rendered] = render(load.options, [ask])
    except UsageError as error:
        return Shown(phase, ask.role, ask, None, str(error))
    return Shown(phase, ask.role, ask, rendered, _changed(ask, rendered.text))


def _changed(ask: Ask, text: str) -> str:
    """What the template left out or changed; empty where every word stands as it should."""
    rest = text
    for message in ask.messages:
        for part in message.content:
            if isinstance(part, str) and part:
                _, found, behind = rest.partition(part)
                if not found:
                    return f"the template changes or leaves out the {message.role}'s {part[:60]!r}"
                rest = behind
    return ""
