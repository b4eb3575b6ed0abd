"""Pictures that are there, gone, huge, or elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from speceyes_cli.core.run.store import IMAGES
from tests.view.conftest import Shown, View


@pytest.fixture
def kept(view: View, evaluate: Callable[..., Result], tmp_path: Path) -> tuple[Shown, Path]:
    assert evaluate("--out", "runs/kept", "--keep-images").exit_code == 0
    return view(tmp_path / "runs"), tmp_path / "runs" / "kept" / IMAGES / "near_dot-0"


def address(shown: Shown, name: str, sample: str) -> str:
    return f"/runs/{shown.run(name).id}/samples/{shown.place(name, sample)}"


def test_a_kept_picture_is_shown_at_first_scaled_then_whole(kept: tuple[Shown, Path]) -> None:
    shown, images = kept
    [first, *_] = sorted(images.glob("*.png"))
    Image.new("RGB", (3000, 2000), "red").save(first)
    where = f"{address(shown, 'kept', 'dot-0')}/pictures/0"
    for query, size in (("", (1400, 933)), ("?whole", (3000, 2000))):
        answer = shown.get(where + query)
        assert answer.headers["content-type"] == "image/jpeg"

        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.size == size


def test_a_picture_that_cannot_be_shown_says_why(kept: tuple[Shown, Path], tmp_path: Path) -> None:
    shown, images = kept
    [first, second] = sorted(images.glob("*.png"))
    where = address(shown, "kept", "dot-0")
    whole = first.read_bytes()
    for damage, told in (
        (lambda: first.write_bytes(whole[:60]), "cannot be had"),
        (lambda: Image.new("1", (20_000, 20_000)).save(first), "89,478,485 pixels"),
    ):
        damage()
        answer = shown.get(f"{where}/pictures/0")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert told in answer.text
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8), "red").save(secret)
    second.unlink()
    second.symlink_to(secret)
    assert "kept no pictures" in shown.get(f"{where}/pictures/1").text
    assert shown.get(f"{where}/pictures/9").status_code == 404
    assert shown.get(f"{where}/crops/9").status_code == 404


def test_without_kept_pictures_the_dataset_has_them(
    view: View, evaluate: Callable[..., Result], tmp_path: Path
) -> None:
    assert evaluate("--out", "runs/a").exit_code == 0
    broken = evaluate("--out", "runs/b", "--data", "broken", "--max-errors", "99")
    assert broken.exit_code == 0
    shown = view(tmp_path / "runs")
    where = address(shown, "a", "dot-0")
    assert shown.get(f"{where}/pictures/0").headers["content-type"] == "image/png"
    assert shown.get(f"{where}/crops/0").headers["content-type"] == "image/png"
    assert "--keep-images" in shown.get(f"{where}/pictures/1").text
    assert "truncated" in shown.get(f"{address(shown, 'b', 'dot-0')}/pictures/0").text
