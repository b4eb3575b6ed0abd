"""`analyze learn`, and what takes its file."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

from speceyes_cli.analysis.learned.gate_file import read_gate
from speceyes_cli.core.run.records import Record
from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun

Invoke = Callable[..., Result]
DOTS = ("eval", "--agent", "looker", "--dataset", "dots", "--limit", "0")
MODELS = ("--small", "scripted?err=2,5,8", "--large", "scripted")
LEVELS = ("--max-loss", "0.05", "--risk", "0.2")


def drafts(n: int = 500, seed: int = 0) -> tuple[list[Spec], Callable[[Record], Record]]:
    """Drafts that the margin tells and separability does not."""
    generator = random.Random(seed)
    sure = [generator.gauss(0, 1) for _ in range(n)]
    specs = [
        Spec(
            generator.uniform(0.6, 0.999),
            draft_right=generator.random() < 1 / (1 + math.exp(-2 - 2.5 * value)),
        )
        for value in sure
    ]

    def with_margin(record: Record) -> Record:
        assert record.draft is not None
        token = record.draft.tokens[0].model_copy(
            update={"margin": math.exp(sure[record.position])}
        )
        return record.model_copy(
            update={"draft": record.draft.model_copy(update={"tokens": (token,)})}
        )

    return specs, with_margin


@pytest.fixture
def run(write_run: WriteRun) -> Path:
    specs, change = drafts()
    return write_run("runs/both", specs, change, both_branches=True)


@pytest.fixture
def gate(invoke: Invoke, run: Path) -> str:
    done = invoke("analyze", "learn", str(run), *LEVELS, "--out", "gate.json")
    assert done.exit_code == 0, done.output
    return "gate.json"


def test_it_says_what_it_learned_and_how_it_does(invoke: Invoke, run: Path, tmp_path: Path) -> None:
    done = invoke("analyze", "learn", str(run), *LEVELS)
    assert done.exit_code == 0, done.output
    assert "least_margin" in done.stdout
    assert "loses less than 5.0% accuracy" in done.stdout
    found = read_gate(tmp_path / "gate.json")
    assert found.name in done.stdout
    assert not set(found.fitted.samples) & set(found.certified.samples)
    assert len(found.fitted.samples) + len(found.certified.samples) == 500
    shown = json.loads(invoke("analyze", "learn", str(run), *LEVELS, "--json").stdout)
    [beside] = [one for one in shown["comparisons"] if one["other"] == "min"]
    assert beside["aurc"]["high"] < 0
    assert beside["coverage"]["low"] > 0


@pytest.mark.parametrize("command", ["confidence", "replay"])
def test_it_stands_beside_the_other_gates(
    invoke: Invoke, run: Path, gate: str, command: str
) -> None:
    named = ("--gate", "all", "--gate", gate) if command == "replay" else ("--gate", gate)
    done = invoke("analyze", command, str(run), *named)
    assert done.exit_code == 0, done.output
    learned = read_gate(Path(gate))
    assert learned.name in done.stdout
    assert "it was not fitted on" in done.stdout
    assert "min" in done.stdout


def test_a_certificate_holds_the_gate(invoke: Invoke, run: Path, gate: str, tmp_path: Path) -> None:
    done = invoke("analyze", "calibrate", str(run), "--gate", gate, *LEVELS)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "certificate.json").read_text())
    learned = read_gate(Path(gate))
    assert found["gate"] == learned.name
    assert found["threshold"] == learned.certified.threshold
    assert found["samples"] == len(learned.certified.samples)
    assert found["learned"]["digest"] == learned.digest


def test_an_edited_gate_is_refused(invoke: Invoke, run: Path, gate: str, tmp_path: Path) -> None:
    path = tmp_path / gate
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "intercept": fields["intercept"] + 1}))
    for words in (
        ("analyze", "replay", str(run), "--gate", gate),
        ("analyze", "calibrate", str(run), "--gate", gate),
        ("analyze", "confidence", str(run), "--gate", gate),
        (*DOTS, *MODELS, "--gate", gate),
    ):
        done = invoke(*words)
        assert done.exit_code == 2, done.output
        assert "was changed after it was made" in done.stderr


@pytest.mark.parametrize(
    ("specs", "options", "told"),
    [
        (drafts(30)[0], (), "at least 10 of each are needed"),
        ([Spec(0.5 + i / 500) for i in range(200)], (), "0 wrong drafts"),
        (
            [Spec(0.7, draft_right=i % 3 > 0) for i in range(200)],
            (),
            "there is nothing to learn from",
        ),
        ([Spec(0.7, one_branch=True)] * 5, (), "ran one branch only"),
        (drafts()[0], ("--fit-share", "1"), "--fit-share is a share between 0 and 1"),
        (drafts()[0], ("--risk", "2"), "--risk is a probability"),
        (
            [Spec(0.5 + i / 500, draft_right=i % 3 > 0, cluster="one") for i in range(200)],
            (),
            "share pictures or clusters",
        ),
    ],
)
def test_what_cannot_be_learned_from_leaves_no_file(
    invoke: Invoke,
    write_run: WriteRun,
    tmp_path: Path,
    specs: Sequence[Spec],
    options: tuple[str, ...],
    told: str,
) -> None:
    folder = write_run("runs/other", specs, both_branches=True)
    done = invoke("analyze", "learn", str(folder), *options)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "gate.json").exists()
