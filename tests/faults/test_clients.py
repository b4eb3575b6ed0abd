"""The engine and the judge before servers that send too slowly, too much, or nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_server import BROKEN, LONG, SLOW, HostileServer, Sends, answer, echo, says
from hypothesis import given, settings
from hypothesis import strategies as st
from speceyes_judges.llm.endpoint import MOST_BYTES as JUDGE_BYTES
from speceyes_judges.llm.endpoint import JudgeEndpoint
from speceyes_plugins.engines.openai.client import (
    MOST_BYTES,
    Completion,
    EndpointError,
    RetryLimits,
)
from speceyes_plugins.engines.openai.engine import OpenAIEngine, read_reply
from speceyes_plugins.engines.token_scores import LogprobsError

from speceyes_cli.core.chat import Ask, Message, Reply
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.host.specs import EngineOptions

pytestmark = pytest.mark.timeout(60)  # a client without a limit hangs

ON_THE_WAY = 32 * 2**20
"""Bytes that a server may have sent beyond what the client took: buffers of the system."""
ONCE = RetryLimits(retries=0, seconds=0.5)
LISTING = answer(b'{"object": "list", "data": [{"id": "eyes", "object": "model"}]}')
KEY = "sk-secret-1234"
DEEP = b"[" * 100_000 + b"]" * 100_000
ASK = Ask("small", (Message("user", ("?",)),), 8, gate=Gate("min", min_score, top_k=2))


async def lists(_server: HostileServer, _head: bytes) -> Any:
    yield LISTING


def connect(server: HostileServer, limits: RetryLimits = ONCE) -> OpenAIEngine:
    return OpenAIEngine(EngineOptions(f"{server.url}#eyes", "small"), limits)


def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speceyes_judges.llm.endpoint.RETRIES", 0)
    monkeypatch.setattr("speceyes_judges.llm.endpoint.LOOK_RETRIES", 0)


def name(mode: Any) -> str:
    return getattr(mode, "__name__", "says")


@pytest.mark.parametrize("chat", [False, True], ids=["models", "chat"])
@pytest.mark.parametrize("mode", [*SLOW, *LONG, *BROKEN], ids=name)
def test_the_engine_leaves_a_hostile_server_with_one_sentence(mode: Sends, chat: bool) -> None:
    paths = {"/v1/models": lists} if chat else {}
    with HostileServer(mode, paths).running() as server:
        with pytest.raises(UsageError) as told:
            connect(server)
    assert "\n" not in str(told.value)
    assert server.sent < MOST_BYTES + ON_THE_WAY


@pytest.mark.parametrize("chat", [False, True], ids=["models", "chat"])
@pytest.mark.parametrize("mode", [*SLOW, *LONG, *BROKEN], ids=name)
def test_the_judge_leaves_a_hostile_server_with_one_sentence(
    mode: Sends, chat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_retries(monkeypatch)
    paths = {"/v1/models": lists} if chat else {}
    with HostileServer(mode, paths).running() as server:
        judge = JudgeEndpoint(server.url, KEY, 4, timeout=0.5)
        with pytest.raises(UsageError) as told:
            judge.ask(judge.find_model(None), [{"role": "user", "content": "?"}])
        judge.close()
    assert "\n" not in str(told.value)
    assert server.sent < JUDGE_BYTES + ON_THE_WAY


def test_no_client_tells_a_key_that_a_server_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECEYES_SMALL_API_KEY", KEY)
    with HostileServer(echo).running() as server:
        with pytest.raises(UsageError) as engine:
            connect(server)
        judge = JudgeEndpoint(server.url, KEY, 4, timeout=5.0)
        with pytest.raises(UsageError) as listing:
            judge.find_model(None)
        with pytest.raises(UsageError) as reply:
            judge.ask("eyes", [{"role": "user", "content": "?"}])
        judge.close()
    told = f"{engine.value} {listing.value} {reply.value}"
    assert "secret" not in told.lower()
    assert "***" in told


@pytest.mark.parametrize(
    ("status", "kind"), [("401 No", "x"), ("403 No", "x"), ("400 No", "no_db_connection")]
)
def test_a_refused_key_is_said_whatever_its_status(
    status: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM's proxy without a database has 400 for a wrong key."""
    no_retries(monkeypatch)
    body = json.dumps({"error": {"message": "No.", "type": kind, "code": "400"}}).encode()
    with HostileServer(says(body, status)).running() as server:
        with pytest.raises(UsageError, match="SPECEYES_SMALL_API_KEY"):
            connect(server)
        judge = JudgeEndpoint(server.url, KEY, 4, timeout=5.0)
        with pytest.raises(UsageError, match=r"refuses the key; .*SPECEYES_JUDGE_API_KEY"):
            judge.find_model(None)
        judge.close()


