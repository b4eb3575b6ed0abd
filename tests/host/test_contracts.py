"""What an engine or an agent also has is there too behind the watch over it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from speceyes_cli.core.agents import Keeper, ToolCaller, Worded
from speceyes_cli.core.chat import Forwarding, Introduced, Preparing, Rehearsing
from speceyes_cli.host.contracts.agents import WatchedAgent
from speceyes_cli.host.contracts.engines import watch_engine
from speceyes_cli.host.offers import Offer, Source

OFFER = Offer(Source("able", "a test"), "tests", "speceyes_engines", "engine", "able")


def nothing(*_: Any) -> None:
    pass


class Able:
    """An engine and an agent with everything that either may have."""

    max_batch = workers = max_turns = max_new_tokens = 1
    group = introduction = "able"
    stop = tools = ()
    continues_turn = False
    generate = forget = describe = close = prepare = rehearse = forward = nothing
    screen = open = step = nothing

    def __init__(self) -> None:
        self.prompts = {"system": "Look."}


@pytest.mark.parametrize("optional", [Forwarding, Introduced, Preparing, Rehearsing])
def test_an_engines_further_methods(optional: Any) -> None:
    assert has(watch_engine(Able(), OFFER), optional)


@pytest.mark.parametrize("optional", [Keeper, ToolCaller, Worded])
def test_an_agents_further_methods(optional: Any) -> None:
    able: Any = Able()
    assert has(WatchedAgent(able, OFFER), optional)


def has(value: Any, protocol: Any) -> bool:
    """Whether isinstance says so, in Python 3.12 and later too, where no `__getattr__` is asked."""
    names = {*vars(protocol), *protocol.__annotations__}
    for name in names:
        if not name.startswith("_"):
            inspect.getattr_static(value, name)
    return isinstance(value, protocol)
