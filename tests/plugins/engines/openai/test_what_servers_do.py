"""What real servers were seen to do, on the look-alike."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import vllm_server
from speceyes_plugins.engines.openai import probe
from speceyes_plugins.engines.openai.client import EndpointError, RetryLimits
from speceyes_plugins.engines.openai.engine import OpenAIEngine
from speceyes_plugins.engines.openai.streaming import Assembly
from speceyes_plugins.engines.openai.wire import first_choice, with_stop
from speceyes_plugins.engines.token_scores import LogprobsError
from typer.testing import CliRunner
from vllm_server import Behaviour

from speceyes_cli.app import build_app
from speceyes_cli.core.chat import Reply, Role
from speceyes_cli.core.errors import RunStopError, ServerLostError, UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.host.manager import Host
from tests.plugins import asking

Serve = Callable[..., str]
Connect = Callable[..., OpenAIEngine]
SMALL: dict[str, Any] = {"top_k": 16}
ask = partial(asking.ask, size=(400, 300), gate=Gate("min", min_score, top_k=16))
STOPS = ("</tool_call>", "</answer>")


def reply(engine: Any, one: Any) -> Reply:
    (out,) = engine.generate([one])
    assert isinstance(out, Reply), out
    return replace(out, seconds=0)


def test_refused_fields_are_left_out_from_then_on(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    wanted = reply(connect(serve(Behaviour(), served["small"]), **SMALL), ask(0))
    does = Behaviour(refuses=("repetition_penalty", "top_k"), bodies=[])
    engine = connect(serve(does, served["small"]), **SMALL)
    assert engine.describe()["logprobs"] == "unknown"  # a penalty could not be asked for
    assert does.bodies is not None
    refused = [body for body in does.bodies if "top_k" in body]
    assert len(refused) == 1
    assert reply(engine, ask(0)) == wanted
    assert "repetition_penalty" not in does.bodies[-1]


def test_nothing_beyond_openais_interface_is_needed(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    beyond = ("repetition_penalty", "top_k", "include_stop_str_in_output", "no_stop_trim")
    plain = reply(connect(serve(Behaviour(), served["small"]), **SMALL), ask(0))
    does = Behaviour(refuses=beyond, keeps_stop=False, tells_stop=False, bodies=[])
    engine = connect(serve(does, served["small"]), **SMALL)
    assert reply(engine, ask(0)) == plain
    reply(engine, ask(0, gate=None, stop=STOPS))
    assert does.bodies is not None
    known = {"model", "messages", "max_tokens", "temperature", "stop"}
    assert set(does.bodies[-1]) == known


def test_a_refusal_of_anything_else_stays_one(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    does = Behaviour()
    engine = connect(serve(does, served["small"]), **SMALL)
    does.refuses = ("temperature",)
    (out,) = engine.generate([ask(0)])
    assert isinstance(out, EndpointError)
    assert "Unexpected fields in the request: temperature" in str(out)


@pytest.mark.parametrize(
    ("text", "told", "whole"),
    [
        ("<think>x</think><answer>red", {}, "<think>x</think><answer>red</answer>"),
        ("<tool_call>{}", {}, "<tool_call>{}</tool_call>"),
        ("<answer> <tool_call>{}", {}, "<answer> <tool_call>{}</tool_call>"),
        ("<answer>red</answer> and so on", {}, "<answer>red</answer>"),
        ("red", {}, "red"),
        ("red</answer", {}, "red</answer"),
        ("<answer>red", {"finish_reason": "length"}, "<answer>red"),
        ("<answer>red", {"stop_reason": None}, "<answer>red"),  # the model ended it so
        ("<answer>red", {"matched_stop": 151645}, "<answer>red"),
        ("red", {"stop_reason": "</answer>"}, "red</answer>"),
        ("<answer>red", {"matched_stop": "</answer>"}, "<answer>red</answer>"),
    ],
)
def test_a_stop_text_that_was_cut_off(text: str, told: dict[str, Any], whole: str) -> None:
    assert with_stop(text, STOPS, {"finish_reason": "stop", **told}).text == whole


def test_an_agent_behind_a_server_that_does_not_tell_its_stops_gets_its_tags(
    serve: Serve, connect: Connect
) -> None:
    does = Behaviour(canned="<think>red, surely</think><answer>red")
    address = f"{serve(does)}?factor=none"
    engine = connect(address, "large", min_pixels=None, max_pixels=None)
    assert reply(engine, ask(0, gate=None, stop=STOPS)).text == f"{does.canned}</answer>"
    assert reply(engine, ask(0, gate=None)).text == does.canned


def test_a_server_whose_resizing_cannot_be_told_answers_about_pictures(
    serve: Serve, served: dict[Role, Any], host: Host, tmp_path: Path
) -> None:
    """Pictures go as they are: to a small model whose rule is not known, and with factor=none."""
    small = serve(Behaviour(usage=False), served["small"])
    large = f"{serve(Behaviour(canned='ANSWER red'))}?factor=none"
    for method, model in (("draft", small), ("baseline", large)):
        role = "small" if method == "draft" else "large"
        words = ("eval", "--agent", "looker", "--dataset", "dots", "--split", "near")
        options = ("--limit", "2", "--method", method, f"--{role}", model, "--top-k", "16")
        run = [*words, *options, "--out", str(tmp_path / method)]
        done = CliRunner().invoke(build_app(host), run, obj=host)
        assert done.exit_code == 0, done.output  # 1: samples failed


def test_an_error_in_the_place_of_an_answer_is_told_in_the_servers_words() -> None:
    """A stream that has begun, and gateways that answer 200 whatever comes."""
    for told in ({"message": "CUDA out of memory"}, "CUDA out of memory"):
        stream = Assembly()
        stream.add([{"choices": [{"delta": {"content": "On"}}]}, {"error": told}])
        for body in (stream.body, {"error": told}):
            with pytest.raises(EndpointError, match="answered with an error: CUDA out of memory"):
                first_choice(body)


def test_a_server_that_goes_while_an_answer_is_out_is_noticed(
    connect: Connect, served: dict[Role, Any]
) -> None:
    does = Behaviour()
    outcome: list[Any] = []

    def generate() -> None:
        try:
            outcome.extend(engine.generate([ask(0)]))
        except RunStopError as error:
            outcome.append(error)

    waits = RetryLimits(retries=2, seconds=60.0, gone=0.8)
    with vllm_server.serving(does, served["small"]) as address:
        engine = connect(address, limits=waits, **SMALL)
        does.hangs = True
        thread = threading.Thread(target=generate)
        thread.start()
        thread.join(2.0)  # a server that is there is waited for
        assert not outcome
    thread.join(30.0)
    does.ended.set()
    assert isinstance(outcome[0], ServerLostError)
    assert "has taken no connection for 0.8 seconds; finished samples are kept." in str(outcome[0])


def test_a_server_that_is_gone_stops_the_run(connect: Connect, served: dict[Role, Any]) -> None:
    with vllm_server.serving(Behaviour(keeps_open=False), served["small"]) as address:
        engine = connect(address, limits=RetryLimits(retries=1, seconds=20.0), **SMALL)
        reply(engine, ask(0))
    with pytest.raises(ServerLostError, match=r"cannot be reached .*finished samples are kept"):
        engine.generate([ask(0)])


@pytest.mark.parametrize(
    ("behaviour", "role", "says"),
    [
        ({"logits": True}, "small", "logits in the place.*--logprobs-mode raw_logprobs"),
        ({"max_logprobs": 37}, "small", "serves 37 log-prob.*--max-logprobs 64, or .*--top-k 37"),
        (
            {"trusts_budget": False},
            "large",
            r"disabled by default.*\(parameter=mm_.*\); start vLLM with --trust-request-mm-kwargs",
        ),
    ],
)
def test_a_server_that_will_not_do_is_told_what_would(
    serve: Serve,
    connect: Connect,
    served: dict[Role, Any],
    behaviour: dict[str, Any],
    role: Role,
    says: str,
) -> None:
    areas = {"min_pixels": 3136, "max_pixels": 112 * 112} if role == "large" else {}
    with pytest.raises(UsageError, match=says):
        connect(serve(Behaviour(**behaviour), served[role]), role, **areas)


def test_the_advice_for_a_frame_can_be_typed_as_it_is_printed(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    own: dict[str, Any] = {"min_pixels": None, "max_pixels": None}
    address = serve(Behaviour(), served["large"]).partition("#")[0]
    with pytest.raises(UsageError) as told:
        connect(address, "large", **own)
    printed = re.search(r"--large '([^']+)'", str(told.value))
    assert printed is not None
    assert connect(printed.group(1), "large", **own).describe()["factor"] == 28


@pytest.mark.parametrize("reasons", [False, True])
def test_a_thought_is_not_scored(
    serve: Serve, connect: Connect, served: dict[Role, Any], reasons: bool
) -> None:
    does = Behaviour()
    engine = connect(serve(does, served["small"]), **SMALL)
    plain = reply(engine, ask(2))
    does.thought, does.reasons = "<think>perhaps red</think>", reasons
    thoughtful = reply(engine, ask(2, scored_after="</think>"))
    assert thoughtful.text == does.thought + plain.text
    assert (thoughtful.statistics, thoughtful.pieces) == (plain.statistics, plain.pieces)
    unasked = reply(engine, ask(2))
    assert unasked.text == does.thought + plain.text  # for the policy, which never accepts it
    assert len(unasked.statistics) == len(plain.statistics) + 1


def test_tokens_that_spell_the_key_are_not_kept(
    serve: Serve, connect: Connect, served: dict[Role, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_SMALL_API_KEY", "sk-secret")
    does = Behaviour()
    engine = connect(serve(does, served["small"]), **SMALL)
    assert reply(engine, ask(2)).pieces
    does.thought = "my key is sk-secret: "
    assert reply(engine, ask(2)).pieces == ()


def test_a_thought_whose_end_has_no_token_is_refused(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    does = Behaviour()
    engine = connect(serve(does, served["small"]), **SMALL)
    does.thought, does.reasons = "perhaps red</think>", True
    does.hides_thought = True
    (out,) = engine.generate([ask(2, scored_after="</think>")])
    assert isinstance(out, LogprobsError)
    assert "without a reasoning parser" in str(out)


def test_sampling_of_the_servers_own_is_a_fault_of_its_tokens(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    does = Behaviour()
    engine = connect(serve(does, served["small"]), **SMALL)
    does.samples = True
    found = {score.fault for seed in range(4) for score in reply(engine, ask(seed)).statistics}
    assert "not_greedy" in found


def test_a_first_answer_that_takes_long_is_told_of(
    serve: Serve,
    connect: Connect,
    served: dict[Role, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(probe, "SLOW_SECONDS", 0.01)
    with caplog.at_level(logging.WARNING):
        connect(serve(Behaviour(delay=0.1), served["small"]), **SMALL)
    assert sum("vLLM may compile for a minute" in line for line in caplog.messages) == 1


def test_loopback_addresses_go_direct(
    serve: Serve, connect: Connect, served: dict[Role, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    reply(connect(serve(Behaviour(), served["small"]), **SMALL), ask(0))


@pytest.mark.parametrize(
    ("variable", "proxy", "says"),
    [
        ("ALL_PROXY", "socks://me:secret@h:9", "socks://.*@h:9 that ALL_PROXY names.*NO_PROXY"),
        ("HTTP_PROXY", "http://me:secret@127.0.0.1:9", "the proxy .*127.0.0.1:9 that HTTP_PROXY"),
        ("http_proxy", "127.0.0.1:9", "the proxy http://127.0.0.1:9 that http_proxy names"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, says: str
) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(UsageError, match=says) as told:
        connect("http://model.invalid:8000/v1#m")
    assert "secret" not in str(told.value)
