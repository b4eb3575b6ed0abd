"""A gate whose statistics an engine does not give is refused before the run, never run in vain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from speceyes_example.scripted import ScriptedEngine
from typer.testing import Result

from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import read_run
from speceyes_cli.host.manager import Host
from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun, write_run

__all__ = ["write_run"]

Invoke = Callable[..., Result]
AGENT = ("--agent", "looker", "--small", "logprobs", "--large", "scripted")
DOTS = ("--dataset", "dots", "--limit", "3")
TOLD = (
    "The gate {gate} needs the statistic {lacking} of each token, which the engine logprobs does "
    "not give for logprobs; gates that work there: log."
)


@pytest.fixture(autouse=True)
def photo(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("gate", "lacking"),
    [("min", "separability"), ("margin", "margin"), ("entropy", "entropy"), ("likely", "rivals")],
)
@pytest.mark.parametrize(
    "command",
    [
        ("eval", *DOTS),
        ("eval", *DOTS, "--method", "draft"),
        ("eval", *DOTS, "--both-branches"),
        ("infer", *DOTS),
        ("infer", "photo.png", "Which colour is dot 1?", "--option=red", "--option=green"),
        ("serve",),
    ],
)
def test_a_gate_is_refused_where_its_statistic_is_not_given(
    invoke: Invoke,
    command: tuple[str, ...],
    gate: str,
    lacking: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(ScriptedEngine, "__init__", load)
    models = AGENT[:4] if command == ("infer", *DOTS) else AGENT
    done = invoke(*command, *models, "--gate", gate)
    assert done.exit_code == 2, done.output
    assert done.stderr == f"speceyes: {TOLD.format(gate=gate, lacking=lacking)}\n"


def test_a_sweep_is_refused_before_its_first_point(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("eval", *DOTS, *AGENT, "--sweep", "gate=log,mean")
    assert done.exit_code == 2
    assert TOLD.format(gate="mean", lacking="separability") in done.stderr
    assert not (tmp_path / "runs").exists()


def test_requests_choose_among_the_gates_that_work(invoke: Invoke) -> None:
    done = invoke("serve", *AGENT, "--gate", "log", "--request-gates", "log,entropy")
    assert done.exit_code == 2
    assert TOLD.format(gate="entropy", lacking="entropy") in done.stderr


def test_a_gate_that_works_there_does(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("eval", *DOTS, *AGENT, "--gate", "log", "--threshold", "0.9", "--out", "r")
    assert done.exit_code == 0, done.output
    _, records = read_run(tmp_path / "r")
    assert {record.route for record in records} == {"small", "large"}
    done = invoke("infer", *DOTS, *AGENT[:4], "--gate", "log", "--out", "drafts")
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "drafts" / "drafts.jsonl").read_text().splitlines()
    assert {name for line in lines for name in json.loads(line)["scores"]} == {"log"}


def test_methods_without_a_gate_are_not_asked_for_one(invoke: Invoke) -> None:
    for method in ("baseline", "specreason"):
        done = invoke("eval", *DOTS, *AGENT, "--method", method)
        assert done.exit_code == 0, done.output


def test_a_gate_that_reads_rivals_gets_those_of_its_k(invoke: Invoke, tmp_path: Path) -> None:
    """The same confidence from a plain run, from both branches and from a replay at that K."""
    shared = ("eval", *DOTS, "--agent", "looker", "--small", "scripted", "--large", "scripted")
    chosen = (*shared, "--gate", "likely", "--top-k", "5", "--screen", "none")
    for name, more in (("plain", ()), ("both", ("--both-branches",))):
        done = invoke(*chosen, *more, "--out", name)
        assert done.exit_code == 0, done.output
    plain, both = (
        {(r.split, r.sample_id): r.confidence for r in read_run(tmp_path / name)[1]}
        for name in ("plain", "both")
    )
    assert plain == both
    done = invoke(*shared, "--screen", "none", "--both-branches", "--out", "other")
    assert done.exit_code == 0, done.output
    replayed = invoke("analyze", "replay", "other", "--gate", "likely", "--top-k", "5", "--json")
    assert replayed.exit_code == 0, replayed.output
    least = min(value for value in plain.values() if value is not None)
    rows = invoke(
        *("analyze", "replay", "other", "--gate", "likely", "--top-k", "5", "--json"),
        *("--threshold", f"{least - 1e-9!r}", "--threshold", f"{least + 1e-9!r}"),
    )
    coverages = [row["coverage"] for row in json.loads(rows.stdout) if row["split"] == "all"]
    assert coverages[0] == 1.0
    assert coverages[1] < 1.0


def without_margin(record: Record) -> Record:
    """A record of an engine that gave no margin."""
    assert record.draft is not None
    tokens = tuple(token.model_copy(update={"margin": None}) for token in record.draft.tokens)
    return record.model_copy(update={"draft": record.draft.model_copy(update={"tokens": tokens})})


@pytest.mark.parametrize("command", ["replay", "calibrate"])
def test_no_certificate_from_a_statistic_that_the_run_lacks(
    invoke: Invoke, write_run: WriteRun, command: str
) -> None:
    specs = [Spec(score=0.9 + i / 1000, draft_right=i % 2 == 0) for i in range(20)]
    write_run("r", specs, without_margin, both_branches=True)
    done = invoke("analyze", command, "r", "--gate", "margin")
    assert done.exit_code == 2
    assert "The gate margin needs the statistic margin of each token, which" in done.stderr
    assert "does not hold; gates that can be told from it: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_built_in_gates_declare_what_they_read(host: Host) -> None:
    """A figure that is not declared changes nothing; one that is decides."""
    rivals = tuple(1 + i / 10 for i in range(8))
    score = TokenScore(3.0, -0.5, 1.0, 0.7, rivals=rivals)
    for spec in host.gates:
        known = spec.score([score])
        for name in ("separability", "logprob", "margin", "entropy", "rivals"):
            changed = score._replace(**{name: () if name == "rivals" else float("nan")})
            same = spec.score([changed]) == known
            assert same is (name not in spec.needs), (spec.name, name)


def test_drafts_without_a_defined_confidence_are_told(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that says it gives a statistic, and leaves it NaN."""
    monkeypatch.setattr(
        ScriptedEngine,
        "_told",
        lambda _engine, score, _kept: score._replace(separability=float("nan")),
    )
    models = ("--agent", "looker", "--small", "scripted", "--large", "scripted")
    done = invoke("eval", *DOTS, *models)
    assert done.exit_code == 0
    assert (
        "4 of 4 drafts have no defined confidence under the gate min and could not stand: the "
        "engine gave no figure for them."
    ) in done.stdout
    assert "no defined confidence" not in invoke("eval", *DOTS, *models, "--gate", "log").stdout
