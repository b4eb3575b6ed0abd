from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.core.chat import Picture
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.judging.judges import Claim
from speceyes_cli.core.methods.policies import speceyes
from speceyes_cli.core.samples import Sample
from speceyes_cli.host import hookspecs
from speceyes_cli.host.manager import Host, build_manager
from speceyes_cli.host.specs import AgentOptions, DataSource, EngineOptions, Finding, JudgeOptions

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "plugins.md"
HOOKS = [
    (name, hook)
    for name, hook in vars(hookspecs).items()
    if hasattr(hook, "speceyes_spec") and inspect.isfunction(hook)
]


@pytest.mark.parametrize(("name", "hook"), HOOKS)
def test_every_hook_has_a_test(name: str, hook: Any) -> None:
    assert callable(hook)
    assert f"test_{name}" in vars(sys.modules[__name__])


@pytest.mark.parametrize(("name", "hook"), HOOKS)
def test_every_hook_is_documented_with_its_exact_signature(name: str, hook: Any) -> None:
    signature = f"def {name}{str(inspect.signature(hook)).replace(chr(39), '')}"
    blocks = re.findall(r"```python\n(.*?)\n```", DOCUMENTATION.read_text(), re.DOTALL)
    assert signature in blocks


def test_the_documentation_names_no_hook_that_is_gone() -> None:
    named = set(re.findall(r"\bdef (speceyes_\w+)", DOCUMENTATION.read_text()))
    assert named == {name for name, _ in HOOKS}


def test_every_hook_is_known_to_the_manager() -> None:
    manager = build_manager()
    assert len(HOOKS) == 9
    assert all(hasattr(manager.hook, name) for name, _ in HOOKS)


def test_speceyes_agents(host: Host) -> None:
    agent = host.agents.get("looker").factory(AgentOptions(max_turns=2))
    assert agent.max_turns == 2


def test_speceyes_engines(host: Host) -> None:
    spec = host.engines.get("scripted")
    assert spec.takes("scripted?delay=0")
    assert not spec.takes("a/b")
    assert spec.factory(EngineOptions("scripted", "small", batch_size=3)).max_batch == 3


def test_speceyes_datasets(host: Host) -> None:
    spec = host.datasets.get("dots")
    assert [sample.id for sample in spec.open("far", DataSource())][:2] == ["dot-0", "dot-1"]
    assert spec.size("far", DataSource()) == 20


def test_speceyes_judges(host: Host) -> None:
    sample = Sample("s", "t", Picture("p", pytest.fail), "?", answer="red")
    judge = host.judges.get("exact").factory(JudgeOptions())
    [[judged]] = judge.judge([Claim(sample, "red")])
    assert (judged.note.right, judged.note.provenance, judged.note.judge) == (
        True,
        "exact",
        "exact",
    )


def test_speceyes_gates(host: Host) -> None:
    scores = [TokenScore(9.0, 0.0, 1.0, 1.0), TokenScore(0.0, 0.0, 1.0, 1.0)]
    assert host.gates.get("first").score(scores) > 0.99
    assert {"min", "mean", "bottom20", "log", "margin", "entropy"} <= set(host.gates.specs)


def test_speceyes_methods(host: Host) -> None:
    assert host.methods.get("twice").roles == ("small",)
    assert inspect.unwrap(host.methods.get("speceyes").policy) is speceyes
    assert {"speceyes", "baseline", "draft"} <= set(host.methods.specs)


def test_speceyes_checks(host: Host) -> None:
    assert list(host.checks.get("greeting").run()) == [Finding("greeting", "ok", "hello")]


def test_speceyes_commands(host: Host) -> None:
    done = CliRunner().invoke(build_app(host), ["hello"], obj=host)
    assert done.output == "hello from a plugin\n"


def test_speceyes_record(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPECEYES_EXAMPLE_JOURNAL", "journal")
    arguments = "eval --agent looker --dataset dots --small scripted --large scripted --limit 2"
    done = CliRunner().invoke(build_app(host), [*arguments.split(), "--out", "r"], obj=host)
    assert done.exit_code == 0, done.output
    assert sorted((tmp_path / "journal").read_text().splitlines()) == [
        "r far/dot-0",
        "r far/dot-1",
        "r near/dot-0",
        "r near/dot-1",
    ]
