"""The plugin API: listed, documented, light to import, and enough for agents, engines and gates."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import plugin_reference
import pytest
from typer.testing import CliRunner

import speceyes_cli.plugin
from speceyes_cli.app import build_app
from speceyes_cli.core.run.store import read_run
from speceyes_cli.host.manager import Host

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "example_plugin" / "speceyes_example"
HEAVY = ("torch", "typer", "rich", "pydantic", "sqlite3", "numpy", "scipy", "transformers")


def test_the_documentation_lists_every_name_with_its_exact_signature() -> None:
    page = plugin_reference.PAGE.read_text()
    written = plugin_reference.BEGIN + page.partition(plugin_reference.BEGIN)[2]
    told = "docs/plugins.md is behind the code: run python tests/host/plugin_reference.py"
    assert written == plugin_reference.reference(), told


def test_every_listed_name_is_there_and_under_one_subject() -> None:
    listed = [name for _, names in plugin_reference.subjects() for name in names]
    assert sorted(listed) == sorted(speceyes_cli.plugin.__all__)
    assert len(set(listed)) == len(listed)
    for name in listed:
        assert getattr(speceyes_cli.plugin, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        speceyes_cli.plugin.nothing  # noqa: B018 - looked up on purpose


def test_importing_the_plugin_api_loads_nothing_heavy() -> None:
    code = f"import speceyes_cli.plugin, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def own_imports(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Every name that the files import from the project: (file, module, name)."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((path, str(node.module), alias.name) for alias in node.names)


def test_the_example_needs_nothing_but_the_plugin_api() -> None:
    public = {"speceyes_cli.plugin", *plugin_reference.HELPERS}
    found = [
        (path, module, name)
        for path, module, name in own_imports(EXAMPLE)
        if module.startswith("speceyes_") and not module.startswith("speceyes_example")
    ]
    assert len(found) > 20
    for path, module, name in found:
        assert module in public, path
        assert name in import_module(module).__all__, path


@pytest.mark.parametrize(("folder", "spec"), [("caller", "CALLER"), ("recorded", "RECORDED")])
def test_a_new_agent_or_engine_is_one_folder_and_one_line(folder: str, spec: str) -> None:
    naming = [
        (path.relative_to(EXAMPLE).as_posix(), line.strip())
        for path in sorted(EXAMPLE.rglob("*.py"))
        for line in path.read_text().splitlines()
        if spec in line
    ]
    module = "agent" if folder == "caller" else "engine"
    assert [line for path, line in naming if path == "plugin.py"] == [
        f"from speceyes_example.{folder}.{module} import {spec}",
        f"yield {spec}",
    ]
    assert {path for path, _ in naming} == {"plugin.py", f"{folder}/{module}.py"}


def test_a_built_in_gate_is_named_in_two_files_of_the_program() -> None:
    naming = {
        path.name
        for folder in ("speceyes_cli", "plugins", "kernels", "datasets", "judges")
        for path in (ROOT / folder).rglob("*.py")
        if "margin_score" in path.read_text()
    }
    assert naming == {"scores.py", "builtin_gates.py"}


def choice(text: str, *gaps: float) -> dict[str, object]:
    """An OpenAI choice of one token per gap, each that far above its 63 rivals."""
    # Of many that are alike each has a small share.
    top = -0.01 if all(gap > 5 for gap in gaps) else -6.0
    pieces = [text] if len(gaps) < 2 else text.split(maxsplit=len(gaps) - 1)
    content = [
        {
            "token": piece,
            "logprob": top,
            "top_logprobs": [{"logprob": top}]
            + [{"logprob": top - gap - 0.1 * rank} for rank in range(63)],
        }
        for piece, gap in zip(pieces, gaps, strict=False)
    ]
    return {"message": {"content": text}, "logprobs": {"content": content}}


CALL = '<tool_call>{"name": "zoom", "arguments": {"bbox_2d": [16, 16, 48, 48]}}</tool_call>'


@pytest.mark.parametrize(("gap", "route"), [(20.0, "small"), (0.0, "large")])
def test_the_example_agent_and_engine_work_together(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: float, route: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = {
        "screen": [choice("No.")],
        "draft": [choice("red", gap)],
        "agent": [choice(CALL), choice("red")],
    }
    Path("answers.json").write_text(json.dumps(answers))
    done = CliRunner().invoke(
        build_app(host),
        [
            *("eval", "--agent", "caller", "--dataset", "dots", "--split", "near", "--limit", "1"),
            *("--small", "recorded:answers.json", "--large", "recorded:answers.json"),
            *("--out", "r"),
        ],
        obj=host,
    )
    assert done.exit_code == 0, done.output
    [record] = read_run(Path("r"))[1]
    assert (record.route, record.text) == (route, "red")
    assert [tool.outcome for tool in record.tools] == (["ok"] if route == "large" else [])


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (choice("red", 1.0), ""),
        (
            choice("red", 1.0) | {"sampled": True},
            "1 of 1 drafts could not be trusted: their tokens",
        ),
        (choice("<think>dark</think>red", 20.0), "a thought that was not asked for (--thinking"),
    ],
)
def test_drafts_that_cannot_be_trusted_are_told_of_at_the_end(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Any, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if said.get("sampled"):  # the chosen token is not the likeliest
        said["logprobs"]["content"][0]["logprob"] = -7.0
    Path("answers.json").write_text(json.dumps({"draft": [said]}))
    for report in ((), ("--json",)):
        done = CliRunner().invoke(
            build_app(host),
            [
                *("eval", "--method", "draft", "--dataset", "dots", "--split", "near"),
                *("--limit", "1", "--small", "recorded:answers.json", "--out", f"r{len(report)}"),
                *report,
            ],
            obj=host,
        )
        assert done.exit_code == 0, done.output
        assert ("could not be trusted" in done.output) is bool(says)
        assert says in " ".join(done.output.split())
