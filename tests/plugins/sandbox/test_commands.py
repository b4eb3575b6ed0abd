from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from speceyes_plugins.agents.thyme.agent import Thyme
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import build_host
from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Observation,
    Reply,
    Run,
    Sample,
    picture_from,
)

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


LOOK = """
import hashlib
import cv2
from PIL import Image
picture = Image.open("/mnt/data/input.jpg")
array = cv2.imread(image_path, cv2.IMREAD_UNCHANGED)
print(picture.format, picture.mode, picture.size, sorted(picture.info), dict(picture.getexif()))
print(array.shape, array.dtype, hashlib.sha256(picture.tobytes()).hexdigest())
print(image_path, temp_output_dir, picture.getpixel((1, 1)))
"""


def two_coloured(mode: str = "RGB") -> Image.Image:
    """Wider than high; red on the left, blue on the right."""
    picture = Image.new("RGB", (90, 60), "red")
    picture.paste("blue", (45, 0, 90, 60))
    return picture.convert(mode)


def files(folder: Path) -> dict[str, Path]:
    """Pictures as cameras, printers and scanners leave them."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    see_through = two_coloured("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize((90, 60)))
    deep = Image.linear_gradient("L").convert("I").point(lambda value: value * 257)
    made = {
        "turned.jpg": (two_coloured(), {"exif": exif}),
        "cmyk.jpg": (two_coloured("CMYK"), {}),
        "deep.png": (deep.convert("I;16"), {}),
        "palette.png": (two_coloured("P"), {"transparency": 0}),
        "alpha.png": (see_through, {}),
        "gray_alpha.png": (see_through.convert("LA"), {}),
        "bilevel.png": (two_coloured("1"), {}),
        "moving.gif": (two_coloured("P"), {"save_all": True, "append_images": [see_through]}),
        "a name.webp": (see_through, {"lossless": True}),
    }
    for name, (picture, options) in made.items():
        picture.save(folder / name, **options)
    return {name: folder / name for name in made}


NAMES = (
    *("turned.jpg", "cmyk.jpg", "deep.png", "palette.png", "alpha.png", "gray_alpha.png"),
    *("bilevel.png", "moving.gif", "a name.webp"),
)


@pytest.fixture(scope="module")
def agent() -> Iterator[Thyme]:
    made = Thyme(AgentOptions())
    yield made
    made.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_script_sees_the_picture_that_the_agents_would(
    agent: Thyme, tmp_path: Path, name: str
) -> None:
    path = files(tmp_path)[name]
    one = Sample(name, "all", picture_from(path, name), "Which?", (), "")
    state = AgentState(one, agent.open(one), 0)
    turn = agent.step(Reply(f"<code>{LOOK}</code>", 10, "stop"), state)
    ran = next(turn)
    assert isinstance(ran, Run)
    seen = ran.tool(**ran.arguments)
    assert isinstance(seen, Observation)
    code, out, _ = run(script(tmp_path, LOOK), "--image", str(path), "--json")
    assert code == 0
    assert json.loads(out)["stdout"].strip() == seen.content[0]
    if name == "turned.jpg":
        assert "(60, 90)" in out


def test_a_file_that_is_no_picture_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "words.jpg"
    path.write_text("words", encoding="utf-8")
    code, _, err = run(script(tmp_path, "print(1)"), "--image", str(path))
    assert (code, err.count("\n")) == (2, 1)
    assert "words.jpg" in err


def test_missing_files_are_one_sentence(tmp_path: Path, picture: str) -> None:
    code, _, err = run(str(tmp_path / "none.py"), "--image", picture)
    assert (code, err.count("\n")) == (2, 1)
    assert "does not exist" in err
