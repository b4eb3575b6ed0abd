from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image
from speceyes_example import scripted
from speceyes_example.scripted import ScriptedEngine
from typer.testing import Result

from speceyes_cli.commands import infer as command
from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]
MODELS = ("--agent", "looker", "--small", "scripted", "--large", "scripted")
COLOURS = tuple(f"--option={colour}" for colour in ("red", "green", "blue", "yellow"))


@pytest.fixture
def infer(invoke: Invoke, tmp_path: Path) -> Invoke:
    """infer("photo.png", "What?"): `speceyes infer` with the scripted models it has a use for."""
    Image.new("RGB", (64, 64), "white").save(tmp_path / "photo.png")

    def run(*arguments: str) -> Result:
        models = MODELS[:4] if arguments[0].startswith("--") else MODELS
        return invoke("infer", *arguments, *models)

    return run


QUESTION = ("photo.png", "What colour is dot 1?")
FOR_DATASETS = (
    *(("--split", "near"), ("--data", "d"), ("--option-order", "dataset"), ("--limit", "3")),
    *(("--out", "r"), ("--resume",), ("--retry-errors",), ("--max-errors", "1")),
    *(("--keep-images",), ("--batch-size", "2"), ("--concurrency", "2")),
)
FOR_QUESTIONS = (
    *(("--threshold", "0.9"), ("--screen", "none"), ("--both-branches",), ("--large", "scripted")),
    *(("--max-turns", "2"), ("--max-new-tokens", "9"), ("--agent-option", "margin=1")),
    *(("--race",), ("--save-trace", "t"), ("--large-max-pixels", "9")),
)


def about(number: int) -> tuple[str, ...]:
    """Dot 0 needs the agent, dot 1 gets a sure draft, dot 2 an unsure one."""
    return ("photo.png", f"What colour is dot {number}?", *COLOURS)


def test_a_sure_draft_is_shown_with_its_tokens_and_the_verdict(infer: Invoke) -> None:
    done = infer(*about(1))
    assert done.exit_code == 0, done.output
    assert "Screen  large model: 'No.' → no tool needed" in done.stdout
    assert "Draft  small model: 'green'" in done.stdout
    assert "12.00" in done.stdout
    assert "Gate  min 0.9993 > 0.98 → accepted" in done.stdout
    assert "Turn" not in done.stdout
    assert "small model" in done.stdout.splitlines()[-2]


def test_an_unsure_draft_is_followed_by_the_agents_turns(infer: Invoke) -> None:
    done = infer(*about(2))
    assert "Gate  min 0.7685 ≤ 0.98 → turned away" in done.stdout
    order = ["Turn 1", "LOOK 16 16 48 48", "Tool  look", "32×32 pixels", "Turn 2", "ANSWER blue"]
    places = [done.stdout.index(text) for text in order]
    assert places == sorted(places)
    assert "large model" in done.stdout.splitlines()[-2]


