from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from speceyes_example.scripted import UNSURE, ScriptedEngine
from typer.testing import Result

from speceyes_cli.analysis.certificate import Guarantee, sign, write_certificate
from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]

DOTS = ("eval", "--agent", "looker", "--dataset", "dots", "--limit", "0")
LARGE = ("--large", "scripted")
SMALL = ("--small", "scripted?err=2,5,8")
"""Wrong on three of the dots it is unsure of."""
LEVELS = ("--max-loss", "0.05", "--risk", "0.2")
"""What sixty dots can certify."""


@pytest.fixture
def both(invoke: Invoke) -> str:
    """A run of both branches over all sixty dots."""
    done = invoke(*DOTS, *SMALL, *LARGE, "--both-branches", "--out", "runs/both")
    assert done.exit_code == 0, done.output
    return "runs/both"


@pytest.fixture
def certificate(invoke: Invoke, both: str) -> str:
    done = invoke("analyze", "calibrate", both, *LEVELS, "--out", "c.json")
    assert done.exit_code == 0, done.output
    return "c.json"


def test_it_says_what_it_certifies(invoke: Invoke, both: str, tmp_path: Path) -> None:
    done = invoke("analyze", "calibrate", both, *LEVELS)
    assert done.exit_code == 0, done.output
    assert "min > 0.769, K = 64" in done.stdout
    assert "0 of 60 samples" in done.stdout
    found = json.loads((tmp_path / "certificate.json").read_text())
    # The unsure dots lie at sigmoid(1.2) = 0.7685; letting them in would let their errors in.
    assert (found["threshold"], found["n"], found["harmful"]) == (0.769, 60, 0)
    shown = invoke("analyze", "calibrate", both, *LEVELS, "--json", "--gate", "mean")
    assert json.loads(shown.stdout)["gate"] == "mean"


def test_eval_uses_the_threshold(invoke: Invoke, certificate: str, tmp_path: Path) -> None:
    done = invoke(*DOTS, *SMALL, *LARGE, "--certificate", certificate, "--out", "runs/real")
    assert done.exit_code == 0, done.output
    config = read_run(tmp_path / "runs" / "real")[0].config
    assert (config.gate, config.top_k, config.threshold) == ("min", 64, 0.769)


