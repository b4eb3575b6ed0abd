"""What an endpoint is told of tools, and how calls and results travel, on servers of every kind."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.agents.qwen.agent import Qwen
from speceyes_plugins.engines.openai.client import EndpointError
from speceyes_plugins.engines.openai.engine import OpenAIEngine
from speceyes_plugins.engines.openai.tools import read_calls
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from vllm_server import Behaviour

from speceyes_cli.core.chat import Answer, Ask, Message, Reply, Role, Run, Tool, ToolCall
from speceyes_cli.core.methods.policies import solve
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions
from tests.plugins.asking import picture

Serve = Callable[..., str]
Connect = Callable[..., OpenAIEngine]
LOOK = Tool("look", "Look closer.", {"type": "object", "properties": {"at": {"type": "string"}}})
CALLS = (ToolCall("look", '{"at": "left"}', "a"), ToolCall("look", '{"at": "right"}', "b"))
OPENING = Message("user", (picture(1), "What colour?"))
KINDS = ("calls", "text", "dropped", "refused")


def ask(*messages: Message) -> Ask:
    return Ask("large", messages, 12, tools=(LOOK,))


def reply(engine: OpenAIEngine | TransformersEngine, one: Ask) -> Reply:
    (out,) = engine.generate([one])
    assert isinstance(out, Reply), out
    return out


@pytest.mark.parametrize("tools", KINDS)
def test_the_model_reads_the_same_whatever_the_server_takes(
    tools: str, served: dict[Role, Any], serve: Serve, connect: Connect
) -> None:
    engine = connect(serve(Behaviour(tools=tools), served["large"]), "large")
    in_text = Message(
        "assistant", ('<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>',)
    )
    results = (Message("tool", (picture(2),)), Message("tool", ("There is no picture 9.",)))
    for one in (ask(OPENING), ask(OPENING, in_text, *results)):
        far = reply(engine, one)
        near = reply(served["large"], one)
        assert (far.text, far.frames) == (near.text, near.frames)


@pytest.mark.parametrize("pictures", ["shown", "dropped", "refused"])
def test_a_result_and_its_picture_reach_the_model(
    pictures: str, served: dict[Role, Any], serve: Serve, connect: Connect
) -> None:
    bodies: list[dict[str, Any]] = []
    does = Behaviour(tools="calls", tool_pictures=pictures, bodies=bodies)
    engine = connect(serve(does, served["large"]), "large")
    results = (
        Message("tool", (picture(2),), call_id="a"),
        Message("tool", (picture(3), "and so on"), call_id="b"),
    )
    far = reply(engine, ask(OPENING, Message("assistant", (), CALLS), *results))
    assert len(far.frames) == 3
    _, called, *told = bodies[-1]["messages"]
    assert called["content"] is None
    assert [call["id"] for call in called["tool_calls"]] == ["a", "b"]
    assert [one.get("tool_call_id") for one in told[:2]] == ["a", "b"]
    apart = [] if pictures == "shown" else ["user"]
    assert [one["role"] for one in told] == ["tool", "tool", *apart]
    shown = [part for one in told if not isinstance(one["content"], str) for part in one["content"]]
    assert sum(part["type"] == "image_url" for part in shown) == 2


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("tools", ["calls", "refused"])
def test_the_agent_calls_looks_and_answers(
    tools: str, streams: bool, served: dict[Role, Any], serve: Serve, connect: Connect
) -> None:
    name, box = "image_zoom_in_tool", [100, 100, 600, 600]
    call = json.dumps({"name": name, "arguments": {"bbox_2d": box, "label": "x", "img_idx": 0}})
    one = f"<tool_call>\n{call}\n</tool_call>"
    says = deque(["I look.\n" + one + "\n" + one.replace('": 0', '": 7'), "It is red."])
    does = Behaviour(tools=tools, says=says, context=16_384)
    engine = connect(serve(does, served["large"]), "large")
    agent = Qwen(AgentOptions(max_new_tokens=4, options={"box-frame": "relative"}))
    told: list[str] = []
    policy = solve(Sample("s", "all", picture(1), "Which?"), agent)
    answer = run(policy, engine, watch=told.append if streams else None)
    assert (told[-1:] == ["It is red."]) == streams
    assert answer.text == "It is red."
    [first, last] = answer.details["turns"]
    assert (first["calls"], first["kinds"]) == (2, ["no_picture"])
    assert last == {"outcome": "answer"}


def run(policy: Generator[Any, Any, Answer], engine: OpenAIEngine, **changes: Any) -> Answer:
    """The policy with its asks answered and its tools run."""
    try:
        need = next(policy)
        while True:
            if isinstance(need, Run):
                need = policy.send(need.tool(**need.arguments))
            else:
                need = policy.send(reply(engine, replace(need, trajectory="s", **changes)))
    except StopIteration as end:
        return end.value


def test_a_server_that_fails_otherwise_is_no_server_without_tools(
    served: dict[Role, Any], serve: Serve, connect: Connect
) -> None:
    does = Behaviour(tools="calls")
    engine = connect(serve(does, served["large"]), "large")
    does.faults.extend(["garbage"])
    (failed,) = engine.generate([ask(OPENING)])
    assert isinstance(failed, EndpointError)
    bodies: list[dict[str, Any]] = []
    does.bodies = bodies
    reply(engine, ask(OPENING))
    assert bodies[-1]["tools"]
    assert "tool_choice" not in bodies[-1]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, ()),
        ([], ()),
        (
            [{"id": "1", "function": {"name": "look", "arguments": '{"at"'}}],
            (ToolCall("look", '{"at"', "1"),),
        ),
        (
            [{"function": {"name": "look", "arguments": {"at": "ü"}}}, {"function": {"name": "x"}}],
            (ToolCall("look", '{"at": "ü"}', "call_0"), ToolCall("x", "", "call_1")),
        ),
    ],
)
def test_calls_are_read_as_servers_give_them(given: Any, read: tuple[ToolCall, ...]) -> None:
    assert read_calls({"tool_calls": given}) == read


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "function", "name", "arguments"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_whatever_a_server_gives_is_calls_or_one_sentence(given_: Any) -> None:
    with contextlib.suppress(EndpointError):
        calls = read_calls({"tool_calls": given_})
        assert len(calls) == len(given_ or [])
        assert all(call.id for call in calls)
