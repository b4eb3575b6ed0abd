from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import build_host

CROP = """
from PIL import Image
Image.open(image_path).crop((0, 0, 100, 90)).save(temp_output_dir + "/crop.png")
print(temp_output_dir + "/crop.png")
"""


def run(*words: str) -> tuple[int, str, str]:
    host = build_host()
    result = CliRunner().invoke(build_app(host), ["sandbox", "run", *words], obj=host)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.new("RGB", (300, 200), "red").save(path)
    return str(path)


def script(tmp_path: Path, code: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(code, encoding="utf-8")
    return str(path)


def test_a_script_runs_as_the_agents_would(tmp_path: Path, picture: str) -> None:
    code, out, _ = run(script(tmp_path, CROP), "--image", picture, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["ok"] is True
    assert told["images"] == [{"width": 100, "height": 90}]


def test_pictures_can_be_saved(tmp_path: Path, picture: str) -> None:
    place = tmp_path / "out"
    code, out, _ = run(script(tmp_path, CROP), "--image", picture, "--save", str(place))
    assert code == 0
    assert "100x90" in out
    with Image.open(place / "picture-1.png") as saved:
        assert saved.size == (100, 90)


def test_a_script_that_fails_exits_1_and_says_why(tmp_path: Path, picture: str) -> None:
    code, _, err = run(script(tmp_path, "1 / 0"), "--image", picture)
    assert code == 1
    assert "failed (exception): " in err


def test_a_script_cannot_leave(tmp_path: Path, picture: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden", encoding="utf-8")
    code, out, _ = run(script(tmp_path, f"print(open({str(secret)!r}).read())"), "--image", picture)
    assert code == 1
    assert "hidden" not in out


def test_missing_files_are_one_sentence(tmp_path: Path, picture: str) -> None:
    code, _, err = run(str(tmp_path / "none.py"), "--image", picture)
    assert (code, err.count("\n")) == (2, 1)
    assert "does not exist" in err