def test_a_draft_that_the_screen_held_back_is_not_shown_as_accepted(
    infer: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = scripted.reply_to
    monkeypatch.setattr(
        scripted, "reply_to", lambda a, n: "Yes." if a.phase == "screen" else usual(a, n)
    )
    shown = infer(*about(1), "--both-branches").stdout
    assert "Gate  min 0.9993 but the screen held it back; bar 0.98 → turned away" in shown
    assert "accepted" not in shown
    assert "large model" in shown.splitlines()[-2]


def test_steps_and_their_scores_are_shown(infer: Invoke) -> None:
    kept = infer(*about(1), "--method", "specreason").stdout
    assert "Score  9 of 9, 7 needed → the step stands" in kept
    assert kept.count("Turn 1") == kept.count("Turn 2") == 1
    written = infer(*about(2), "--method", "specreason").stdout
    assert "Score  2 of 9, 7 needed → the large model writes the step itself" in written
    assert written.count("Turn 1") == 2  # as proposed, and as written


def test_json_is_the_whole_trace(infer: Invoke) -> None:
    told = json.loads(infer(*about(2), "--json").stdout)
    assert (told["method"], told["gate"], told["threshold"]) == ("speceyes", "min", 0.98)
    assert told["record"]["text"] == "blue"
    assert [call["phase"] for call in told["record"]["calls"]] == [
        "screen",
        "draft",
        "agent",
        "agent",
    ]


def test_a_trace_keeps_pictures_and_overwrites_nothing(infer: Invoke, tmp_path: Path) -> None:
    assert infer(*about(2), "--save-trace", "kept").exit_code == 0
    told = json.loads((tmp_path / "kept" / "trace.json").read_text())
    assert told["record"]["route"] == "large"
    sizes = []
    for path in sorted((tmp_path / "kept").rglob("*.png")):
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes == [(64, 64), (32, 32)]
    again = infer(*about(2), "--save-trace", "kept")
    assert again.exit_code == 2
    assert "kept is not empty; name a new folder." in again.stderr


def test_a_failing_model_is_told_with_exit_1(invoke: Invoke, infer: Invoke) -> None:
    assert infer(*about(1)).exit_code == 0
    done = invoke("infer", *about(1), *MODELS[:-1], "scripted?fail=1")
    assert done.exit_code == 1
    assert "No answer" in done.stdout
    assert "ValueError in screen: dot 1 is not for me" in done.stdout


def test_what_a_model_says_cannot_steer_the_terminal(
    infer: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = ScriptedEngine._reply

    def hostile(engine: ScriptedEngine, ask: object) -> object:
        found = reply(engine, ask)  # type: ignore[arg-type]
        object.__setattr__(found, "text", f"{found.text}\x1b[2J[bold]")  # type: ignore[union-attr]
        return found

    monkeypatch.setattr(ScriptedEngine, "_reply", hostile)
    done = infer(*about(2))
    assert "\x1b" not in done.output
    assert "[bold]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["."], "What is asked about .?"),
        ([".", "What?"], ". is a folder: name one picture, or use --dataset for many."),
        (["none.png", "What?"], "none.png"),
        (["photo.png"], 'Write speceyes infer PICTURE "question".'),
        (["photo.png", " "], "The question is empty."),
        (["photo.png", "What?", "--option", "red"], "One option is no choice"),
        (
            ["photo.png", "What?", "--option", "red", "--option", "red"],
            "--option red is given twice",
        ),
        (["photo.png", "What?", "--dataset", "dots"], "Every question of dots has options"),
        (["photo.png", "What?", "--dataset", "dotz"], "no dataset 'dotz'"),
        (["photo.png", "What?", "--threshold", "2"], "--threshold is a confidence"),
        (["photo.png", "What?", "--save-trace", "photo.png"], "--save-trace photo.png"),
        (["--method", "baseline"], "for baseline use eval"),
        (["--option", "red"], "--option goes with a picture"),
        *(
            ([*QUESTION, *given], f"{given[0]} is for a dataset, and a picture is named.")
            for given in FOR_DATASETS
        ),
        *(
            (["--dataset", "dots", *given], f"{given[0]} goes with a picture and a question")
            for given in FOR_QUESTIONS
        ),
        ([*QUESTION, "--cache-dir", "c"], "--cache-dir needs --cache."),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(
    infer: Invoke, arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(ScriptedEngine, "__init__", load)
    done = infer(*arguments)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_dataset_is_drafted_and_exported(infer: Invoke, invoke: Invoke, tmp_path: Path) -> None:
    done = infer("--dataset", "dots", "--limit", "6", "--out", "r")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith(
        "No picture is named, so the small model (scripted) answers a dataset alone: dots, "
    )
    assert "at most 6 samples of each; kept in r.\n" in done.stderr
    info, records = read_run(tmp_path / "r")
    assert (info.config.method, info.config.batch_size) == ("draft", 32)
    assert info.status == "finished"
    exported = (tmp_path / "r" / "drafts.jsonl").read_text()
    lines = [json.loads(line) for line in exported.splitlines()]
    assert len(lines) == len(records) == 12
    first = lines[1]
    assert (first["sample_id"], first["text"], first["right"]) == ("dot-1", "green", True)
    assert set(first["scores"]) >= {"min", "mean", "bottom20", "log", "margin", "entropy", "first"}
    assert first["scores"]["min"] == pytest.approx(0.99925, abs=1e-4)
    assert len(first["tokens"]) == 2
    rows = json.loads(invoke("gather", "r", "--json").stdout)
    assert rows[-1]["accuracy"] == 1.0
    again = infer("--dataset", "dots", "--limit", "6", "--out", "r")
    assert again.exit_code == 0
    assert "Loading" not in again.stderr


def test_every_option_is_for_pictures_for_datasets_or_for_both() -> None:
    """A new option must be put in one of the three; the tests above show that it is honoured."""
    of_one_mode = (*command.FOR_DATASETS, *command.FOR_QUESTIONS)
    for_both = (
        *("picture", "question", "dataset", "method", "method_option", "gate", "top_k", "thinking"),
        *("tie_policy", "parity"),
        *("draft_tokens", "models", "small", "small_min_pixels", "small_max_pixels", "agent"),
        *("engine_option", "device", "dtype", "attention", "cache", "cache_dir", "json", "prompts"),
    )
    assert sorted([*of_one_mode, *for_both]) == sorted(f.name for f in fields(command.InferOptions))


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *(("infer", option) for option in ("--sweep", "--certificate", "--fallbacks")),
        *(("serve", option) for option in ("--both-branches", "--sweep")),
        *(("eval", option) for option in ("--save-trace", "--option", "--port")),
    ],
)
def test_a_command_offers_only_what_it_honours(invoke: Invoke, command: str, option: str) -> None:
    """An option that a command has no use for is not in its help, and is not taken."""
    assert f" {option} " not in invoke(command, "--help").stdout
    done = invoke(command, option, "x")
    assert done.exit_code == 2
    assert f"No such option: {option}" in done.stderr


def test_an_option_in_the_environment_is_for_the_commands_that_have_a_use_for_it(
    infer: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_datasets = {"LIMIT": "3", "OUT": "r", "CERTIFICATE": "none.json", "DATASET": "dots"}
    of_decisions = {"METHOD": "baseline", "RACE": "1", "BOTH_BRANCHES": "1"}
    for given, arguments in (
        (of_datasets, ("photo.png", "What colour is dot 1?")),
        (of_decisions, ("--dataset", "dots", "--limit", "1")),
    ):
        with monkeypatch.context() as environment:
            for name, value in given.items():
                environment.setenv(f"SPECEYES_{name}", value)
            done = infer(*arguments)
        assert done.exit_code == 0, done.output


def test_calls_are_replayed_for_a_question_and_for_a_dataset(infer: Invoke) -> None:
    for arguments in (about(1), ("--dataset", "dots", "--limit", "3", "--fresh")):
        assert infer(*arguments, "--cache").exit_code == 0
        done = infer(*arguments, "--cache")
        assert done.exit_code == 0, done.output
        assert " 0 made" in done.stderr
