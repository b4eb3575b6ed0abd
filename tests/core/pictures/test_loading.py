from __future__ import annotations

import base64
import io
import os
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.pictures import loading as pictures
from speceyes_cli.core.pictures.loading import (
    MAX_PIXELS,
    decode_base64,
    decode_picture,
    load_chat_pictures,
    load_picture,
    picture_from,
)

SIZE = (60, 40)
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def drawing() -> Image.Image:
    """Left half red, right half blue."""
    picture = Image.new("RGB", SIZE, RED)
    picture.paste(BLUE, (SIZE[0] // 2, 0, *SIZE))
    return picture


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


PNG = encode(drawing())
JPEG = encode(drawing(), "JPEG", quality=95)
BASE64 = base64.b64encode(PNG).decode()


def claims_to_be(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces another size."""
    small = encode(Image.new("1", (8, 8)))
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]


def looks_right(picture: Image.Image) -> bool:
    left, right = picture.getpixel((5, 20)), picture.getpixel((SIZE[0] - 5, 20))
    return (picture.mode, picture.size, left, right) == ("RGB", SIZE, RED, BLUE)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/missing.png":
            self.send_error(404)
            return
        if path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
            return
        body = {"/a.png": PNG, "/page.html": b"<html>no picture</html>"}.get(path, PNG)
        self.send_response(200)
        announced = len(body) + 100 if path == "/broken-off.png" else len(body)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        if path == "/slow.png":
            threading.Event().wait(1.5)
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a picture, 50%.png"
    path.write_bytes(PNG)
    return path


def forms(file: Path, server: str) -> dict[str, Any]:
    """The drawing in every form that a message may hold it in."""
    return {
        "pil": drawing(),
        "path": str(file),
        "pathlib": file,
        "file url": f"file://{file}",
        "escaped file url": file.as_uri(),
        "http": f"{server}/a.png",
        "http, redirected": f"{server}/moved.png",
        "http with a query": f"{server}/a.png?token=1",
        "base64": BASE64,
        "base64 in lines": "\n".join(BASE64[i : i + 76] for i in range(0, len(BASE64), 76)),
        "base64 unpadded": BASE64.rstrip("="),
        "data url": f"data:image/png;base64,{BASE64}",
        "data url with a charset": f"data:image/png;charset=utf-8;base64,{BASE64}",
        "data url without a kind": f"data:image;base64,{BASE64}",
        "data url in capitals": f"DATA:IMAGE/PNG;BASE64,{BASE64}",
        "bytes": PNG,
        "parquet bytes": {"bytes": PNG, "path": None},
        "parquet path": {"bytes": None, "path": str(file)},
    }


FORMS = tuple(forms(Path("/a.png"), "http://x"))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_one_picture(form: str, file: Path, server: str) -> None:
    assert looks_right(load_picture(forms(file, server)[form], "p"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["image", "image_url", "image_url.url", "image.url"])
def test_every_form_reaches_qwen_vl_utils_as_installed(
    form: str, key: str, file: Path, server: str
) -> None:
    vision = pytest.importorskip("qwen_vl_utils")
    name, _, inner = key.partition(".")
    value = forms(file, server)[form]
    part = {"type": name, name: {inner: value} if inner else value, "max_pixels": 28 * 28 * 16}
    messages = [
        {"role": "system", "content": "Look closely."},
        {"role": "user", "content": [part, {"type": "text", "text": "What is left?"}]},
    ]
    opened = load_chat_pictures(messages)
    images, videos = vision.process_vision_info(opened)
    assert videos is None
    [image] = images
    assert image.size[0] * image.size[1] <= 28 * 28 * 16, "the part's other keys are kept"
    assert image.getpixel((1, 5))[0] > 200
    assert opened[1]["content"][1] == {"type": "text", "text": "What is left?"}
    assert opened[0] == messages[0]


def test_relative_paths_start_at_the_folder(file: Path) -> None:
    assert looks_right(picture_from(file.name, "p", file.parent).open())
    assert looks_right(picture_from({"path": file.name}, "p", file.parent).open())


def test_a_picture_is_read_when_it_is_opened(tmp_path: Path) -> None:
    picture = picture_from(tmp_path / "later.png", "later")
    with pytest.raises(PictureError, match=r"later: there is no picture .*later\.png"):
        picture.open()
    (tmp_path / "later.png").write_bytes(PNG)
    assert looks_right(picture.open())


def test_exif_orientation_is_applied() -> None:
    turned = drawing().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    picture = decode_picture(encode(turned, "PNG", exif=exif), "p")
    assert looks_right(picture)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_formats(kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    picture = decode_picture(encode(drawing(), kind, **options), "p")
    assert (picture.mode, picture.size) == ("RGB", SIZE)
    assert picture.getpixel((5, 20))[0] > 240


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16"])
def test_modes_become_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "PA") else "PNG"
    grey = Image.new("L", SIZE, 255)
    if mode == "PA":
        source = Image.new("P", SIZE, 1)
        source.putpalette([0, 0, 0, 255, 255, 255])
        data = encode(source.convert("RGBA"))
    elif mode == "I;16":
        data = encode(Image.frombytes("I;16", SIZE, b"\xff\x7f" * (SIZE[0] * SIZE[1])))
        assert decode_picture(data, "p").getpixel((1, 1)) == (127, 127, 127)
        return
    else:
        data = encode(grey.convert(mode), kind)
    picture = decode_picture(data, "p")
    assert (picture.mode, picture.getpixel((3, 3))) == ("RGB", WHITE)


def test_transparent_parts_are_white() -> None:
    clear = drawing().convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 10, SIZE[1]))
    picture = decode_picture(encode(clear), "p")
    assert picture.getpixel((2, 2)) == WHITE
    assert picture.getpixel((20, 20)) == RED


def test_a_transparent_palette_is_white() -> None:
    palette = drawing().quantize(4)
    index = palette.getpixel((5, 20))
    picture = decode_picture(encode(palette, "PNG", transparency=index), "p")
    assert picture.getpixel((5, 20)) == WHITE
    assert picture.getpixel((SIZE[0] - 5, 20)) == BLUE


def test_a_picture_just_over_the_limit_is_refused() -> None:
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(PictureError, match="limit"):
        decode_picture(claims_to_be(10_000, 10_000), "p")


def test_an_8k_picture_is_admitted_and_a_bomb_is_not() -> None:
    assert MAX_PIXELS > 7680 * 4320
    big = encode(Image.new("1", (7680, 4320)))
    assert decode_picture(big, "p").size == (7680, 4320)
    bomb = claims_to_be(20_000, 20_000)
    assert len(bomb) < 1_000
    with pytest.raises(PictureError, match=r"b\.png: the picture has more than 89,478,485 pixels"):
        decode_picture(bomb, "b.png")


@pytest.mark.parametrize("data", [PNG[: len(PNG) // 2], JPEG[: len(JPEG) // 2]])
def test_a_truncated_file_is_named(data: bytes) -> None:
    with pytest.raises(PictureError, match=r"table\.tsv, line 7: the picture is truncated"):
        decode_picture(data, "table.tsv, line 7")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"", "p: the picture is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "p: only Git LFS's pointer is here"),
        (b"GIF87a but not really", "p: "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "p: 47 bytes that are no picture"),
        ("", "p: "),
        ("/nowhere/a.png", "p: there is no picture /nowhere/a.png"),
        ("file:///nowhere/a.png", "p: there is no picture /nowhere/a.png"),
        (Path("/"), "p: / is no file but a folder"),
        (Path("/dev/null"), "p: /dev/null is no file but a device"),
        ("a\0b.png", "p: "),
        ("!" * 5000, "p: the picture is not valid base64"),
        ("data:image/png;base64,@@@@", "p: the picture is not valid base64"),
        ("data:image/png,abc", "p: the data URL holds no base64"),
        ("data:image/png;base64", "p: the data URL holds no base64"),
        ({"bytes": None, "path": None}, "p: there is no picture"),
        ({"url": ""}, "p: there is no picture"),
        (17, "p: a picture cannot come as int"),
        (base64.b64encode(b"x" * 99).decode(), "p: 99 bytes that are no picture"),
    ],
)
def test_what_is_no_picture_is_said_in_a_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(PictureError) as raised:
        load_picture(source, "p")
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/missing.png?secret=1", r"p: http://127.0.0.1:\d+/missing.png answered 404"),
        ("/page.html", "p: 23 bytes that are no picture"),
        ("/broken-off.png", r"p: \S+ (broke off|cannot be fetched)"),
    ],
)
def test_a_bad_answer_over_http_is_said(server: str, path: str, sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence) as raised:
        load_picture(server + path, "p")
    assert "secret" not in str(raised.value)


def test_http_has_a_time_and_a_size_limit(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "FETCH_SECONDS", 0.3)
    with pytest.raises(PictureError, match=r"took over 0.3 seconds|timed out"):
        load_picture(f"{server}/slow.png", "p")
    monkeypatch.setattr(pictures, "FETCH_SECONDS", 30.0)
    monkeypatch.setattr(pictures, "MAX_BYTES", 50)
    with pytest.raises(PictureError, match="has more than 50 bytes"):
        load_picture(f"{server}/a.png", "p")


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(PictureError, match=r"p: http://\*\*\*@x/a.png holds a user") as raised:
        load_picture("http://me:pw@x/a.png", "p")
    assert "pw" not in str(raised.value)


def test_nobody_listening_is_said() -> None:
    with pytest.raises(PictureError, match=r"p: http://127.0.0.1:9/a.png cannot be fetched"):
        load_picture("http://127.0.0.1:9/a.png", "p")


def test_files_and_base64_have_the_same_limit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 50)
    for source in (file, BASE64, f"data:image/png;base64,{BASE64}"):
        with pytest.raises(PictureError, match="has more than 50 bytes"):
            load_picture(source, "p")


@given(st.binary(max_size=60))
def test_base64_comes_back(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode_base64(text, "p") == data
    assert decode_base64(f"data:;base64,{text}", "p") == data


@settings(max_examples=60)
@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255))
def test_damage_is_a_picture_error_or_a_picture(place: int, value: int) -> None:
    damaged = bytearray(JPEG)
    damaged[place] = value
    try:
        picture = decode_picture(bytes(damaged), "p")
    except PictureError:
        return
    assert picture.mode == "RGB"


def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    """Opening one would wait for a writer that never comes."""
    os.mkfifo(tmp_path / "pipe.png")
    picture = picture_from("pipe.png", "p", tmp_path)
    with pytest.raises(PictureError, match=r"pipe\.png is no file but a pipe"):
        picture.open()
    assert picture.digest() is None


def test_equal_pictures_have_equal_digests_in_every_form(file: Path) -> None:
    forms = [str(file), file, file.as_uri(), PNG, BASE64, {"bytes": PNG}, {"path": str(file)}]
    assert len({picture_from(form, "p").digest() for form in forms}) == 1
    assert picture_from(PNG + b" ", "p").digest() != picture_from(PNG, "p").digest()
    for form in (drawing(), "http://127.0.0.1:1/a.png", file.parent, "/nowhere/a.png"):
        assert picture_from(form, "p").digest() is None
