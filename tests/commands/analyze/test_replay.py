from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from typer.testing import Result

Invoke = Callable[..., Result]


@pytest.fixture
def both(evaluate: Invoke) -> str:
    """A run of both branches over the example plugin, beside a baseline."""
    slow = ("--small", "scripted?delay=0.001", "--large", "scripted?delay=0.01")
    assert evaluate(*slow, "--both-branches", "--out", "runs/both").exit_code == 0
    assert evaluate(*slow, "--method", "baseline", "--out", "runs/baseline").exit_code == 0
    assert evaluate(*slow, "--out", "runs/real").exit_code == 0
    return "runs/both"


def test_a_table_of_thresholds_with_the_runs_own(invoke: Invoke, both: str) -> None:
    done = invoke("analyze", "replay", both, "--threshold", "0.98", "--threshold", "0.5")
    assert done.exit_code == 0, done.output
    assert "n = 12" in done.stdout
    assert "0.98" in done.stdout
    assert "as measured in baseline" in done.stdout


def test_json_has_every_split_gate_and_threshold(invoke: Invoke, both: str) -> None:
    done = invoke("analyze", "replay", both, "--gate", "all", "--threshold", "0.98", "--json")
    rows = json.loads(done.stdout)
    assert {row["split"] for row in rows} == {"near", "far", "all"}
    assert {row["gate"] for row in rows} >= {"min", "mean", "bottom20", "log", "first"}
    found = next(row for row in rows if (row["gate"], row["split"]) == ("min", "all"))
    # Of three dots one needs a tool, one gets a sure draft and one an unsure one.
    assert found["coverage"] == pytest.approx(1 / 3)
    assert found["accuracy"] == 1.0
    assert found["speedup"] > 0.5


def test_the_prediction_equals_the_real_run(invoke: Invoke, both: str) -> None:
    done = invoke("analyze", "replay", both, "--check", "runs/real", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["rerouted"] == []
    assert found["accuracy_predicted"] == found["accuracy_measured"]
    assert found["coverage_predicted"] == found["coverage_measured"]
    assert found["speedup_predicted"] == pytest.approx(found["speedup_measured"], rel=0.05)
    shown = invoke("analyze", "replay", both, "--check", "runs/real")
    assert "0 samples went another way" in shown.stdout


def test_the_frontier_as_pictures(invoke: Invoke, both: str, tmp_path: Path) -> None:
    done = invoke("analyze", "replay", both, "--out", "figures")
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "figures" / "frontier.png") as picture:
        assert picture.width > 600
    assert ET.parse(tmp_path / "figures" / "frontier.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runs/real"], "ran one branch only"),
        (["runs/both", "--threshold", "1.5"], "--threshold is a confidence from 0 to 1, not 1.5"),
        (["runs/both", "--gate", "mim"], "There is no gate 'mim'; did you mean 'min'?"),
        (["runs/both", "--top-k", "999"], "cannot tell K = 999"),
        (["runs/both", "--top-k", "2"], "--top-k 2 is too few for the gate min"),
        (["runs/both", "--check", "runs/baseline"], "which has no threshold"),
        (["runs/both", "--check", "runs/none"], "not a run folder"),
        (["runs/both", "--check", "runs/real", "--gate", "log"], "--check takes gate, K and"),
        (["nowhere"], "not a run folder"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_no_file(
    invoke: Invoke, both: str, tmp_path: Path, arguments: list[str], told: str
) -> None:
    out = () if "--check" in arguments else ("--out", "figures")
    done = invoke("analyze", "replay", *arguments, *out)
    assert both
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("speceyes: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "figures").exists()
