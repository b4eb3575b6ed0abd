"""Drafts of which an exact tie of the two largest logits decided a token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from speceyes_example.scripted import SURE
from typer.testing import Result

from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]
DOTS = (
    *("eval", "--agent", "looker", "--dataset", "dots", "--limit", "6", "--screen", "none"),
    *("--small", "scripted", "--large", "scripted"),
)


@pytest.fixture(autouse=True)
def _tied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speceyes_example.scripted.SURE", SURE._replace(margin=0.0))


def routes(folder: Path) -> set[str]:
    return {record.route for record in read_run(folder)[1]}


def test_they_are_rejected_unless_one_asks_for_them(invoke: Invoke, tmp_path: Path) -> None:
    for name, words in (("usual", ()), ("accept", ("--tie-policy", "accept"))):
        done = invoke(*DOTS, *words, "--out", f"runs/{name}")
        assert done.exit_code == 0, done.output
    assert routes(tmp_path / "runs" / "usual") == {"large"}
    assert routes(tmp_path / "runs" / "accept") == {"small", "large"}
    info, records = read_run(tmp_path / "runs" / "usual")
    assert info.config.tie_policy == "reject"
    assert all(r.draft is not None and r.draft.tied_tokens > 0 for r in records)


@pytest.mark.parametrize(("policy", "coverage"), [("accept", True), ("reject", False)])
def test_a_replay_does_as_the_run_would(invoke: Invoke, policy: str, coverage: bool) -> None:
    words = (*DOTS, "--tie-policy", policy)
    assert invoke(*words, "--both-branches", "--out", "runs/both").exit_code == 0
    assert invoke(*words, "--out", "runs/real").exit_code == 0
    done = invoke("analyze", "replay", "runs/both", "--check", "runs/real")
    assert done.exit_code == 0, done.output
    assert ("coverage │      0.0%" not in done.stdout) is coverage


def test_another_policy_is_refused(invoke: Invoke) -> None:
    done = invoke(*DOTS, "--tie-policy", "toss")
    assert done.exit_code == 2
    assert "--tie-policy is accept or reject, not toss." in done.stderr


def test_infer_says_that_a_tie_turned_the_draft_away(invoke: Invoke, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "photo.png")
    models = ("--agent", "looker", "--small", "scripted", "--large", "scripted")
    done = invoke("infer", "photo.png", "What colour is dot 1?", "--screen", "none", *models)
    assert done.exit_code == 0, done.output
    told = "but a tie of two logits decided a token; bar 0.98 → turned away, the agent answers"
    assert told in done.stdout
