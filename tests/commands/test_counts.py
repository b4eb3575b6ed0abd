"""What a run's tables count beside answers: tied drafts, and errors of tools that were told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from speceyes_example import scripted
from typer.testing import Result

from speceyes_cli.core.chat import Ask

Invoke = Callable[..., Result]


@pytest.fixture
def clumsy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's first word is none, its first box has three numbers, then it does well."""
    usual = scripted.reply_to

    def reply_to(ask: Ask, number: int) -> str:
        if ask.phase != "agent":
            return usual(ask, number)
        said = ["SEE", "LOOK 1 2 3"][len(ask.messages) // 2 :]
        return said[0] if said else usual(ask, number)

    monkeypatch.setattr(scripted, "reply_to", reply_to)


def lines_of(text: str) -> list[list[str]]:
    """The cells of a closing table's rows."""
    return [[cell.strip() for cell in line.split("│")] for line in text.splitlines()]


def rows_of(invoke: Invoke) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(invoke("gather", "runs", "--json").stdout)
    return rows


@pytest.mark.usefixtures("clumsy")
def test_errors_of_tools_are_counted_by_kind(evaluate: Invoke, invoke: Invoke) -> None:
    done = evaluate("--method", "baseline", "--limit", "3", "--out", "runs/clumsy")
    assert done.exit_code == 0, done.output
    shown = {cells[1]: cells[-2] for cells in lines_of(done.stdout) if len(cells) > 3}
    assert shown["tool errors the model was told"] == "12"
    assert (shown["of it bad_word"], shown["of it bad_box"]) == ("6", "6")
    *splits, total = rows_of(invoke)
    assert total["tool_errors"] == {"bad_word": 6, "bad_box": 6}
    assert sum(row["n_tool_errors"] for row in splits) == total["n_tool_errors"] == 12
    assert "tool errors" in invoke("gather", "runs", "--format", "markdown").stdout
    named = invoke("gather", "runs", "--columns", "n_tool_errors,tool_errors.bad_box")
    assert named.stdout.splitlines()[-1].split() == ["12", "6"]
    table = csv.DictReader(io.StringIO(invoke("gather", "runs", "--format", "csv").stdout))
    assert [row["n_tool_errors"] for row in table][-1] == "12"


def test_tied_drafts_are_counted(
    evaluate: Invoke, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "UNSURE", scripted.UNSURE._replace(margin=0.0))
    done = evaluate("--screen", "none", "--out", "runs/tied")
    assert done.exit_code == 0, done.output
    shown = {cells[1]: cells[-2] for cells in lines_of(done.stdout) if len(cells) > 3}
    total = rows_of(invoke)[-1]
    assert total["n_tied"] == int(shown["drafts that a tie decided"]) == 8
    assert total["n"] == 12
    assert "tied drafts" in invoke("gather", "runs", "--format", "latex").stdout


def test_nothing_is_shown_where_there_is_none(evaluate: Invoke, invoke: Invoke) -> None:
    done = evaluate("--out", "runs/fine")
    other = evaluate("--method", "baseline", "--out", "runs/alone")
    for told in (done.stdout, other.stdout, invoke("gather", "runs", "--format", "latex").stdout):
        assert "tool errors" not in told
        assert "tie" not in told
    by_method = {row["method"]: row for row in rows_of(invoke) if row["split"] == "all"}
    assert (by_method["speceyes"]["n_tied"], by_method["baseline"]["n_tied"]) == (0, None)