def test_another_gate_keeps_the_first_loss(invoke: Invoke, both: str, tmp_path: Path) -> None:
    gates, losses = ("--gate", "min", "--gate", "log"), ("--max-loss", "0.05", "--max-loss", "0.3")
    done = invoke("analyze", "calibrate", both, *gates, *losses, "--risk", "0.3", "--out", "c.json")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "c.json").read_text())
    points = {(p["gate"], p["max_loss"]): p["threshold"] for p in found["frontier"]}
    [other] = {"min", "log"} - {found["gate"]}
    strict, loose = points[other, 0.05], points[other, 0.3]
    assert loose < strict
    real = (*DOTS, *SMALL, *LARGE, "--certificate", "c.json", "--gate", other)

    def threshold_of(name: str, *words: str) -> float | None:
        done = invoke(*real, *words, "--out", name)
        assert done.exit_code == 0, done.output
        return read_run(tmp_path / name)[0].config.threshold

    assert threshold_of("usual") == strict
    assert threshold_of("named", "--threshold", str(loose)) == loose
    kept = [p for p in found["frontier"] if (p["gate"], p["max_loss"]) != (other, 0.05)]
    fields = {k: v for k, v in found.items() if k != "digest"} | {"frontier": kept}
    only = sign(Guarantee.model_validate(fields))
    write_certificate(tmp_path / "c.json", only)
    done = invoke(*real, "--out", "refused")
    assert done.exit_code == 2
    assert f"--gate {other} is certified for a loss of 0.3, not for" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([*SMALL, "--large", "scripted?delay=0"], "does not fit this run: large (certificate:"),
        (["--small", "scripted?err=2", *LARGE], "does not fit this run: small (certificate:"),
        ([*SMALL, *LARGE, "--threshold", "0.5"], "--threshold is 0.5, but the certificate says"),
        ([*SMALL, *LARGE, "--gate", "log"], "--gate is log, but the certificate says min"),
        ([*SMALL, *LARGE, "--top-k", "32"], "--top-k is 32, but the certificate says 64"),
        ([*SMALL, *LARGE, "--method", "baseline"], "does not fit this run: method"),
        ([*SMALL, *LARGE, "--max-turns", "2"], "does not fit this run: max_turns"),
        ([*SMALL, *LARGE, "--data", "elsewhere"], "the fingerprint of near"),
    ],
)
def test_eval_refuses_what_it_does_not_speak_for(
    invoke: Invoke, certificate: str, tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = invoke(*DOTS, *arguments, "--certificate", certificate, "--out", "runs/real")
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs" / "real").exists()


def test_a_revision_is_known_only_when_the_model_is_loaded(
    invoke: Invoke, certificate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"model": "scripted", "revision": "2"}
    monkeypatch.setattr(ScriptedEngine, "describe", lambda _: told)
    done = invoke(*DOTS, *SMALL, *LARGE, "--certificate", certificate, "--out", "runs/real")
    assert done.exit_code == 2
    assert "the engine small.revision (certificate: '1', here: '2')" in done.stderr
    assert read_run(tmp_path / "runs" / "real")[1] == []


@pytest.mark.parametrize(
    ("made", "arguments", "told"),
    [
        ([*SMALL, *LARGE], LEVELS, "ran one branch only"),
        ([*SMALL, *LARGE, "--both-branches"], (), "60 independent samples cannot certify"),
        ([*SMALL, *LARGE, "--both-branches"], (), "at least 114 are needed"),
        (["--small", "scripted", *LARGE, "--both-branches"], LEVELS, "are right"),
        ([*SMALL, *LARGE, "--both-branches"], ("--risk", "0"), "--risk is a probability"),
        ([*SMALL, *LARGE, "--both-branches"], (*LEVELS, "--gate", "mim"), "no gate 'mim'"),
        ([*SMALL, *LARGE, "--both-branches"], (*LEVELS, "--top-k", "999"), "cannot tell K = 999"),
        ([*SMALL, *LARGE, "--both-branches"], (*LEVELS, "--top-k", "3"), "--top-k 3 is too few"),
        ([*SMALL, *LARGE, "--both-branches"], ("--max-loss", "nan"), "--max-loss is a probab"),
    ],
)
def test_what_cannot_be_certified_leaves_no_file(
    invoke: Invoke, tmp_path: Path, made: list[str], arguments: tuple[str, ...], told: str
) -> None:
    assert invoke(*DOTS, *made, "--out", "runs/other").exit_code == 0
    (tmp_path / "c.json").write_text("kept")
    done = invoke("analyze", "calibrate", "runs/other", *arguments, "--out", "c.json")
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "c.json").read_text() == "kept"


def test_drift_of_the_same_scores_and_of_others(
    invoke: Invoke, certificate: str, both: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = invoke("analyze", "drift", both, "--certificate", certificate)
    assert same.exit_code == 0, same.output
    assert "No drift seen" in same.stdout
    today = (*DOTS, *SMALL, *LARGE, "--certificate", certificate)
    assert invoke(*today, "--out", "runs/today").exit_code == 0
    plain = invoke("analyze", "drift", "runs/today", "--certificate", certificate, "--json")
    assert plain.exit_code == 0, plain.output
    assert json.loads(plain.stdout)["drifted"] is False
    monkeypatch.setattr("speceyes_example.scripted.SURE", UNSURE)
    assert invoke(*today, "--out", "runs/later").exit_code == 0
    later = invoke("analyze", "drift", "runs/later", "--certificate", certificate)
    assert later.exit_code == 1, later.output
    assert "Drift: the scores no longer look like" in later.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runs/both", "--certificate", "none.json"], "There is no certificate none.json"),
        (["runs/none", "--certificate", "c.json"], "not a run folder"),
        (["runs/both", "--certificate", "runs/both/run.json"], "no certificate of this version"),
        (["runs/both", "--certificate", "c.json", "--false-alarm", "7"], "--false-alarm is a"),
    ],
)
def test_drift_says_what_is_wrong(
    invoke: Invoke, certificate: str, arguments: list[str], told: str
) -> None:
    assert certificate
    done = invoke("analyze", "drift", *arguments)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
