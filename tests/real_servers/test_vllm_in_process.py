"""vLLM in the program's own process, beside the local engine, on the embedded pair."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import environment
import pytest
from starting import SETTINGS

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(900)]

NEAR = 1e-4
"""Most that a token's separability may differ between the two engines, in float32."""


@pytest.fixture(scope="module")
def vllm() -> environment.Environment:
    return environment.with_program(environment.vllm())


def run(python: str, folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Records by sample of `speceyes eval` with these options."""
    command = [python, "-m", "speceyes_cli", "eval", "--out", str(folder), *options]
    done = subprocess.run(
        command, env={**os.environ, **SETTINGS}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return environment.records(folder)


@pytest.mark.parametrize(
    ("agent", "method", "large"),
    [
        ("deepeyes", "speceyes", "embedded-qwen2.5"),
        ("deepeyes", "specreason", "embedded-qwen2.5"),
        ("thyme", "speceyes", "embedded-qwen2.5"),
        ("qwen", "speceyes", "embedded"),
    ],
)
def test_routes_answers_and_scores_are_the_local_engines(
    vllm: environment.Environment, tmp_path: Path, agent: str, method: str, large: str
) -> None:
    asked = ("--agent", agent, "--method", method, "--limit", "10")
    pair = ("--small", "vllm:embedded", "--large", f"vllm:{large}")
    ours = run(sys.executable, tmp_path / "ours", *asked)
    theirs = run(vllm.python, tmp_path / "theirs", *asked, *pair)
    assert len(ours) == 20
    assert {key: (one["route"], one["text"]) for key, one in theirs.items()} == {
        key: (one["route"], one["text"]) for key, one in ours.items()
    }
    compared = 0
    for key, one in ours.items():
        assert [c["finish"] for c in one["calls"]] == [c["finish"] for c in theirs[key]["calls"]]
        if one["draft"] is None:
            continue
        tokens, others = one["draft"]["tokens"], theirs[key]["draft"]["tokens"]
        assert [token["text"] for token in tokens] == [token["text"] for token in others]
        for token, other in zip(tokens, others, strict=True):
            assert abs(token["separability"] - other["separability"]) < NEAR
            compared += 1
    assert compared or method != "speceyes"


def test_the_gate_inside_its_sampler(vllm: environment.Environment) -> None:
    """The classes that vLLM calls, with vLLM's own values."""
    folder = Path(__file__).parent / "inside_vllm"
    checked = [vllm.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(
        checked,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
