"""A dataset without files: one dot to a picture, drawn when it is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from PIL import Image, ImageDraw

from speceyes_cli.plugin import (
    DataError,
    DatasetSpec,
    DataSource,
    Picture,
    PictureError,
    Sample,
    Scored,
    score_choice,
)

COLOURS = ("red", "green", "blue", "yellow")
SIZES = {"near": 40, "far": 20}


def open_split(split: str, source: DataSource) -> Iterable[Sample]:
    """Dot i has colour i.

    A folder called "broken" has pictures that cannot be decoded; one called "half" has ids with
    half a character.
    """
    broken = source.path == "broken"
    end = "\ud800" if source.path == "half" else ""
    for number in range(SIZES[split]):
        colour = COLOURS[number % len(COLOURS)]
        yield Sample(
            id=f"dot-{number}{end}",
            split=split,
            picture=Picture(f"dot-{number}.png", partial(draw, colour, broken)),
            question=f"What colour is dot {number}?",
            options=COLOURS,
            answer=colour,
            meta={"number": number},
        )


def draw(colour: str, broken: bool = False) -> Image.Image:
    """A dot of the colour on white; `PictureError` when it is to be broken."""
    if broken:
        raise PictureError("the picture is truncated")
    picture = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(picture).ellipse((24, 24, 40, 40), fill=colour)
    return picture


def check(split: str, source: DataSource) -> None:
    """Nothing to read but what a user names by mistake."""
    if source.path == "nowhere":
        raise DataError(f"dots: there is no folder {source.path} with the split {split}.")


def share_of_red(scored: Sequence[Scored]) -> dict[str, float]:
    """A figure of the dataset's own."""
    answered = [item for item in scored if item.text is not None]
    red = sum(item.text == "red" for item in answered)
    return {"red answers": red / len(answered) if answered else 0.0}


DOTS = DatasetSpec(
    name="dots",
    splits=tuple(SIZES),
    open=open_split,
    check=check,
    score=score_choice,
    multiple_choice=True,
    summary="one dot to a picture",
    size=lambda split, _source: SIZES[split],
    metrics=share_of_red,
    fingerprint=lambda split, source: f"{split}:{SIZES[split]}:{source.path}",
)
