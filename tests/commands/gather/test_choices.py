"""Which rows, columns and runs a table shows, and what it says of them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from speceyes_cli.commands.gather.columns import decimals_of
from speceyes_cli.core.run.store import take_lock

Invoke = Callable[..., Result]


@pytest.mark.parametrize("width", [80, 120, 250])
def test_there_is_one_table_of_what_the_width_takes(
    invoke: Invoke, runs: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    told = invoke("gather", str(runs)).stdout
    lines = told.splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("#") for line in lines) == 1
    for word in ("accuracy %", "speedup ×", "α %", "100.0 [61.0, 100.0]"):
        assert word in told
    flat = told.replace("\n", "")
    assert all(run.name in flat for run in runs.iterdir())
    left = re.search(r"Not shown at this width: ([^;]*);", flat)
    assert left is not None or width == 250


def test_two_runs_of_one_name_are_two(invoke: Invoke, runs: Path, tmp_path: Path) -> None:
    [only] = runs.glob("*speceyes*")
    shutil.copytree(only, tmp_path / "more" / only.name)
    for form in ("table", "markdown", "latex"):
        told = invoke("gather", "runs", "more", "--format", form, "--select", only.name).stdout
        plain = told.replace("\\_", "_")
        assert f"runs/{only.name}" in plain
        assert f"more/{only.name}" in plain
        if form == "table":
            assert [line.split()[0] for line in plain.splitlines() if " near " in line] == [
                "1",
                "2",
            ]
    rows = json.loads(invoke("gather", "runs", "more", "--json", "--only", "all").stdout)
    assert len({(row["folder"], row["run"]) for row in rows}) == 3


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json", "latex"])
@pytest.mark.parametrize("layout", ["runs", "paper"])
def test_a_run_that_has_not_ended_says_so(
    invoke: Invoke, runs: Path, form: str, layout: str
) -> None:
    if layout == "paper" and form not in ("table", "latex"):
        return
    [run] = runs.glob("*speceyes*")
    info = run / "run.json"
    info.write_text(info.read_text().replace('"status": "finished"', '"status": "running"'))
    told = invoke("gather", str(runs), "--format", form, "--layout", layout).stdout
    assert ("†" in told) if layout == "paper" else ("interrupted" in told)
    with take_lock(run):
        told = invoke("gather", str(runs), "--format", form, "--layout", layout).stdout
    assert ("†" in told) if layout == "paper" else ("running" in told)


def test_a_speedup_says_on_how_many_samples_it_rests(
    evaluate: Invoke, invoke: Invoke, tmp_path: Path
) -> None:
    slow = ("--large", "scripted?delay=0.01", "--no-cache")
    assert evaluate("--method", "baseline", *slow, "--limit", "2", "--out", "runs/b").exit_code == 0
    done = evaluate("--method", "speceyes", *slow, "--out", "runs/s")
    assert " n = 4" in done.stdout
    row = json.loads(invoke("gather", str(tmp_path / "runs"), "--json").stdout)[-1]
    assert (row["n"], row["speedup_n"]) == (12, 4)
    for form in ("table", "markdown", "latex"):
        assert "] n = 4" in invoke("gather", "runs", "--format", form).stdout


def test_columns_rows_and_runs_are_chosen(invoke: Invoke, runs: Path) -> None:
    def told(*arguments: str) -> str:
        done = invoke("gather", str(runs), *arguments)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    names = "run,split,threshold,phase_mean_s.agent,accuracy_low"
    written = told("--columns", names, "--format", "csv").splitlines()
    assert written[0] == names
    assert len(written) == 1 + 6
    rows = json.loads(told("--columns", names, "--json", "--only", "all"))
    assert [list(row) for row in rows] == [names.split(",")] * 2
    shown = told("--columns", "split, gate").splitlines()
    assert [line.split() for line in shown if line.startswith(("split", "near"))] == [
        ["split", "gate"],
        ["near", "–"],
        ["near", "min"],
    ]
    chosen = json.loads(told("--select", "SPECEYES-min", "--only", "far", "--json"))
    assert [(row["method"], row["split"]) for row in chosen] == [("speceyes", "far")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--columns", "acuracy"], "no column 'acuracy'; did you mean 'accuracy'?"),
        (["--columns", "acuracy", "--json"], "no column 'acuracy'; did you mean 'accuracy'?"),
        (["--only", "nar"], "no split 'nar'; did you mean 'near'?"),
        (["--select", "nothing like it"], "no run has 'nothing like it'"),
    ],
)
def test_what_cannot_be_chosen_is_told(
    invoke: Invoke, runs: Path, arguments: list[str], told: str
) -> None:
    done = invoke("gather", str(runs), *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=9))
def test_a_column_of_times_has_one_precision(values: list[float | None]) -> None:
    decimals = decimals_of(values)
    known = [value for value in values if value]
    assert 0 <= decimals <= 4
    if known and 0.1 <= min(known) < 1000:
        assert float(f"{min(known):.{decimals}f}") == pytest.approx(min(known), rel=0.006)
