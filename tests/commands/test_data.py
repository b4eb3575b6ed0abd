from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import Host

Program = Callable[..., Any]


@pytest.fixture
def program(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Any:
        environment |= {"COLUMNS": "160"}
        return CliRunner().invoke(build_app(host), [*arguments], obj=host, env=environment)

    return run


@pytest.fixture
def vstar(tmp_path: Path) -> Path:
    """V* with three samples in one split, the last of them broken."""
    folder = tmp_path / "vstar" / "relative_position"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.jpg")
        question = {"question": f"Where is {number}?", "options": ["left", "right"]}
        (folder / f"{number}.json").write_text(json.dumps(question))
    (folder / "2.json").write_text("{")
    return folder.parent


def test_findings_are_printed_and_exit_1(program: Program, vstar: Path) -> None:
    done = program("data", "check", "--data", str(vstar))
    assert done.exit_code == 1, done.stderr
    assert "relative_position · row · relative_position/2.json: it is no JSON" in done.stdout
    assert "relative_position · count · relative_position has 3 samples; 76 were" in done.stdout
    assert "direct_attributes · split · " in done.stdout


def test_json_has_everything(program: Program, vstar: Path) -> None:
    done = program(
        "data", "check", "vstar", "--split", "relative_position", "--json", SPECEYES_DATA=str(vstar)
    )
    assert done.exit_code == 1, done.stderr
    [check] = json.loads(done.stdout)
    assert (check["samples"], check["published"]) == (3, 76)
    assert [finding["kind"] for finding in check["findings"]] == ["row", "count"]
    assert check["findings"][0]["sample_id"] == "2"


def test_a_whole_folder_exits_0(program: Program, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "q.jsonl").write_text('{"image": "a.png", "question": "What?"}\n')
    done = program("data", "check", "jsonl", "--data", str(tmp_path))
    assert done.exit_code == 0, done.stderr + done.stdout
    assert "1" in done.stdout


def test_options_that_stay_in_place_are_told(program: Program, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows = (
        '{"image": "a.png", "question": "1?", "options": ["cat", "dog", "None of the above"]}',
        '{"image": "a.png", "question": "2?", "options": ["cat", "dog"]}',
    )
    (tmp_path / "q.jsonl").write_text("\n".join(rows))
    done = program("data", "check", "jsonl", "--data", str(tmp_path))
    assert done.exit_code == 0, done.stderr + done.stdout
    assert "note · 1 samples keep options in place" in done.stdout
    [check] = json.loads(
        program("data", "check", "jsonl", "--data", str(tmp_path), "--json").stdout
    )
    assert (check["unshuffled"], check["unshuffled_example"]) == (1, "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("vstar", "--data", "nowhere"), "V* was looked for in nowhere, which does not exist"),
        (("vstar",), "V* needs its files: name their folder with --data FOLDER"),
        ((), "Name a benchmark, or with --data the folder of one."),
        (("vster", "--data", "x"), "There is no dataset 'vster'; did you mean 'vstar'?"),
        (("pope", "--split", "test", "--data", "x"), "There is no split 'test' in pope"),
        (("--data", "."), "holds no benchmark that is known: name one of dots, hrbench, jsonl, "),
    ],
)
def test_what_can_be_mended_exits_2(
    program: Program, arguments: tuple[str, ...], said: str
) -> None:
    done = program("data", "check", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_with_one_split_says_which_would_run(program: Program, vstar: Path) -> None:
    done = program("eval", "--dataset", "vstar", "--data", str(vstar))
    assert done.exit_code == 2
    assert "direct_attributes" in done.stderr
    assert done.stderr.endswith(" --split relative_position would run.\n")


def test_ten_pictures_come_with_questions_that_run(program: Program, tmp_path: Path) -> None:
    done = program("data", "sample", "pictures")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 10
    lines = (tmp_path / "pictures/questions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(row["answer"] in row["options"] for row in rows)
    asked, run = (shlex.split(line)[1:] for line in done.stdout.splitlines()[1:])
    infer = program(*asked)
    assert infer.exit_code == 0, infer.output
    ran = program(*run, "--limit", "2")
    assert ran.exit_code == 0, ran.output
    table = ran.stdout.splitlines()
    assert any("questions" in line for line in table)
    assert not any(line.split()[-1:] == ["all"] for line in table)
    assert "not empty" in program("data", "sample", "pictures").stderr
