"""A learned gate's file in the commands that run models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from speceyes_example.scripted import ScriptedEngine
from typer.testing import Result

from speceyes_cli.analysis.learned.gate_file import LearnedGate, read_gate
from speceyes_cli.core.run.store import read_run
from speceyes_cli.host.manager import Host
from speceyes_cli.serve.plan import ServeOptions, plan_service

Invoke = Callable[..., Result]

WRONG = ",".join(str(n) for n in range(60) if n % 3 == 2 or n % 6 == 0)
"""Three of four dots that the scripted model is unsure of; it is right where it is sure."""
SMALL = f"scripted?err={WRONG}"
DOTS = ("eval", "--agent", "looker", "--dataset", "dots", "--limit", "0", "--screen", "none")
MODELS = ("--small", SMALL, "--large", "scripted")
LEVELS = ("--max-loss", "0.1", "--risk", "0.2")
QUESTION = ("photo.png", "Which colour is dot 1?", "--option=red", "--option=green")


@pytest.fixture
def gate(invoke: Invoke, tmp_path: Path) -> LearnedGate:
    """In gate.json; learned from a run of both branches over all sixty dots."""
    Image.new("RGB", (64, 64), "white").save(tmp_path / "photo.png")
    done = invoke(*DOTS, *MODELS, "--both-branches", "--out", "runs/both")
    assert done.exit_code == 0, done.output
    done = invoke("analyze", "learn", "runs/both", *LEVELS)
    assert done.exit_code == 0, done.output
    return read_gate(tmp_path / "gate.json")


def test_eval_uses_its_k_and_threshold(invoke: Invoke, gate: LearnedGate, tmp_path: Path) -> None:
    done = invoke(*DOTS, *MODELS, "--gate", "gate.json", "--out", "runs/real")
    assert done.exit_code == 0, done.output
    info, records = read_run(tmp_path / "runs" / "real")
    assert (info.config.gate, info.config.threshold) == (gate.name, gate.certified.threshold)
    assert {int(r.sample_id.split("-")[-1]) % 3 == 1 for r in records if r.route == "small"} == {
        True
    }
    again = invoke(*DOTS, *MODELS, "--gate", "gate.json", "--out", "runs/real")
    assert again.exit_code == 0, again.output  # it goes on
    looser = ("--threshold", "0.01", "--out", "runs/loose")
    done = invoke(*DOTS, *MODELS, "--gate", "gate.json", *looser)
    assert done.exit_code == 0, done.output
    assert read_run(tmp_path / "runs" / "loose")[0].config.threshold == 0.01


def test_what_was_predicted_is_what_happens(invoke: Invoke, gate: LearnedGate) -> None:
    assert invoke(*DOTS, *MODELS, "--gate", "gate.json", "--out", "runs/real").exit_code == 0
    check = ("analyze", "replay", "runs/both", "--check", "runs/real")
    done = invoke(*check, "--gate", "gate.json")
    assert done.exit_code == 0, done.output
    assert "0 samples went another way than predicted" in done.stdout
    for words in (check, ("analyze", "replay", "runs/real", "--gate", gate.name)):
        refused = invoke(*words)
        assert refused.exit_code == 2, refused.output
    assert invoke(*check, "--gate", "min").exit_code == 2


def test_a_certificate_is_all_that_a_run_needs(
    invoke: Invoke, gate: LearnedGate, tmp_path: Path
) -> None:
    done = invoke("analyze", "calibrate", "runs/both", "--gate", "gate.json", *LEVELS)
    assert done.exit_code == 0, done.output
    (tmp_path / "gate.json").unlink()
    certified = (*DOTS, *MODELS, "--certificate", "certificate.json")
    done = invoke(*certified, "--out", "runs/certified")
    assert done.exit_code == 0, done.output
    assert read_run(tmp_path / "runs" / "certified")[0].config.gate == gate.name
    drift = invoke("analyze", "drift", "runs/certified", "--certificate", "certificate.json")
    assert "No drift seen" in drift.stdout, drift.output


def test_a_certificate_of_all_gates_lets_one_choose_afterwards(
    invoke: Invoke, gate: LearnedGate, tmp_path: Path
) -> None:
    named = ("--gate", "min", "--gate", "log", "--gate", "gate.json")
    done = invoke("analyze", "calibrate", "runs/both", *named, "--max-loss", "0.2", "--risk", "0.3")
    assert done.exit_code == 0, done.output
    assert "All of these hold together" in done.stdout
    found = json.loads((tmp_path / "certificate.json").read_text())
    assert [point["gate"] for point in found["frontier"]] == ["min", "log", gate.name]
    loosest = {point["gate"]: point["threshold"] for point in found["frontier"]}
    certified = (*DOTS, *MODELS, "--certificate", "certificate.json")
    done = invoke(*certified, "--gate", "log", "--threshold", "0.99", "--out", "runs/log")
    assert done.exit_code == 0, done.output
    config = read_run(tmp_path / "runs" / "log")[0].config
    assert (config.gate, config.threshold) == ("log", 0.99)
    done = invoke(*certified, "--gate", "log", "--out", "runs/log-2")
    assert read_run(tmp_path / "runs" / "log-2")[0].config.threshold == loosest["log"]
    for words in (("--gate", "entropy"), ("--gate", "log", "--threshold", "0.01")):
        refused = invoke(*certified, *words, "--out", "runs/none")
        assert refused.exit_code == 2
        assert "but the certificate says" in refused.stderr


@pytest.mark.parametrize(
    "words", [(*DOTS, "--out", "runs/x"), ("infer", *QUESTION, "--agent", "looker")]
)
def test_another_revision_of_the_small_model_is_refused(
    invoke: Invoke, gate: LearnedGate, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    assert invoke(*words, *MODELS, "--gate", "gate.json").exit_code == 0
    told = {"model": "scripted", "revision": "2"}
    monkeypatch.setattr(ScriptedEngine, "describe", lambda _: told)
    again = ("--out", "runs/y") if words[0] == "eval" else ()
    done = invoke(*words, *again, *MODELS, "--gate", "gate.json")
    assert done.exit_code == 2, done.output
    assert f"The gate {gate.name} was fitted on drafts of another engine" in done.stderr
    assert "small.revision (fitted on: '1', here: '2')" in done.stderr


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--gate", "none.json"), "There is no learned gate none.json"),
        (("--gate", "runs/both/run.json"), "is no learned gate of this version"),
        (("--gate", "gate.json", "--top-k", "32"), "was fitted at 64; leave --top-k out"),
        (("--gate", "gate.json", "--small", "logprobs"), "needs the statistic"),
    ],
)
def test_what_is_refused_before_a_model_is_loaded(
    invoke: Invoke, words: tuple[str, ...], told: str
) -> None:
    done = invoke(*DOTS, *MODELS, *words, "--out", "runs/x")
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_serve_takes_it(gate: LearnedGate, host: Host, tmp_path: Path) -> None:
    chosen = {"agent": "looker", "small": SMALL, "large": "scripted"}
    plan = plan_service(ServeOptions(**chosen, gate=str(tmp_path / "gate.json")), host)
    assert plan.learned == gate
    assert plan.service.gate.name == gate.name
    assert plan.service.gate.threshold == gate.certified.threshold
    assert gate.name in plan.service.gates
    assert "min" in plan.service.gates


def test_a_sweep_takes_it_beside_other_gates(
    invoke: Invoke, gate: LearnedGate, tmp_path: Path
) -> None:
    sweep = ("--sweep", "gate=min,gate.json", "--out", "runs/sweep")
    done = invoke(*DOTS, *MODELS, *sweep)
    assert done.exit_code == 0, done.output
    runs = [read_run(folder)[0].config for folder in (tmp_path / "runs" / "sweep").iterdir()]
    assert {run.gate for run in runs} == {"min", gate.name}


def test_a_k_that_is_named_is_never_exchanged_for_the_gates(invoke: Invoke) -> None:
    """Not even the default one: whoever names it means it."""
    both = (*DOTS, *MODELS, "--both-branches", "--top-k", "32", "--out", "runs/both")
    assert invoke(*both).exit_code == 0
    assert invoke("analyze", "learn", "runs/both", *LEVELS).exit_code == 0
    real = (*DOTS, *MODELS, "--gate", "gate.json", "--out", "runs/real")
    done = invoke(*real, "--top-k", "64")
    assert done.exit_code == 2, done.output
    assert "--top-k is 64, but the gate" in done.stderr
    assert "was fitted at 32; leave --top-k out" in done.stderr
    assert invoke(*real).exit_code == 0
