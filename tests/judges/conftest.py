"""A run whose answers no rule can judge, and a judge to ask about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from speceyes_example.dots import COLOURS
from typer.testing import CliRunner, Result

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import Host

Invoke = Callable[..., Result]
MakeRun = Callable[..., Path]


@pytest.fixture
def invoke(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """invoke("judge", "run"): the result of that command, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("SPECEYES_JUDGE_CACHE", str(tmp_path / "cache.sqlite"))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build_app(host), list(arguments), obj=host)

    return run


@pytest.fixture
def make_run(invoke: Invoke, tmp_path: Path) -> MakeRun:
    """make_run(8, name="run"): a run of open questions, the even ones answered rightly."""

    def make(count: int, name: str = "run") -> Path:
        Image.new("RGB", (32, 32)).save(tmp_path / "dot.png")
        rows = [
            {
                "image": "dot.png",
                "question": f"What colour is dot {number}?",
                "answer": COLOURS[number % len(COLOURS)][:2] if number % 2 == 0 else "purple",
            }
            for number in range(count)
        ]
        data = tmp_path / f"questions-{count}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = invoke(
            *("eval", "--method", "draft", "--agent", "looker", "--small", "scripted"),
            *("--dataset", "jsonl", "--data", str(data), "--out", name),
        )
        assert done.exit_code == 0, done.output
        return tmp_path / name

    return make
