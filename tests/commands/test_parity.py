from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result


def test_the_list_is_printed_recorded_and_gathered(
    invoke: Callable[..., Result], tmp_path: Path
) -> None:
    done = invoke("eval", "--parity", "paper", "--limit", "1", "--out", "paper")
    assert done.exit_code == 0, done.output
    assert "--agent-option box-rounding=truncate" in done.stderr
    assert "prompts: our own words still" in done.stderr
    info = json.loads((tmp_path / "paper" / "run.json").read_text())
    assert info["config"]["parity"] == "paper"
    assert any("--option-order dataset" in line for line in info["notes"])
    [row, *_] = json.loads(invoke("gather", "paper", "--json").stdout)
    assert row["parity"] == "paper"
    assert "parity" in invoke("gather", "paper", "--columns", "parity,n").stdout


def test_a_run_without_it_shows_no_such_column(invoke: Callable[..., Result]) -> None:
    done = invoke("eval", "--limit", "1", "--method", "draft", "--out", "ours")
    assert done.exit_code == 0, done.output
    assert "parity" not in invoke("gather", "ours").stdout
