"""A real vLLM server keeps the contract that the look-alike keeps: `tests/servers/contract.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import contract
import environment
import pytest
from speceyes_plugins.engines.openai.engine import OpenAIEngine
from starting import StartedServer, started

from speceyes_cli.core.chat import Ask, Message
from speceyes_cli.core.errors import ServerLostError
from speceyes_cli.host.specs import EngineOptions

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "plugins" / "speceyes_plugins" / "embedded" / "weights"


@pytest.fixture(scope="module")
def server() -> Iterator[StartedServer]:
    command = [
        environment.vllm().python,
        *("-m", "vllm.entrypoints.openai.api_server", "--model", str(WEIGHTS / "small")),
        *contract.OPTIONS,
    ]
    with started(command, "/v1/models", contract.KEY) as running:
        yield running


@pytest.fixture(scope="module")
def address(server: StartedServer) -> str:
    return server.address


@pytest.mark.parametrize("case", contract.CASES, ids=lambda case: case.name)
def test_vllm_keeps_the_contract(address: str, case: contract.Case) -> None:
    contract.hold(case, address)


def test_a_run_through_it_is_the_local_run(address: str, tmp_path: Path) -> None:
    """Drafts of the embedded pair, the small model at the server: the same texts and scores."""
    asked = ("eval", "--method", "draft", "--limit", "8", "--out")
    program = [sys.executable, "-m", "speceyes_cli", *asked]
    settings = {**os.environ, "SPECEYES_SMALL_API_KEY": contract.KEY}
    remote = f"{address}/v1?factor=40#small"
    told = {}
    for name, options in (("near", ()), ("far", ("--small", remote))):
        done = subprocess.run(
            [*program, str(tmp_path / name), *options],
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        told[name] = environment.records(tmp_path / name)
    assert len(told["near"]) == 16
    for key, one in told["near"].items():
        mine, theirs = one["draft"], told["far"][key]["draft"]
        assert mine["text"] == theirs["text"]
        assert [t["text"] for t in mine["tokens"]] == [t["text"] for t in theirs["tokens"]]
        for token, other in zip(mine["tokens"], theirs["tokens"], strict=True):
            assert abs(token["separability"] - other["separability"]) < contract.NEAR


def test_stopped_while_answers_are_out_it_is_noticed(
    server: StartedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test here: the server is gone after it."""
    monkeypatch.setenv("SPECEYES_SMALL_API_KEY", contract.KEY)
    options = EngineOptions(f"{server.address}/v1?factor=40#small", "small", concurrency=16)
    engine = OpenAIEngine(options)
    ends: list[BaseException] = []

    def ask_on(number: int) -> None:
        question = f"What is number {number}? " * 100
        asked = Ask("small", (Message("user", (question,)),), max_new_tokens=1000)
        try:
            while True:
                engine.generate([asked])
        except ServerLostError as error:
            ends.append(error)

    threads = [threading.Thread(target=ask_on, args=(n,), daemon=True) for n in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    server.process.terminate()
    for thread in threads:
        thread.join(60)
    engine.close()
    assert len(ends) == 16
