"""A served page in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from speceyes_datasets.needle.plugin import make_sample

from speceyes_cli.core.samples import question_text
from tests.serve.conftest import serve
from tests.view.browser import Reader, browser
from tests.view.conftest import axe

__all__ = ["axe", "serve"]


@pytest.fixture
def reader() -> Iterator[Reader]:
    with browser(1280, "light") as found:
        yield found


Photo = Callable[[int], tuple[Path, str, list[str]]]


@pytest.fixture
def needle(tmp_path: Path) -> Photo:
    """needle(3): a picture of the embedded pair's benchmark, its question, and the options."""

    def save(seed: int) -> tuple[Path, str, list[str]]:
        sample = make_sample("direct_attributes", seed)
        path = tmp_path / f"needle-{seed}.png"
        sample.picture.open().save(path)
        return path, sample.question, question_text(sample).partition("Options:\n")[2].split("\n")

    return save


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A red square."""
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return path
