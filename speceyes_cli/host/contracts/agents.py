"""Agents and methods, watched: generators that yield what can be served and end with an outcome."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator
from typing import Any

from speceyes_cli.core.agents import Agent, AgentState, Await, Begin, Drop, Keeper, Policy, Worded
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Reply,
    Run,
    Tool,
    ToolError,
    ToolResults,
)
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.offers import Offer
from speceyes_cli.host.type_check import misfit


class WatchedAgent:
    """An agent whose every method gives what the program expects, or an error that names it.

    Raises `PluginError` when it lacks a method or a number.
    """

    def __init__(self, agent: Agent, offer: Offer) -> None:
        for method in ("screen(sample)", "open(sample)", "step(reply, state)"):
            if not callable(getattr(agent, method.partition("(")[0], None)):
                raise offer.wrong(f"has no method {method}")
        needed = {
            "max_turns": int,
            "max_new_tokens": int,
            "stop": tuple[str, ...],
            "continues_turn": bool,
        }
        for name, hint in needed.items():
            wrong = misfit(getattr(agent, name, None), hint)
            if wrong is not None:
                raise offer.wrong(f"is not complete: its {name} {wrong}")
        self.max_turns = agent.max_turns
        self.max_new_tokens = agent.max_new_tokens
        self.stop = tuple(agent.stop)
        self.continues_turn = agent.continues_turn
        tools = getattr(agent, "tools", ())
        wrong = misfit(tools, tuple[Tool, ...])
        if wrong is not None:
            raise offer.wrong(f"is not complete: its tools {wrong}")
        self.tools: tuple[Tool, ...] = tuple(tools)
        if isinstance(agent, Worded):  # isinstance asks no __getattr__ from Python 3.12 on
            self.prompts = agent.prompts
        self._agent = agent
        self._offer = offer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """The agent's own screen."""
        return self._messages("screen", sample)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The agent's own first messages."""
        return self._messages("open", sample)

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | ToolResults | Answer | ToolError]:
        """The agent's own step."""
        with self._offer.named("step"):
            steps = self._agent.step(reply, state)
        ended = yield from relay(steps, (Run,), "step", self._offer)
        outcome: Observation | ToolResults | Answer | ToolError = self._offer.check(
            ended, (Observation, ToolResults, Answer, ToolError), "step"
        )
        if isinstance(outcome, ToolResults):
            given, made = len(outcome.results), len(reply.calls)
            if given != made and (made or not given):
                raise self._offer.wrong(f"gives {given} results from step to {made} calls")
        return outcome

    def forget(self, key: str) -> None:
        """Passed on where the agent keeps something."""
        if isinstance(self._agent, Keeper):
            with self._offer.named("forget"):
                self._agent.forget(key)

    def close(self) -> None:
        """Passed on where the agent keeps something."""
        if isinstance(self._agent, Keeper):
            with self._offer.named("close"):
                self._agent.close()

    def _messages(self, method: str, sample: Sample) -> tuple[Message, ...]:
        with self._offer.named(method):
            messages = getattr(self._agent, method)(sample)
        wrong = misfit(messages, tuple[Message, ...])
        if wrong is not None:
            raise self._offer.wrong(f"gives no messages from {method}: what it returns {wrong}")
        return tuple(messages)


def watch_policy(policy: Callable[..., Policy], offer: Offer) -> Callable[..., Policy]:
    """The method's policy, watched."""

    @functools.wraps(policy)
    def watched(*arguments: Any) -> Policy:
        with offer.named("policy"):
            steps = policy(*arguments)
        answer: Answer = offer.check(
            (yield from relay(steps, (Ask, Run, Begin, Await, Drop), "policy", offer)),
            Answer,
            "policy",
        )
        return answer

    return watched


def relay(
    steps: Generator[Any, Any, Any], needs: tuple[type, ...], doing: str, offer: Offer
) -> Generator[Any, Any, Any]:
    """Pass on what a plugin's generator yields and is sent, each need checked."""
    if not isinstance(steps, Generator):
        raise offer.wrong(f"has a {doing} that is no generator: it must contain a yield")
    sent = None
    with contextlib.closing(steps):
        while True:
            try:
                with offer.named(doing):
                    need = steps.send(sent)
            except StopIteration as end:
                return end.value
            sent = yield offer.check(need, needs, doing)
