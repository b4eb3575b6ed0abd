"""Help that can be read at 80 columns, and what a shell offers behind an option."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from speceyes_cli.app import COMMANDS, GROUPS, build_app
from speceyes_cli.commands.help_texts import ENVIRONMENT
from speceyes_cli.host.manager import Host


def run(host: Host, *arguments: str, **environment: str) -> Any:
    environment = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", **environment}
    return CliRunner().invoke(
        build_app(host), list(arguments), obj=host, env=environment, prog_name="speceyes"
    )


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(GROUPS)))
def test_help_repeats_no_type_of_flags_and_no_rule(host: Host, name: str) -> None:
    shown = run(host, name, "--help").stdout
    assert "<bool>" not in shown
    assert shown.count("[env var") <= 1  # an option whose variable is not named by the rule
    assert max(map(len, shown.splitlines())) <= 80


def test_the_rule_of_the_environment_stands_once(host: Host) -> None:
    shown = " ".join(run(host, "eval", "--help").stdout.split())
    assert shown.count(ENVIRONMENT) == 1
    assert shown.count("SPECEYES_") == 1
    assert "--resume --fresh" in shown


@pytest.mark.parametrize("name", ["eval", "infer"])
def test_what_to_run_comes_before_how_it_is_kept(host: Host, name: str) -> None:
    shown = run(host, name, "--help").stdout
    panels = ["What to run", "Models", "The decision", "The agent", "The run"]
    assert sorted(panels, key=lambda panel: shown.index(f"─ {panel} ─")) == panels


def test_paragraphs_are_broken_by_the_terminal_alone(host: Host) -> None:
    lines = run(host, "eval", "--help").stdout.splitlines()
    start = next(place for place, line in enumerate(lines) if "Each sample is screened" in line)
    assert min(map(len, (line.rstrip() for line in lines[start : start + 3]))) > 60


@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        ("eval --agent ", ["deepeyes", "thyme", "looker"], []),
        ("eval --dataset v", ["vstar"], ["needle"]),
        ("eval --gate ", ["min", "mean"], []),
        ("infer --method ", ["draft", "speceyes"], []),
        ("eval --dataset pope --split ", ["all", "adversarial"], ["relative_position"]),
        ("data check vstar --split r", ["relative_position"], ["all"]),
    ],
)
def test_a_shell_is_offered_values(
    host: Host, words: str, offered: list[str], not_offered: list[str]
) -> None:
    told = run(
        host,
        _SPECEYES_COMPLETE="complete_bash",
        COMP_WORDS=f"speceyes {words}",
        COMP_CWORD=str(len(words.split(" "))),
    ).stdout.split()
    assert set(offered) <= set(told)
    assert not set(not_offered) & set(told)
