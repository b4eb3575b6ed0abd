from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from speceyes_cli.core.chat import Ask, Message, Picture
from speceyes_cli.core.errors import SpecEyesError, UsageError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import make_agent, plan_run
from speceyes_cli.host.planning.rehearsal import conversation, rehearse_agent

OPTIONS = RunOptions(agent="looker", dataset="dots", small="scripted", large="scripted")


@dataclass
class Listening:
    """An engine that keeps every ask of a rehearsal, and refuses from one on."""

    refuses_from: int = 99
    asks: list[Ask] = field(default_factory=list)

    def rehearse(self, ask: Ask) -> str | None:
        self.asks.append(ask)
        return "it looks away" if len(self.asks) > self.refuses_from else None


def rehearse(host: Host, agent: Any, engine: Any) -> None:
    plan = plan_run(OPTIONS, (), host)
    rehearse_agent("looker", agent, plan.loads, {"large": engine})


@pytest.mark.parametrize(
    ("name", "continues"), [("deepeyes", False), ("thyme", True), ("qwen", False)]
)
def test_an_agents_first_two_turns_are_rehearsed(host: Host, name: str, continues: bool) -> None:
    engine = Listening()
    options = RunOptions(agent=name, agent_option=UNSAFE if name == "thyme" else ())
    rehearse(host, make_agent(options, host), engine)
    first, second = engine.asks
    assert not first.continue_turn
    assert second.continue_turn is continues
    last = second.messages[-1]
    assert last.role == {"thyme": "assistant", "qwen": "tool"}.get(name, "user")
    assert bool(first.tools) is bool(second.tools) is (name == "qwen")
    assert any(isinstance(part, Picture) for part in last.content)
    assert second.messages[: len(first.messages)] == first.messages


UNSAFE = ("sandbox=unsafe-subprocess",)


@pytest.mark.parametrize("turn", [0, 1])
def test_what_does_not_reach_the_model_names_agent_and_model(host: Host, turn: int) -> None:
    agent = make_agent(OPTIONS, host)
    with pytest.raises(UsageError) as raised:
        rehearse(host, agent, Listening(refuses_from=turn))
    told = "The agent looker cannot use --large scripted: it looks away."
    assert str(raised.value) == told


def test_an_engine_that_renders_nothing_is_not_asked(host: Host) -> None:
    rehearse(host, make_agent(OPTIONS, host), object())


@dataclass
class Particular:
    """An agent that takes no sample but its own."""

    continues_turn: bool = False

    def open(self, sample: Sample) -> tuple[Message, ...]:
        raise SpecEyesError(f"{sample.id} is none of mine.")


def test_an_agent_that_refuses_the_rehearsal_is_left_to_its_samples() -> None:
    agent: Any = Particular()
    assert list(conversation(agent)) == []
