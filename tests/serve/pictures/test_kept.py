from __future__ import annotations

import base64
import gc

from speceyes_cli.serve.pictures.kept import KeptPictures
from tests.serve.conftest import data_url


def encoded(colour: str) -> bytes:
    return base64.b64decode(data_url(colour=colour).partition(",")[2])


def test_equal_bytes_are_one_picture_that_is_decoded_once() -> None:
    kept = KeptPictures()
    one, other = kept.picture(encoded("red")), kept.picture(bytes(encoded("red")))
    assert one is other
    assert one.open() is other.open()
    assert kept.picture(encoded("blue")) is not one


def test_the_oldest_goes_first() -> None:
    red, blue = encoded("red"), encoded("blue")
    kept = KeptPictures(encoded=len(red) + len(blue))
    first, second = kept.picture(red), kept.picture(blue)
    assert kept.picture(red) is first
    kept.picture(encoded("green"))  # in the place of blue, which was not asked for again
    assert kept.picture(red) is first
    assert kept.picture(blue) is not second


def test_what_is_not_kept_still_opens() -> None:
    kept = KeptPictures(encoded=1, decoded=1)
    pictures = [kept.picture(encoded(colour)) for colour in ("red", "blue")]
    gc.collect()
    assert [picture.open().getpixel((0, 0)) for picture in pictures] == [(255, 0, 0), (0, 0, 255)]
