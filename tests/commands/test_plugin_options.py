"""Options that plugins declare: in the help, validated, recorded, swept, and bound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from speceyes_cli.core.run.info import read_run_info
from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]
MODELS = ("--agent", "looker", "--small", "scripted", "--large", "scripted")
DOTS = ("--dataset", "dots", "--split", "near", "--limit", "3")


def sizes(folder: Path) -> set[tuple[int | None, int | None]]:
    """The crops that the agent's model saw."""
    return {
        (part.width, part.height)
        for record in read_run(folder)[1]
        for messages in record.messages.values()
        for message in messages
        for part in message.content
        if not isinstance(part, str) and part.picture.startswith("crop")
    }


@pytest.mark.parametrize("command", ["eval", "infer", "serve"])
def test_help_shows_them_under_their_plugin(invoke: Invoke, command: str) -> None:
    told = invoke(command, "--help").stdout
    for shown in (
        "The agent looker",
        "--agent-option margin=whole number",
        "pixels added to each side of a box [default: 0]",
        "The agent thyme",
        "--agent-option state=persist|fresh",
        "The engine scripted",
        "--engine-option slow=number",
        "The method twice",
        "--method-option times=whole number",
    ):
        assert shown in told
    assert "The judge exact" not in told
    assert "thyme-state" not in told


def test_the_judges_are_shown_where_one_judges(invoke: Invoke) -> None:
    told = invoke("judge", "--help").stdout
    assert "The judge exact" in told
    assert "--judge-option ignore-case=true|false" in told
    assert "agent-option" not in told


