"""Printed paths: which are read as results, and that reading takes time in proportion."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.sandbox.paths import Paths

PATHS = Paths("/s/1/picture", "/mnt/data/input.jpg", "/s/1/data")
OUT = "/mnt/data/temp_processed_images"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{OUT}/a.png", ["a.png"]),
        (f"  '{OUT}/a.PNG'  ", ["a.PNG"]),
        (f"Saved to: {OUT}/a.png.", ["a.png"]),
        (f"{OUT}/a.png is the crop", ["a.png"]),
        (f"{OUT}/a.png and {OUT}/b.jpg", ["a.png", "b.jpg"]),
        (f"['{OUT}/a.png', '{OUT}/b.png']", ["a.png", "b.png"]),
        (f"![crop]({OUT}/a.png)", ["a.png"]),
        (f"{OUT}/a.png\n{OUT}/a.png", ["a.png"]),
        (f"{OUT}/my crop 1.png", ["my crop 1.png"]),
        (f"{OUT}/result", ["result"]),
        (f"{OUT}/deep/er/a.png", ["deep/er/a.png"]),
        ("/s/1/data/temp_processed_images/a.png", ["a.png"]),
        (f"{OUT}//a.png", ["/a.png"]),
        ("/mnt/data//temp_processed_images/a.png", ["a.png"]),
        ("a.png", ["a.png"]),
        ("`crop-1.webp`", ["crop-1.webp"]),
        (f"{OUT}/a.pngx,{OUT}/b.png", ["b.png"]),
        (f"{OUT} has 3 files", []),
        (f"{OUT}/", []),
        (f"{OUT}/ holds the crops", []),
        ("/mnt/data/input.jpg", []),
        ("/elsewhere/a.png", []),
        ("the picture a.png", []),
        ("1.png 2", []),
        (".png", []),
        ("", []),
    ],
)
def test_paths_in_printed_text(text: str, found: list[str]) -> None:
    assert PATHS.printed(text) == [f"temp_processed_images/{name}" for name in found]


@given(st.lists(st.sampled_from([OUT, "/s/1/data", "/", ".png", " ", "'", "\n", "a", ".jp", "é"])))
def test_any_printed_text_gives_relative_paths(pieces: list[str]) -> None:
    for path in PATHS.printed("".join(pieces)):
        assert path
        assert not path.startswith("/")


PIECES = [
    "/mnt/data/",
    "/mnt/data/a",
    "/mnt/data",
    "/s/1/data/x.pn",
    ".png",
    "a.",
    "/",
    "'",
    " a",
    "\n/",
]


@pytest.mark.parametrize("piece", PIECES)
def test_reading_takes_time_in_proportion(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        took = []
        for _ in range(3):
            began = time.process_time()
            PATHS.printed(text)
            took.append(time.process_time() - began)
        return min(took)

    once, four = seconds(50_000), seconds(200_000)
    assert four < 10 * once + 0.01  # four times the text: four times the time, not sixteen
