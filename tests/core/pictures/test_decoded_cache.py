from __future__ import annotations

import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.pictures.decoded_cache import DecodedPictures


class Counted:
    """A picture that counts how often it is decoded."""

    def __init__(self, side: int = 10) -> None:
        self.times = 0
        self.side = side

    def picture(self) -> Picture:
        return Picture("counted", self.decode)

    def decode(self) -> Image.Image:
        self.times += 1
        return Image.new("RGB", (self.side, self.side))


def test_a_picture_is_decoded_once_until_it_is_forgotten() -> None:
    source, opened = Counted(), DecodedPictures()
    picture = opened.remember("a", source.picture())
    assert picture.open() is picture.open()
    assert source.times == 1
    opened.forget("a")
    picture.open()
    assert source.times == 2


def test_a_picture_that_fails_to_open_fails_again() -> None:
    def broken() -> Image.Image:
        raise OSError("torn")

    picture = DecodedPictures().remember("a", Picture("torn", broken))
    for _ in range(2):
        with pytest.raises(OSError, match="torn"):
            picture.open()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12), st.booleans()), max_size=40))
def test_what_is_kept_stays_within_the_limit(uses: list[tuple[int, int, bool]]) -> None:
    limit = 300
    opened = DecodedPictures(limit)
    seen: list[weakref.ref[Image.Image]] = []
    for number, side, forget in uses:
        key = f"{number}/{side}"
        image = opened.remember(key, Counted(side).picture()).open()
        assert image.size == (side, side)
        seen.append(weakref.ref(image))
        del image
        if forget:
            opened.forget(key)
        alive = {id(each): each for each in (ref() for ref in seen) if each is not None}
        assert sum(3 * each.width * each.height for each in alive.values()) <= limit
        del alive