def test_each_reaches_its_plugin_and_the_run(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke(
        *("eval", *DOTS, *MODELS, "--out", "r"),
        *("--agent-option", "margin=8", "--agent-option", "mood=merry"),
        *("--engine-option", "small.tone=loud", "--engine-option", "slow=0.001"),
    )
    assert done.exit_code == 0, done.output
    info, records = read_run(tmp_path / "r")
    assert sizes(tmp_path / "r") == {(48, 48)}
    assert info.config.answer_options == {
        "agent": {"margin": 8},
        "small": {"tone": "loud"},
        "large": {"tone": "plain"},
    }
    assert info.config.time_options == {"small": {"slow": 0.001}, "large": {"slow": 0.001}}
    assert info.options["agent_option"] == ["margin=8", "mood=merry"]
    assert {r.text for r in records if r.route == "small"} == {"GREEN"}


def test_they_come_from_the_environment(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_AGENT_OPTION", "margin=4 mood=merry")
    assert invoke("eval", *DOTS, *MODELS, "--out", "r").exit_code == 0
    info = read_run_info(tmp_path / "r")
    assert info.config.answer_options["agent"] == {"margin": 4}
    assert "agent_option" in info.passed


def test_what_decides_nothing_may_differ_when_a_run_goes_on(invoke: Invoke) -> None:
    run = ("eval", *DOTS, *MODELS, "--out", "r", "--agent-option")
    assert invoke(*run, "mood=merry").exit_code == 0
    assert invoke(*run, "mood=grim").exit_code == 0
    done = invoke(*run, "margin=3")
    assert done.exit_code == 2
    assert "answer_options.agent.margin (then 0, now 3)" in done.stderr


def test_a_question_and_a_method_take_theirs(invoke: Invoke, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "photo.png")
    question = ("photo.png", "What colour is dot 2?", "--option=red", "--option=blue")
    done = invoke("infer", *question, *MODELS, "--agent-option", "margin=2", "--json")
    assert done.exit_code == 0, done.output
    [tool] = json.loads(done.stdout)["record"]["tools"]
    assert tool["arguments"]["margin"] == 2
    thrice = ("--method", "twice", "--method-option", "times=3", "--out", "t")
    assert invoke("eval", *DOTS, *MODELS, *thrice).exit_code == 0
    info, records = read_run(tmp_path / "t")
    assert [len(record.calls) for record in records] == [3, 3, 3]
    assert info.config.answer_options == {"method": {"times": 3}, "small": {"tone": "plain"}}


def test_they_are_swept(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke(
        *("eval", *DOTS, *MODELS, "--out", "grid", "--sweep", "agent-option.margin=0:4:2"),
        *("--sweep", "engine-option.small.tone=plain,loud"),
    )
    assert done.exit_code == 0, done.output
    found = {
        (info.config.answer_options["agent"]["margin"], info.config.answer_options["small"]["tone"])
        for info in map(read_run_info, (tmp_path / "grid").iterdir())
    }
    assert found == {(margin, tone) for margin in (0, 2, 4) for tone in ("plain", "loud")}


def test_the_call_cache_keeps_apart_what_differs(invoke: Invoke) -> None:
    run = ("eval", *DOTS, *MODELS, "--cache", "--fresh", "--out", "r", "--engine-option")
    assert invoke(*run, "tone=plain").exit_code == 0
    assert "0 made" in invoke(*run, "tone=plain").stderr
    assert "0 calls replayed" in invoke(*run, "tone=loud").stderr


def test_a_baseline_shares_the_agents_and_the_large_models(invoke: Invoke) -> None:
    run = ("eval", *DOTS, *MODELS)
    assert invoke(*run, "--method", "baseline", "--out", "runs/baseline").exit_code == 0
    for options, found in (
        (("--engine-option", "small.tone=loud"), True),
        (("--engine-option", "large.slow=0.001"), False),
        (("--agent-option", "margin=1"), False),
        (("--agent-option", "mood=grim"), True),
    ):
        told = invoke(*run, *options).stdout
        assert ("Speedup against" in told) is found, options


def test_a_certificate_binds_them(invoke: Invoke) -> None:
    many = ("eval", "--dataset", "dots", "--agent", "looker", "--large", "scripted")
    wrong = ",".join(str(n) for n in range(2, 40, 3))
    models = (*many, "--small", f"scripted?err={wrong}")
    assert invoke(*models, "--both-branches", "--out", "runs/both").exit_code == 0
    levels = ("--max-loss", "0.05", "--risk", "0.2")
    done = invoke("analyze", "calibrate", "runs/both", *levels, "--out", "c.json")
    assert done.exit_code == 0, done.output
    assert invoke(*models, "--certificate", "c.json", "--out", "runs/same").exit_code == 0
    done = invoke(*models, "--certificate", "c.json", "--agent-option", "margin=5")
    assert done.exit_code == 2
    assert "answer_options.agent.margin (certificate: 0, here: 5)" in done.stderr
    fine = ("--agent-option", "mood=grim", "--engine-option", "slow=0.0001")
    assert invoke(*models, "--certificate", "c.json", *fine, "--out", "runs/f").exit_code == 0


def test_verdicts_under_other_options_are_not_mixed(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("eval", *DOTS, *MODELS, "--out", "r").exit_code == 0
    judge = ("judge", "r", "--judge", "exact", "--fresh")
    assert invoke(*judge).exit_code == 0
    again = ("judge", "r", "--judge", "exact", "--judge-option")
    assert invoke(*again, "ignore-case=no").exit_code == 0
    done = invoke(*again, "ignore-case=yes")
    assert done.exit_code == 2
    assert (
        "r was judged by exact with other options (ignore-case=False, now ignore-case=True); "
        "--fresh judges it anew."
    ) in done.stderr
    assert invoke(*again, "ignore-case=yes", "--fresh").exit_code == 0
    lines = (tmp_path / "r" / "verdicts.jsonl").read_text().splitlines()
    assert {json.dumps(json.loads(line)["options"]) for line in lines} == {'{"ignore-case": true}'}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--agent-option", "margin"), "--agent-option margin: write name=value."),
        (("--agent-option", "=3"), "--agent-option =3: write name=value."),
        (
            ("--agent-option", "magrin=3"),
            "--agent-option magrin: the agent looker has no such option; did you mean 'margin'?",
        ),
        (
            ("--agent-option", "margin=wide"),
            "--agent-option margin=wide: the agent looker takes a whole number there.",
        ),
        (
            ("--agent-option", "margin=1", "--agent-option", "margin=2"),
            "--agent-option margin is given twice.",
        ),
        (
            ("--agent", "deepeyes", "--agent-option", "state=fresh"),
            "the agent deepeyes has no such option; known: box-frame, box-rounding.",
        ),
        (
            ("--engine-option", "tone=lout"),
            "the engine scripted has no such value; did you mean 'loud'?",
        ),
        (
            ("--engine-option", "slow=nan"),
            "--engine-option slow=nan: the engine scripted takes a number there.",
        ),
        (
            ("--engine-option", "large.stone=loud"),
            "--engine-option stone: the engine scripted has no such option; did you mean 'tone'?",
        ),
        (
            ("--method", "baseline", "--engine-option", "small.tone=loud"),
            "--engine-option small.tone: this method has no small model.",
        ),
        (
            ("--method-option", "times=3"),
            "--method-option times: the method speceyes has no options.",
        ),
        (
            ("--agent-option", "margin=1", "--sweep", "agent-option.margin=1,2"),
            "--agent-option margin is given beside --sweep agent-option.margin",
        ),
        (("--sweep", "agent-option.margin=a,b"), "'a' is not a whole number."),
        (("--sweep", "agent-option.magrin=1,2"), "did you mean 'margin'?"),
        (("--thyme-state", "fresh"), "No such option: --thyme-state"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    invoke: Invoke, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    done = invoke("eval", *DOTS, *MODELS, *options)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()
