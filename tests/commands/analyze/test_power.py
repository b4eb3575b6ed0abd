from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun

Invoke = Callable[..., Result]
SPECS = [Spec(0.5 + i / 500, draft_right=i > 40 or i % 2 > 0) for i in range(200)]


def test_samples_by_expected_harm(invoke: Invoke) -> None:
    done = invoke("analyze", "power", "--harm", "0", "--harm", "0.005")
    assert done.exit_code == 0, done.output
    assert "0.00%" in done.stdout
    assert "114" in done.stdout
    told = json.loads(invoke("analyze", "power", "--json").stdout)
    assert [one["harm"] for one in told["needed"]] == [0.0, 0.0025, 0.005, 0.01]
    assert told["expected"] == []


def test_a_pilot_tells_what_coverage_to_expect(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path
) -> None:
    run = str(write_run("pilot", SPECS, both_branches=True))
    sizes = ("--samples", "100", "--samples", "800")
    done = invoke("analyze", "power", run, *sizes, "--gate", "mean", "--out", "figures")
    assert done.exit_code == 0, done.output
    assert "Runs like pilot" in done.stdout
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert {"power.png", "expected_coverage.svg"} <= names
    told = json.loads(invoke("analyze", "power", run, *sizes, "--json").stdout)
    few, many = told["expected"]
    assert (few["samples"], few["certified"]) == (100, 0.0)
    assert many["certified"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--harm", "0.02"), "--harm is a share from 0 to below --max-loss 0.02"),
        (("--max-loss", "1"), "--max-loss is a probability"),
        (("--samples", "100"), "--samples is about a pilot run"),
        (("--gate", "min"), "--gate is about a pilot run"),
        (("none",), "not a run folder"),
    ],
)
def test_what_makes_no_sense(invoke: Invoke, arguments: tuple[str, ...], told: str) -> None:
    done = invoke("analyze", "power", *arguments)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
