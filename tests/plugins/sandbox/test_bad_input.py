"""Bad code and bad results: a typed failure that the model can react to, never an exception."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image
from speceyes_plugins.sandbox import Failure, Sandbox, SandboxLimits

SAVE = "from PIL import Image\nImage.new('RGB', ({size})).save('{name}')\nprint('{name}')"


def png_claiming(width: int, height: int) -> bytes:
    """A PNG header of any size before a few rows of zeros: small on disk, huge when decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
        )

    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def writes(data: bytes, name: str = "x.png") -> str:
    packed = zlib.compress(data, 9)
    return f"import zlib\nopen({name!r}, 'wb').write(zlib.decompress({packed!r}))\nprint({name!r})"


def failure(sandbox: Sandbox, picture: Image.Image, code: str) -> Failure:
    with sandbox.open(picture) as session:
        result = session.run(code)
        assert not result.ok
        assert result.error is not None
        assert session.run("print('still there')").stdout == "still there\n"
    return result.error


CASES = {
    "syntax": ("syntax", "print(1"),
    "null_character": ("syntax", "print(1)\x00"),
    "nested_too_deep": ("syntax", "(" * 5000 + ")" * 5000),
    "long_chain": ("syntax", "x = " + "-" * 30_000 + "1"),
    "two_bad_lines": ("syntax", "  a = 1\n      b = 2\n   c = 3"),
    "nothing": ("no_output", ""),
    "no_print": ("no_output", "x = 1"),
    "empty_print": ("no_output", "print()"),
    "raises": ("exception", "1 / 0"),
    "raises_base": ("exception", "class E(BaseException): pass\nraise E('gone')"),
    "bad_message": ("exception", "class E(Exception):\n    def __str__(s): 1 / 0\nraise E"),
    "exits_badly": ("exception", "import sys; sys.exit(3)"),
    "recursion": ("exception", "def f(): f()\nf()"),
    "no_module": ("exception", "import torchvision_of_the_future"),
    "missing_picture": ("exception", "open('/data/none.txt')"),
    "missing_result": ("missing_file", "print(temp_output_dir + '/none.png')"),
    "missing_trained_path": ("missing_file", "print('/mnt/' + 'data/temp_processed_images/n.png')"),
    "climbing_path": ("missing_file", "print(temp_output_dir + '/../../../../etc/x.png')"),
    "text_for_picture": ("not_a_picture", "open('a.png', 'w').write('words')\nprint('a.png')"),
    "empty_file": ("not_a_picture", "open('a.png', 'w').close()\nprint('a.png')"),
    "binary_blob": (
        "not_a_picture",
        "import os\nopen('a.png','wb').write(os.urandom(9999))\nprint('a.png')",
    ),
    "folder_for_picture": ("not_a_file", "import os\nos.mkdir('a.png')\nprint('a.png')"),
    "one_pixel": ("picture_too_small", SAVE.format(size="1, 1", name="a.png")),
    "sliver": ("picture_too_small", SAVE.format(size="4, 900", name="a.png")),
    "out_of_memory": ("memory", "x = bytearray(1 << 40)"),
    "dies": ("crashed", "import os; os._exit(0)"),
    "segfault": ("crashed", "import ctypes; ctypes.string_at(0)"),
    "10000_pictures": ("too_many_pictures", "for i in range(10_000): print(f'{i}.png')"),
    "10000_saved": ("disk_quota", "for i in range(10_000): open(f'{i}.png', 'w').close()"),
    "long_source": ("source_too_long", "#" * 100_000),
    "outside_box": (
        "bad_box",
        "from PIL import Image\nImage.open(image_path).crop((900, 0, 999, 9))",
    ),
    "fractions": (
        "bad_box",
        "from PIL import Image\nImage.open(image_path).crop((0.1, 0.2, 0.5, 0.6))",
    ),
    "fractions_of_an_array": (
        "bad_box",
        "import cv2\ncv2.imwrite('a.png', cv2.imread(image_path)[0.1:0.5, 0.2:0.6])",
    ),
}


@pytest.mark.parametrize(("kind", "code"), CASES.values(), ids=CASES)
def test_bad_input_has_a_kind(sandbox: Sandbox, picture: Image.Image, kind: str, code: str) -> None:
    found = failure(sandbox, picture, code)
    assert found.kind == kind, found
    assert 0 < len(found.text) < 4000


def test_an_error_names_its_line(sandbox: Sandbox, picture: Image.Image) -> None:
    found = failure(sandbox, picture, "x = 1\ny = [x,\n  missing]\n")
    assert found.text == "NameError: name 'missing' is not defined (line 3: missing])"


def test_pictures_before_a_failure_come_back(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as session:
        result = session.run(SAVE.format(size="90, 90", name="a.png") + "\n1 / 0")
    assert [image.size for image in result.images] == [(90, 90)]
    assert result.error is not None
    assert result.error.kind == "exception"


def test_bytes_for_text_are_text(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as session:
        result = session.run("import sys; sys.stdout.buffer.write(bytes(range(256)))")
    assert result.ok
    assert "\x1b" not in result.stdout


def test_decompression_bomb_is_not_decoded(sandbox: Sandbox, picture: Image.Image) -> None:
    bomb = png_claiming(8000, 8000)
    assert len(bomb) < 10_000
    with Image.open(io.BytesIO(bomb)) as opened:  # bare, it would be 192 MB
        assert opened.width * opened.height * 3 > 190_000_000
    assert failure(sandbox, picture, writes(bomb)).kind == "picture_too_large"
    assert (
        failure(sandbox, picture, writes(png_claiming(65_000, 65_000))).kind == "picture_too_large"
    )


def test_pixels_count_over_all_pictures(picture: Image.Image) -> None:
    code = "\n".join(SAVE.format(size="200, 200", name=f"{i}.png") for i in range(3))
    with Sandbox(limits=SandboxLimits(pixels=100_000)) as sandbox, sandbox.open(picture) as session:
        result = session.run(code)
    assert len(result.images) == 2
    assert result.error is not None
    assert result.error.kind == "picture_too_large"


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "gif", "tiff", "ppm"])
def test_usual_formats_come_back(sandbox: Sandbox, picture: Image.Image, suffix: str) -> None:
    with sandbox.open(picture) as session:
        result = session.run(SAVE.format(size="90, 80", name=f"a.{suffix}"))
    assert [image.size for image in result.images] == [(90, 80)]
    assert result.images[0].mode == "RGB"


@pytest.mark.parametrize(
    "text", ["(90, 80)", "3.5", "no.picture here", "https://x.y/z.png", "1.png 2"]
)
def test_values_are_no_paths(sandbox: Sandbox, picture: Image.Image, text: str) -> None:
    with sandbox.open(picture) as session:
        result = session.run(f"print({text!r})")
    assert result.ok, result.error
    assert result.stdout == text + "\n"
