from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from typer.testing import Result

from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun

Invoke = Callable[..., Result]
MIXED = [Spec(0.5 + place / 60, draft_right=place % 4 > 0) for place in range(29)]
FIGURES = ("calibration", "densities", "risk-coverage", "rolling-accuracy", "thresholds", "ties")


def test_tables_and_figures(invoke: Invoke, write_run: WriteRun, tmp_path: Path) -> None:
    done = invoke("analyze", "confidence", str(write_run("a", MIXED)), "--out", "out")
    assert done.exit_code == 0, done.output
    for word in ("AUROC", "min", "bottom20", "0.995", "an exact tie of two can reach 0.991"):
        assert word in done.stdout
    assert {file.stem for file in (tmp_path / "out").iterdir()} == set(FIGURES)
    for name in FIGURES:
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            assert picture.width > 800
            greys = picture.convert("L").getextrema()
        assert greys[0] < 90  # something dark was drawn on white
        text = (tmp_path / "out" / f"{name}.svg").read_text()
        assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own file
        assert "n = 29" in text


def test_json_of_several_runs(invoke: Invoke, write_run: WriteRun, tmp_path: Path) -> None:
    for name in ("runs/a", "runs/b"):
        write_run(name, MIXED)
    done = invoke("analyze", "confidence", str(tmp_path / "runs"), "--json")
    found = json.loads(done.stdout)
    assert [run["run"] for run in found] == ["a", "b"]
    assert {gate["gate"] for gate in found[0]["gates"]} >= {"min", "mean", "bottom20"}
    assert all(Path(file).is_file() for run in found for file in run["figures"])
    assert found[0]["gates"][0]["n_right"] == sum(spec.draft_right for spec in MIXED)


def test_two_runs_of_one_name_have_each_their_figures(invoke: Invoke, write_run: WriteRun) -> None:
    write_run("one/run", MIXED)
    write_run("two/run", MIXED[:20])
    found = json.loads(invoke("analyze", "confidence", "one", "two", "--json").stdout)
    assert [one["run"] for one in found] == ["one/run", "two/run"]
    files = [file for one in found for file in one["figures"]]
    assert len(set(files)) == 2 * 2 * len(FIGURES)
    for one, n in zip(found, (29, 20), strict=True):
        [svg] = [file for file in one["figures"] if file.endswith("densities.svg")]
        assert f"n = {n}" in Path(svg).read_text()
    shown = invoke("analyze", "confidence", "one", "two").stdout
    assert "one/run · 29 drafts" in shown
    assert "two/run · 20 drafts" in shown


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        ([Spec(0.5 + i / 50) for i in range(9)], "are right"),
        ([Spec(0.9, draft_right=i > 3) for i in range(9)], "the same"),
        ([Spec(None, draft_right=i > 3) for i in range(9)], "no draft with a defined"),
        ([Spec(0.9 + i / 100, one_branch=True) for i in range(9)], "eval --both-branches"),
    ],
)
def test_bad_runs_are_one_sentence_and_leave_no_file(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path, specs: list[Spec], told: str
) -> None:
    done = invoke("analyze", "confidence", str(write_run("a", specs)))
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("command", ["confidence", "ablation", "report"])
def test_runs_of_different_data_are_not_mixed(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path, command: str
) -> None:
    write_run("runs/a", MIXED)
    write_run("runs/b", MIXED, dataset="needle")
    done = invoke("analyze", command, str(tmp_path / "runs"))
    assert done.exit_code == 2
    assert "different data" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["runs"]


def test_ablation_with_the_papers_points(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path
) -> None:
    for threshold in (0.9, 0.95):
        write_run(f"runs/{threshold}", MIXED, threshold=threshold)
    done = invoke("analyze", "ablation", str(tmp_path / "runs"), "--compare", "paper")
    assert done.exit_code == 0, done.output
    assert "paper, vstar/direct_attributes" in done.stdout
    told = json.loads(invoke("analyze", "ablation", str(tmp_path / "runs"), "--json").stdout)
    assert [point["value"] for point in told["curves"][0]["points"]] == [0.9, 0.95]
    assert (tmp_path / "figures" / "ablation-threshold.svg").is_file()
    done = invoke("analyze", "ablation", str(tmp_path / "runs"), "--compare", "upstream")
    assert done.exit_code == 2
    assert "knows only 'paper'" in done.stderr
