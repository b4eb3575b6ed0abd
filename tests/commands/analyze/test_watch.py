"""Audits of `speceyes eval`, and what `speceyes analyze watch` says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from speceyes_example.scripted import SURE, ScriptedEngine
from typer.testing import Result

from speceyes_cli.analysis.certificate import Certificate, read_certificate
from speceyes_cli.analysis.watching.kept_audits import KeptAudits
from speceyes_cli.core.chat import Ask, Reply
from speceyes_cli.core.run.audits import is_audited
from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]

DOTS = ("eval", "--agent", "looker", "--dataset", "dots", "--limit", "0", "--screen", "none")
MODELS = ("--small", "scripted?err=2,5,8", "--large", "scripted")
WATCH = ("analyze", "watch", "runs/real", "--certificate", "c.json")


@pytest.fixture
def certificate(invoke: Invoke) -> str:
    done = invoke(*DOTS, *MODELS, "--both-branches", "--out", "runs/both")
    assert done.exit_code == 0, done.output
    levels = ("--max-loss", "0.05", "--risk", "0.2")
    done = invoke("analyze", "calibrate", "runs/both", *levels, "--out", "c.json")
    assert done.exit_code == 0, done.output
    return "c.json"


def fail_as_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the large model fails in the agent's loop."""
    answer = ScriptedEngine.generate

    def generate(self: ScriptedEngine, asks: Sequence[Ask]) -> list[Reply | Exception]:
        replies = answer(self, asks)
        return [
            ValueError("no answer") if ask.phase == "agent" else reply
            for ask, reply in zip(asks, replies, strict=True)
        ]

    monkeypatch.setattr(ScriptedEngine, "generate", generate)


@pytest.mark.parametrize("share", [0.4, 1])
def test_a_share_of_accepted_drafts_is_answered_by_the_agent_too(
    invoke: Invoke, tmp_path: Path, share: float
) -> None:
    assert invoke(*DOTS, *MODELS, "--out", "runs/plain").exit_code == 0
    done = invoke(*DOTS, *MODELS, "--audit", str(share), "--out", "runs/audited")
    assert done.exit_code == 0, done.output
    plain = {(r.split, r.sample_id): r for r in read_run(tmp_path / "runs" / "plain")[1]}
    info, records = read_run(tmp_path / "runs" / "audited")
    assert info.config.audit == share
    assert len(records) == len(plain) == 60
    for record in records:
        other = plain[record.split, record.sample_id]
        assert (record.route, record.text) == (other.route, other.text)
        assert [c.phase for c in record.calls] == [c.phase for c in other.calls]
        assert record.phase_seconds.keys() == other.phase_seconds.keys()
        picked = is_audited(f"{record.split}/{record.sample_id}", share)
        assert set(record.branches) == (
            {"small", "large"} if picked and record.route == "small" else set()
        )
    audited = [record for record in records if record.branches]
    assert 0 < len(audited) <= sum(record.route == "small" for record in records)
    assert all(record.details["audit"]["error"] is None for record in audited)


