"""A real vLLM server keeps the contract that the look-alike keeps: `tests/servers/contract.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import contract
import environment
import pytest
from starting import started

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "plugins" / "speceyes_plugins" / "embedded" / "weights"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [
        environment.vllm().python,
        *("-m", "vllm.entrypoints.openai.api_server", "--model", str(WEIGHTS / "small")),
        *contract.OPTIONS,
    ]
    with started(command, "/v1/models", contract.KEY) as url:
        yield url


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