def test_an_answer_with_the_key_in_it_is_kept_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every place of it that a record or an error may show."""
    monkeypatch.setenv("SPECEYES_SMALL_API_KEY", KEY)
    top = [{"token": KEY, "logprob": -1.0 - n} for n in range(64)]
    entry = {"token": KEY, "bytes": None, "logprob": -1.0, "top_logprobs": top}
    choice = {"message": {"content": KEY}, "logprobs": {"content": [entry]}}

    def ends(finish: str) -> Sends:
        body = {"choices": [{**choice, "finish_reason": finish}], "usage": {"prompt_tokens": 9}}
        return says(json.dumps(body).encode())

    with HostileServer(ends("length"), {"/v1/models": lists}).running() as server:
        engine = connect(server, RetryLimits(retries=0, seconds=10.0))
        (reply,) = engine.generate([ASK])
        server.mode = ends(f"the key {KEY}")
        (failed,) = engine.generate([ASK])
        engine.close()
    assert isinstance(reply, Reply)
    assert reply.text == "***"
    assert isinstance(failed, EndpointError)
    assert "secret" not in f"{reply} {failed!r}"


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"data": ' + DEEP + b"}",
        b'{"error": {"message": ' + DEEP + b"}}",
        b'{"data": 7}',
        b'{"data": {"id": "eyes"}}',
        b'{"data": [{"id": 7}]}',
        b'{"data": [{"id": "\\ud800"}]}',
        b'{"data": ' + b"9" * 5000 + b"}",
        b"\xff\xfe[",
        b"",
    ],
    ids=range(10),
)
@pytest.mark.parametrize("status", ["200 OK", "400 No", "500 No"])
def test_odd_lists_of_models_are_one_sentence(
    body: bytes, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_retries(monkeypatch)
    with HostileServer(says(body, status)).running() as server:
        judge = JudgeEndpoint(server.url, KEY, 4, timeout=5.0)
        with pytest.raises(UsageError) as told:
            judge.ask(judge.find_model(None), [{"role": "user", "content": "?"}])
        judge.close()
        with pytest.raises(UsageError) as refused:
            connect(server)
    assert "\n" not in f"{told.value}{refused.value}"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text()
    | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NUMBER = st.floats(max_value=0) | JSON
TOP = st.lists(st.fixed_dictionaries({"token": st.text(), "logprob": NUMBER}) | JSON, max_size=3)
TOKEN = st.fixed_dictionaries(
    {"token": st.text() | JSON, "logprob": NUMBER, "top_logprobs": TOP | JSON},
    optional={"bytes": st.lists(st.integers(0, 255), max_size=3) | st.just(10**15) | JSON},
)
CHOICE = st.fixed_dictionaries(
    {
        "message": st.fixed_dictionaries({"content": st.text() | JSON}) | JSON,
        "finish_reason": st.sampled_from(["stop", "length"]) | JSON,
        "logprobs": st.fixed_dictionaries({"content": st.lists(TOKEN, max_size=3) | JSON}) | JSON,
    },
    optional={"stop_reason": JSON},
)
BODY = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE | JSON, max_size=2) | JSON},
    optional={"usage": st.fixed_dictionaries({"completion_tokens": JSON}) | JSON},
)


@settings(max_examples=400)
@given(BODY)
def test_any_completion_is_a_reply_or_a_sentence(body: Any) -> None:
    """As it comes over the wire: what JSON cannot hold is left out."""
    parsed = json.loads(json.dumps(body))
    try:
        reply = read_reply(ASK, Completion(parsed, 0.1), ())
    except (EndpointError, LogprobsError):
        return
    assert isinstance(reply, Reply)
    assert reply.text.encode() is not None
    assert reply.tokens >= 0


def test_a_judge_that_repeats_its_key_leaves_no_trace_of_it(
    invoke: Callable[..., Any], make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(4)
    monkeypatch.setenv("SPECEYES_JUDGE_API_KEY", KEY)

    async def tell(_server: HostileServer, head: bytes) -> Any:
        key = head.lower().partition(b"bearer ")[2].partition(b"\r\n")[0].decode()
        tells.append(key)
        text = "1" if len(tells) == 1 else f"my key is {key} and {key[:4]}\x00{key[4:]} \ud800"
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        yield answer(json.dumps({"choices": [choice]}).encode())

    tells: list[str] = []
    with HostileServer(tell, {"/v1/models": lists}).running() as server:
        done = invoke("judge", str(run), "--api-url", server.url, "--concurrency", "1")
    assert set(tells) == {KEY}
    assert "secret" not in done.output
    files = [path for path in run.rglob("*") if path.is_file()]
    assert any(b"my key is ***" in path.read_bytes() for path in files)
    assert not any(b"secret" in path.read_bytes() for path in files)