def test_an_audit_that_fails_takes_no_answer_away(
    invoke: Invoke, certificate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speceyes_example.scripted.UNSURE", SURE)
    fail_as_agent(monkeypatch)
    done = invoke(
        *DOTS, *MODELS, "--certificate", certificate, "--audit", "1", "--out", "runs/real"
    )
    records = read_run(tmp_path / "runs" / "real")[1]
    accepted = [record for record in records if record.route == "small"]
    assert accepted
    assert all(r.text and r.error is None and not r.branches for r in accepted)
    assert {r.details["audit"]["error"] for r in accepted} == {"ValueError"}
    done = invoke(*WATCH, "--json")
    assert done.exit_code == 3, done.output
    found = json.loads(done.stdout)
    assert (found["missing"], found["harmful"]) == (len(accepted), 0)


def test_a_promise_that_is_kept_gives_no_alarm(invoke: Invoke, certificate: str) -> None:
    real = (*DOTS, *MODELS, "--certificate", certificate, "--out", "runs/real")
    assert invoke(*real, "--audit", "1").exit_code == 0
    done = invoke(*WATCH)
    assert done.exit_code == 0, done.output
    assert "No alarm" in done.stdout
    found = json.loads(invoke(*WATCH, "--json").stdout)
    assert found["audited"] == found["accepted"] > 0
    assert (found["harmful"], found["missing"], found["alarm_after"]) == (0, 0, None)


def test_a_promise_that_is_broken_gives_an_alarm(
    invoke: Invoke, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speceyes_example.scripted.UNSURE", SURE)
    real = (*DOTS, *MODELS, "--certificate", certificate, "--out", "runs/real")
    assert invoke(*real, "--audit", "1").exit_code == 0
    done = invoke(*WATCH)
    assert done.exit_code == 3, done.output
    assert "Alarm after" in done.stdout
    found = json.loads(invoke(*WATCH, "--json").stdout)
    assert found["harmful"] == 6
    strict = invoke(*WATCH, "--false-alarm", "1e-9")
    assert strict.exit_code == 0, strict.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--audit", "0"), "--audit is a share above 0"),
        (("--audit", "1.5"), "--audit is a share above 0"),
        (("--audit", "nan"), "--audit is a share above 0"),
        (("--audit", "0.5", "--both-branches"), "leave --audit out"),
        (("--audit", "0.5", "--method", "draft"), "--audit needs a method with two branches"),
    ],
)
def test_audits_that_cannot_be(invoke: Invoke, arguments: Sequence[str], told: str) -> None:
    done = invoke(*DOTS, *MODELS, *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "audited nothing"),
        (("--audit", "1", "--threshold", "0.5"), "The run decided by min > 0.5, K = 64"),
        (("--audit", "1", "--gate", "log"), "The run decided by log"),
        (("--audit", "1", "--max-turns", "2"), "max_turns"),
    ],
)
def test_runs_that_tell_nothing_of_the_promise(
    invoke: Invoke, certificate: str, arguments: Sequence[str], told: str
) -> None:
    assert certificate
    threshold = () if "--threshold" in arguments else ("--threshold", "0.769")
    assert invoke(*DOTS, *MODELS, *threshold, *arguments, "--out", "runs/real").exit_code == 0
    done = invoke(*WATCH)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_edited_certificate(invoke: Invoke, certificate: str, tmp_path: Path) -> None:
    assert invoke(*DOTS, *MODELS, "--threshold", "0.8", "--audit", "1", "--out", "runs/real")
    path = tmp_path / certificate
    path.write_text(path.read_text().replace('"max_loss": 0.05', '"max_loss": 0.5'))
    done = invoke(*WATCH)
    assert done.exit_code == 2
    assert "was changed after it was made" in done.stderr


def keep(path: Path, certificate: Certificate, **fields: Any) -> Path:
    kept = KeptAudits(certificate=certificate.digest, share=1.0, threshold=0.9, **fields)
    path.write_text(kept.model_dump_json())
    return path


def test_several_servers_evidence_is_joined(
    invoke: Invoke, certificate: str, tmp_path: Path
) -> None:
    signed = read_certificate(tmp_path / certificate)
    counts = {"samples": 30, "found": 4, "harmful": 4, "harmless": 26}
    paths = [str(keep(tmp_path / f"{name}.json", signed, **counts)) for name in "xyz"]
    asked = ("--certificate", certificate)
    alone = invoke("analyze", "watch", paths[0], *asked, "--json")
    assert alone.exit_code == 0, alone.output
    together = invoke("analyze", "watch", *paths, *asked)
    assert together.exit_code == 3, together.output
    assert "Alarm:" in together.stdout
    found = json.loads(invoke("analyze", "watch", *paths, *asked, "--json").stdout)
    assert (found["processes"], found["samples"], found["harmful"]) == (3, 90, 12)
    assert found["evidence"] > 5 > json.loads(alone.stdout)["evidence"]
    strict = invoke("analyze", "watch", *paths, *asked, "--false-alarm", "1e-6")
    assert strict.exit_code == 0, strict.output
    alarmed = str(keep(tmp_path / "alarmed.json", signed, alarms=1))
    assert invoke("analyze", "watch", alarmed, *asked).exit_code == 3


def test_files_that_cannot_be_joined(invoke: Invoke, certificate: str, tmp_path: Path) -> None:
    signed = read_certificate(tmp_path / certificate)
    one = str(keep(tmp_path / "x.json", signed))
    (tmp_path / "other.json").write_text(
        json.dumps({"certificate": "x", "share": 1, "threshold": 0.9})
    )
    for named, told in (
        ((one, one), "named twice"),
        ((one, str(tmp_path / "other.json")), "another certificate"),
        ((one, str(tmp_path)), "Name one run's folder, or files"),
        ((certificate,), "is no file of `serve --audit-file`"),
    ):
        done = invoke("analyze", "watch", *named, "--certificate", certificate)
        assert done.exit_code == 2, done.output
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
