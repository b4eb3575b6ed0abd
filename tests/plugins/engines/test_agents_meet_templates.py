"""A whole run of an agent that goes on within its own turn, on templates with published faults."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from speceyes_cli.core.chat import Role
from tests.plugins.engines.betraying_templates import (
    CLOSES_THOUGHTS,
    DROPS_PICTURES,
    PICTURES_FIRST,
    REFUSES_SYSTEM,
)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def thyme(speceyes: Run, untrained: dict[Role, Path], tmp_path: Path) -> Run:
    """thyme(template): one sample answered by Thyme on a model with that chat template."""

    def run(template: str) -> subprocess.CompletedProcess[str]:
        place = tmp_path / "eyes"
        shutil.copytree(untrained["large"], place)
        (place / "chat_template.jinja").write_text(template, encoding="utf-8")
        words = "eval --method baseline --agent thyme --dataset needle --split relative_position"
        own = "--agent-option sandbox=unsafe-subprocess --max-turns 2 --max-new-tokens 8 --limit 1"
        return speceyes(*f"{words} {own} --out run --json --large eyes".split())

    return run


@pytest.mark.parametrize("template", [DROPS_PICTURES, CLOSES_THOUGHTS])
def test_what_can_be_worked_around_is(thyme: Run, tmp_path: Path, template: str) -> None:
    done = thyme(template)
    assert done.returncode == 0, done.stderr
    [line] = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert json.loads(line)["error"] is None


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (PICTURES_FIRST, "it does not show how a picture is written in its place"),
        (REFUSES_SYSTEM, "System role not supported"),
    ],
)
def test_what_cannot_is_one_sentence_with_agent_and_model(
    thyme: Run, tmp_path: Path, template: str, says: str
) -> None:
    done = thyme(template)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "The agent thyme cannot use --large eyes: its chat template" in last
    assert says in last
    assert not (tmp_path / "run").exists()
