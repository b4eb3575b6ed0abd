from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from speceyes_cli.core.pictures.flatten import to_rgb
from speceyes_cli.core.pictures.loading import decode_picture, load_picture


def encode(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 25700.0, 65535.0], [0, 100, 255]),
        ([0.0, 1e8, 2e8], [0, 128, 255]),
        ([float("nan"), -1.0, 1.0], [0, 0, 255]),
        ([float("inf"), 0.5, 1.0], [255, 128, 255]),
    ],
)
def test_floats_are_scaled_to_eight_bits(values: list[float], seen: list[int]) -> None:
    data = encode(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    picture = decode_picture(data, "p")
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(v, v, v) for v in seen]


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([0, 100, 255], [0, 100, 255]),
        ([0, 25700, 65535], [0, 100, 255]),
        ([0, 0, 2**30], [0, 0, 255]),
    ],
)
def test_integers_of_32_bits_are_scaled_to_eight(values: list[int], seen: list[int]) -> None:
    data = encode(Image.fromarray(np.array([values], dtype=np.int32)), "TIFF")
    picture = decode_picture(data, "p")
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(v, v, v) for v in seen]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_strips_make_the_picture_that_one_piece_would(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Image.effect_noise((61, 47), 90)
    source = Image.merge("RGBA", (noise, noise.rotate(90), noise.rotate(180), noise.rotate(270)))
    if mode == "P":
        source = source.convert("RGB").quantize(17)
        source.info["transparency"] = 3
    elif mode != "RGBA":
        source = (
            source.convert("LA").convert(mode)
            if mode == "LA"
            else source.convert("RGB").convert(mode)
        )
    whole = to_rgb(source)
    monkeypatch.setattr("speceyes_cli.core.pictures.flatten.STRIP_PIXELS", 61 * 7)
    assert to_rgb(source).tobytes() == whole.tobytes()


def test_decoding_takes_twice_the_picture_at_most(tmp_path: Path) -> None:
    """Measured in a process of its own: the highest resident memory above that of a small one."""
    picture = tmp_path / "large.png"
    Image.new("RGBA", (6000, 5000), (1, 2, 3, 128)).save(picture)
    code = (
        "import resource, sys\n"
        "from speceyes_cli.core.pictures.loading import load_picture\n"
        "load_picture(sys.argv[1], 'p')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "load_picture(sys.argv[2], 'p')\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)\n"
    )
    small = tmp_path / "small.png"
    Image.new("RGBA", (60, 50)).save(small)
    done = subprocess.run(
        [sys.executable, "-c", code, str(small), str(picture)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 2.3 * 4 * 6000 * 5000


def test_a_picture_of_the_callers_stays_as_it_is() -> None:
    mine = Image.new("RGB", (6, 4))
    mine.getexif()[0x0112] = 6
    assert load_picture(mine, "p").size == (4, 6)
    assert mine.size == (6, 4)
    assert mine.getexif()[0x0112] == 6
