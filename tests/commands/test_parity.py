from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from speceyes_example import scripted
from typer.testing import Result

from speceyes_cli.core.chat import Ask, Picture, Reply
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.questions import make_question
from speceyes_cli.serve.plan import ServeOptions, plan_service


def test_the_list_is_printed_recorded_and_gathered(
    invoke: Callable[..., Result], tmp_path: Path
) -> None:
    done = invoke("eval", "--parity", "paper", "--limit", "1", "--out", "paper")
    assert done.exit_code == 0, done.output
    assert "--agent-option box-rounding=truncate" in done.stderr
    assert "prompts: our own words still" in done.stderr
    info = json.loads((tmp_path / "paper" / "run.json").read_text())
    assert info["config"]["parity"] == "paper"
    assert any("--option-order dataset" in line for line in info["notes"])
    [row, *_] = json.loads(invoke("gather", "paper", "--json").stdout)
    assert row["parity"] == "paper"
    assert "parity" in invoke("gather", "paper", "--columns", "parity,n").stdout


def test_a_run_without_it_shows_no_such_column(invoke: Callable[..., Result]) -> None:
    done = invoke("eval", "--limit", "1", "--method", "draft", "--out", "ours")
    assert done.exit_code == 0, done.output
    assert "parity" not in invoke("gather", "ours").stdout


def sides(ask: Any) -> list[tuple[int, int]]:
    """Of every picture that a model is shown."""
    assert isinstance(ask, Ask)
    pictures = [part for turn in ask.messages for part in turn.content if isinstance(part, Picture)]
    return [picture.open().size for picture in pictures]


def test_one_question_is_answered_by_it(invoke: Callable[..., Result], tmp_path: Path) -> None:
    Image.new("RGB", (100, 90), "red").save(tmp_path / "red.png")
    asked = ("infer", "red.png", "Which colour?", "--option", "red", "--option", "blue", "--json")
    done = invoke(*asked, "--parity", "paper", "--agent", "thyme", "--max-turns", "1")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["threshold"] == 0.95
    assert "  --threshold 0.95" in told["notes"]
    assert "  --max-turns 1, as named; the paper's is 5" in told["notes"]
    assert "  --tie-policy accept" in told["notes"]
    assert any(line.startswith("  pictures: resized") for line in told["notes"])
    shown = "\n".join(told["notes"])
    assert not any(flag in shown for flag in ("--option-order", "--batch-size", "--fallbacks"))
    assert shown in done.stderr


def test_drafts_of_a_dataset_are_made_by_it(invoke: Callable[..., Result], tmp_path: Path) -> None:
    done = invoke("infer", "--limit", "1", "--parity", "paper", "--out", "drafts")
    assert done.exit_code == 0, done.output
    info = json.loads((tmp_path / "drafts" / "run.json").read_text())
    assert (info["config"]["parity"], info["config"]["batch_size"]) == ("paper", 6)
    listed = "\n".join(info["notes"])
    assert "--option-order dataset" in listed
    assert not any(
        word in listed
        for word in ("--fallbacks", "--max-turns", "--tie-policy", "box-rounding", "gate")
    )


def test_an_endpoint_answers_by_it(host: Host, tmp_path: Path) -> None:
    Image.new("RGB", (100, 90), "red").save(tmp_path / "red.png")
    sample = make_question(tmp_path / "red.png", "Which colour?", ("red", "blue"))
    plan = plan_service(ServeOptions(parity="paper"), host)
    service = plan.service
    assert service.gate.cut_stands
    assert all(gate.cut_stands for gate in service.gates.values())
    assert "  --fallbacks 1" in plan.notes
    assert not any("--option-order" in line for line in plan.notes)
    policy = service.start(sample, service.gate)
    assert sides(next(policy)) == [(112, 84)]
    assert sides(policy.send(Reply("NO", 1, "stop"))) == [(112, 84)]
    policy.close()
    ours = plan_service(ServeOptions(), host).service
    policy = ours.start(sample, ours.gate)
    assert sides(next(policy)) == [(100, 90)]
    policy.close()


@pytest.mark.parametrize("paper", [False, True])
def test_what_the_screen_decided_is_told(
    invoke: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, paper: bool
) -> None:
    """A reply that begins with "no" and is none passes by the paper's rule, and not by ours."""
    usual = scripted.reply_to

    def unsure(ask: Ask, number: int) -> str:
        return "Not sure." if ask.phase == "screen" else usual(ask, number)

    monkeypatch.setattr(scripted, "reply_to", unsure)
    Image.new("RGB", (64, 64), "white").save(tmp_path / "photo.png")
    words = ["--agent", "deepeyes", "--small", "scripted", "--large", "scripted"]
    words += ["--parity", "paper"] if paper else []
    done = invoke("eval", *words, "--dataset", "dots", "--limit", "3", "--out", "run")
    assert done.exit_code == 0, done.output
    [*_, row] = json.loads(invoke("gather", "run", "--json").stdout)
    assert (row["beta"], row["alpha"]) == ((1, 1 / 3) if paper else (0, None))
    colours = [f"--option={colour}" for colour in ("red", "green")]
    shown = invoke("infer", "photo.png", "What colour is dot 1?", *colours, *words).stdout
    assert ("'Not sure.' → no tool needed" in shown) is paper
    assert ("accepted" in shown) is paper


@pytest.mark.parametrize("door", ["infer", "serve"])
def test_another_word_is_refused(invoke: Callable[..., Result], door: str) -> None:
    done = invoke(door, "--parity", "pape")
    assert done.exit_code == 2
    assert done.stderr.strip().endswith("--parity knows 'paper' only, not 'pape'.")
