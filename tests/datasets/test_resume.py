"""A run goes on with the same data, wherever they lie, and knows each sample that changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from speceyes_cli.app import build_app
from speceyes_cli.core.run.info import read_run_info
from speceyes_cli.host.manager import Host

SCRIPTED = ("--small", "scripted", "--large", "scripted", "--agent", "looker", "--method", "draft")
Resume = Callable[..., Result]


def texts(folder: Path) -> dict[str, Any]:
    """Each sample's question, and whether it failed."""
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return {r["sample_id"]: (r["question"], r["route"]) for r in map(json.loads, lines)}


@pytest.fixture
def data(tmp_path: Path, genuine: Any) -> Path:
    return Path(genuine.vstar(tmp_path / "vstar"))


@pytest.fixture
def resume(host: Host, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Resume:
    """resume("--retry-errors", data=folder): the run begun, or gone on with."""
    journal = tmp_path / "journal"
    monkeypatch.setenv("SPECEYES_EXAMPLE_JOURNAL", str(journal))

    def run(*arguments: str, data: Path = data, out: str = "run") -> Result:
        journal.write_text("")
        told = ("eval", "--dataset", "vstar", "--split", "direct_attributes", *SCRIPTED)
        place = ("--data", str(data), "--out", str(tmp_path / out))
        return CliRunner().invoke(build_app(host), [*told, *place, *arguments], obj=host)

    return run


def answered(tmp_path: Path) -> list[str]:
    """The samples that the last session answered."""
    lines = (tmp_path / "journal").read_text().splitlines()
    return sorted(line.rpartition("/")[2] for line in lines)


def test_a_picture_that_was_put_back_is_tried_again(
    tmp_path: Path, data: Path, resume: Resume
) -> None:
    picture = data / "direct_attributes" / "sa_9.jpg"
    picture.rename(tmp_path / "aside.jpg")
    first = resume()
    assert first.exit_code == 1
    assert answered(tmp_path) == ["sa_10", "sa_8", "sa_9"]
    (tmp_path / "aside.jpg").rename(picture)
    again = resume("--retry-errors")
    assert again.exit_code == 0, again.stderr
    assert answered(tmp_path) == ["sa_9"]
    assert texts(tmp_path / "run")["sa_9"] == ("What is the material of the glove 1?", "small")


def test_a_folder_that_was_touched_copied_or_moved_is_the_same(
    tmp_path: Path, data: Path, resume: Resume
) -> None:
    assert resume().exit_code == 0
    for file in data.rglob("*"):
        os.utime(file)
    assert resume().exit_code == 0
    assert answered(tmp_path) == []
    copied = shutil.copytree(data, tmp_path / "copied")
    again = resume(data=copied)
    assert again.exit_code == 0, again.stderr
    assert answered(tmp_path) == []
    assert read_run_info(tmp_path / "run").config.data == str(copied)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda stem, genuine: genuine.vstar_json(stem.with_suffix(".json"), 7), "its row"),
        (
            lambda stem, genuine: stem.with_suffix(".jpg").write_bytes(genuine.picture(5)),
            "its picture",
        ),
    ],
)
def test_a_changed_sample_is_named_then_answered_again_where_that_is_wanted(
    tmp_path: Path, data: Path, resume: Resume, genuine: Any, change: Any, told: str
) -> None:
    assert resume().exit_code == 0
    before = texts(tmp_path / "run")
    change(data / "direct_attributes" / "sa_9", genuine)
    refused = resume()
    assert refused.exit_code == 2
    assert f"1 changed since: direct_attributes/sa_9 ({told})" in refused.stderr
    assert "--retry-errors answers them again and keeps the other 2" in refused.stderr
    assert read_run_info(tmp_path / "run").status == "finished", "a refusal changes nothing"
    again = resume("--retry-errors")
    assert again.exit_code == 0, again.stderr
    assert "Answered again" in again.stderr
    assert answered(tmp_path) == ["sa_9"]
    after = texts(tmp_path / "run")
    assert {name for name in after if after[name] != before[name]} <= {"sa_9"}
    assert resume().exit_code == 0
    assert answered(tmp_path) == []


def test_other_data_are_never_answered_over(data: Path, resume: Resume, genuine: Any) -> None:
    assert resume().exit_code == 0
    (data / "direct_attributes" / "sa_9.json").unlink()
    (data / "direct_attributes" / "sa_9.jpg").unlink()
    gone = resume("--retry-errors")
    assert gone.exit_code == 2
    assert "direct_attributes/sa_9 (no longer there)" in gone.stderr
    for number, name in enumerate(("sa_8", "sa_9", "sa_10")):
        stem = data / "direct_attributes" / name
        genuine.vstar_json(stem.with_suffix(".json"), 40 + number)
        stem.with_suffix(".jpg").write_bytes(genuine.picture(40 + number))
    other = resume("--retry-errors")
    assert other.exit_code == 2
    assert "3 changed since" in other.stderr
    assert "other data" in other.stderr
    assert resume("--fresh").exit_code == 0


def test_samples_that_were_added_are_answered_and_the_others_kept(
    tmp_path: Path, data: Path, resume: Resume, genuine: Any
) -> None:
    assert resume().exit_code == 0
    stem = data / "direct_attributes" / "sa_91"
    genuine.vstar_json(stem.with_suffix(".json"), 7)
    stem.with_suffix(".jpg").write_bytes(genuine.picture(9))
    assert resume().exit_code == 0
    assert answered(tmp_path) == ["sa_91"]


def test_a_verdict_on_a_changed_sample_goes_with_its_answer(
    host: Host, tmp_path: Path, data: Path, resume: Resume, genuine: Any
) -> None:
    assert resume().exit_code == 0
    judge = ["judge", str(tmp_path / "run"), "--judge", "rules"]
    assert CliRunner().invoke(build_app(host), judge, obj=host).exit_code == 0
    file = genuine.vstar_json(data / "direct_attributes" / "sa_9.json")
    file.write_text(file.read_text().replace("glove 0", "hat"))
    assert resume("--retry-errors").exit_code == 0
    done = CliRunner().invoke(build_app(host), [*judge, "--json"], obj=host)
    assert done.exit_code == 0
    assert json.loads(done.stdout)[0]["answers"] == 3
