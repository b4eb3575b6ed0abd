"""The slider's figures are those of `analyze replay` and `analyze calibrate`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from speceyes_cli.analysis.calibration import grid
from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Host
from speceyes_cli.host.replaying import choices, open_replay, replay_choices
from speceyes_cli.view.command_line import eval_command
from speceyes_cli.view.what_if import open_what_if
from tests.analysis.conftest import Spec
from tests.view.conftest import View, WriteRun

SPECS = [
    Spec(0.5 + 0.49 * place / 60, place % 3 > 0, place % 5 > 0, passed=place % 7 > 0)
    for place in range(60)
]


def test_every_threshold_is_what_a_replay_says(write_run: WriteRun, host: Host) -> None:
    folder = write_run("a", SPECS)
    found = open_what_if(folder, host)
    assert found.own == ("min", 64, 0.98)
    opened = open_replay(folder, host)
    for gate in found.gates:
        curve = found.curve(gate, 64, 0.1)
        assert curve["threshold"] == sorted({*grid(), 0.98})
        for threshold in (0.0, 0.7, 0.9, 0.98, 1.0):
            at = curve["threshold"].index(threshold)
            wanted = choices(opened.scores, [gate], [64], [threshold])
            [row] = replay_choices(opened.scores, opened.baseline, wanted)
            for name in ("coverage", "accuracy", "accuracy_low", "accuracy_high", "gain", "harm"):
                assert curve[name][at] == getattr(row, name), (gate, threshold, name)
            assert curve["speedup"][at] == pytest.approx(row.speedup)


def test_the_curve_is_served_and_what_cannot_be_told_is_said(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run("both", SPECS)
    write_run("one", [Spec(one_branch=True), Spec(0.5, one_branch=True)])
    shown = view(tmp_path)
    both, one = shown.run("both").id, shown.run("one").id
    curve = shown.get(f"/runs/{both}/what-if/curve?gate=min&k=64&risk=0.05").json()
    assert len(curve["threshold"]) == len(curve["bound"]) == len(curve["speedup"])
    assert curve["n"] == 60
    for query, told in (
        ("gate=nonsense", "nonsense"),
        ("k=9", "cannot tell K = 9"),
        ("k=4", "--top-k 4 is too few for the gate min"),
        ("risk=2", "probability"),
    ):
        answer = shown.get(f"/runs/{both}/what-if/curve?{query}")
        assert answer.status_code == 422
        assert told in answer.json()["told"]
    assert "eval --both-branches" in shown.page(f"/runs/{one}/what-if").text
    assert "eval --both-branches" in shown.get(f"/runs/{one}/what-if/curve").json()["told"]
    assert "told" in shown.get(f"/runs/{one}/curves").json()
    charts = shown.get(f"/runs/{both}/curves").json()
    assert len(charts["confidence"]) == len(charts["right"]) == len(charts["wrong"])


def test_accuracies_of_clusters_have_no_bounds_of_single_samples(
    write_run: WriteRun, host: Host
) -> None:
    specs = [replace(spec, cluster=f"c{place // 4}") for place, spec in enumerate(SPECS)]
    curve = open_what_if(write_run("a", specs), host).curve("min", 64, 0.1)
    assert set(curve["accuracy_low"]) == set(curve["accuracy_high"]) == {None}
    assert len(curve["accuracy_low"]) == len(curve["accuracy"])


def test_no_k_is_offered_that_separability_cannot_use(write_run: WriteRun, host: Host) -> None:
    gaps = tuple(1.0 + place / 10 for place in range(127))
    found = open_what_if(write_run("a", [replace(spec, rivals=gaps) for spec in SPECS]), host)
    assert found.top_ks == (8, 16, 32, 64, 128)
    for gate in ("min", "log"):
        for top_k in found.top_ks:
            assert found.curve(gate, top_k, 0.1)["n"] == 60
    assert found.curve("log", 2, 0.1)["n"] == 60
    with pytest.raises(UsageError, match="too few for the gate min"):
        found.curve("min", 2, 0.1)


def test_the_command_makes_the_run_that_was_asked_for(
    view: View, evaluate: Callable[..., Result], invoke: Callable[..., Result], tmp_path: Path
) -> None:
    made = evaluate("--both-branches", "--max-turns", "3", "--out", "runs/both")
    assert made.exit_code == 0
    shown = view(tmp_path / "runs")
    info = shown.run("both").info
    assert info is not None
    words = shlex.split(eval_command(info))
    assert words[:2] == ["speceyes", "eval"]
    done = invoke(*words[1:], "--gate", "log", "--top-k", "64", "--threshold", "0.5")
    assert done.exit_code == 0, done.output
    [name] = {path.name for path in (tmp_path / "runs").iterdir()} - {"both", ".cache"}
    new = shown.run(name).info
    assert new is not None
    changed = {"gate": "log", "threshold": 0.5, "both_branches": False}
    assert new.config == info.config.model_copy(update=changed)
