"""Slips of model-written code: what is mended, what is left alone, and that it is written down."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.sandbox import Sandbox
from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.worker import boxes, repairs, routing

PATHS = Paths("/s/1/picture", "/mnt/data/input.jpg", "/s/1/data")

UNCHANGED = [
    "import cv2 as cv\nimage = cv.imread(image_path)",
    "cv = 3\nprint(cv.real)",
    "def f(cv):\n    return cv.x",
    "if True:\n    print(1)",
    "from PIL import Image\nImage.open(image_path).save('a.png')",
    "import cv2\ncv2.imwrite('a.png', image)\nimage = cv2.imread('a.png')",
    "path = 'a.png'\nimage.save(path)\nImage.open(path)",
    "text = '/data/street.jpg is a path'",
    "array[1:2]",
    "array[::2, ::2]",
    "array[1:2, 3:4] = 0",
    "image.crop()",
]


def mended(source: str, *bound: str) -> tuple[str, tuple[str, ...]]:
    tree, _, notes = repairs.mend(source, PATHS, {*bound, "Image", "PIL", "image", "n", "p"})
    return ast.unparse(tree), notes


@pytest.mark.parametrize("source", UNCHANGED)
def test_what_is_right_stays(source: str) -> None:
    assert mended(source) == (ast.unparse(ast.parse(source)), ())


@pytest.mark.parametrize(
    "source",
    [
        "    import os\nprint(1)",
        "import os\n    print(1)\n    print(2)",
        "    import os\n    print(1)",
        "\n\n  import os\n  print(1)",
        "    import os\r\nprint(1)\r\n",
        "import os\n  if 1:\n    print(1)",
    ],
)
def test_first_line_indented_differently(source: str) -> None:
    text, notes = mended(source)
    assert text.startswith("import os\n")
    assert notes == ("indentation of the first line",)


@pytest.mark.parametrize("source", ["if 1:\nprint(1)", "  a = 1\n      b = 2\n   c = 3"])
def test_other_indentation_is_the_models_to_mend(source: str) -> None:
    with pytest.raises(IndentationError):
        mended(source)


@pytest.mark.parametrize("alias", ["cv", "cv3", "cv4"])
def test_wrong_name_of_opencv(alias: str) -> None:
    assert mended(f"x = {alias}.imread(p)") == (
        "import cv2\nx = cv2.imread(p)",
        (f"{alias}. -> cv2.", "added: import cv2"),
    )
    assert mended(f"import {alias}\nx = {alias}.imread(p)") == (
        f"import cv2 as {alias}\nx = {alias}.imread(p)",
        (f"import {alias} -> import cv2",),
    )
    assert mended(f"from {alias} import imread")[0] == "from cv2 import imread"
    assert mended(f"from __future__ import annotations\n{alias}.x")[0].splitlines() == [
        "from __future__ import annotations",
        "import cv2",
        "cv2.x",
    ]
    assert mended(f"{alias}.x", alias) == (f"{alias}.x", ())
    assert mended(f"{alias}.x", "cv2")[0] == "cv2.x"


@pytest.mark.parametrize(
    "source",
    [
        "Image.open('/wrong/street.jpg')",
        "cv2.imread('/wrong/street.jpg')",
        "PIL.Image.open('/wrong/street.jpg')",
        "p = '/wrong/street.jpg'\nImage.open(p)",
        "image_path = '/wrong/street.jpg'\nx = cv2.imread(image_path, 1)",
        "Image.open('/mnt/data/street.jpg')",
        "Image.open('street.jpg')",
    ],
)
def test_wrong_picture_path(source: str) -> None:
    text, notes = mended(source, "cv2")
    assert "'/s/1/picture'" in text
    assert "street" not in text
    assert len(notes) == 1
    assert notes[0].endswith("street.jpg' -> '/mnt/data/input.jpg'")


def test_trained_paths_are_exchanged_and_no_repair() -> None:
    source = "p = f'/mnt/data/temp_processed_images/{n}.png'\nImage.open('/mnt/data/input.jpg')"
    text, notes = mended(source)
    assert text == "p = f'/s/1/data/temp_processed_images/{n}.png'\nImage.open('/s/1/picture')"
    assert notes == ()
    assert mended("x = '/mnt/database'")[0] == "x = '/mnt/database'"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 20, 110, 100), (10, 20, 110, 100)),
        ((-5, -5, 100, 100), (0, 0, 100, 100)),
        ((250, 100, 400, 300), (236, 100, 300, 200)),
        ((100, 100, 110, 110), (73, 73, 137, 137)),
        ((0, 0, 2, 2), (0, 0, 64, 64)),
        ((110, 100, 10, 20), (10, 20, 110, 100)),
        ((0.5, 0.5, 90.5, 90.5), (0.5, 0.5, 90.5, 90.5)),
    ],
)
def test_boxes_fit(box: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert boxes.fit(boxes.Box(*box), 300, 200) == expected


SIDE = st.floats(-500, 500, allow_nan=False)


@given(st.tuples(SIDE, SIDE, SIDE, SIDE), st.integers(1, 400), st.integers(1, 400))
def test_a_fitted_box_lies_inside_and_is_large_enough(
    sides: tuple[float, float, float, float], width: int, height: int
) -> None:
    try:
        fitted = boxes.fit(boxes.Box(*sides), width, height)
    except boxes.BoxError:
        return
    assert 0 <= fitted.left < fitted.right <= width
    assert 0 <= fitted.top < fitted.bottom <= height
    assert fitted.right - fitted.left >= min(boxes.SMALLEST, width)
    assert fitted.bottom - fitted.top >= min(boxes.SMALLEST, height)
    assert boxes.fit(fitted, width, height) == fitted


@pytest.mark.parametrize(
    ("code", "size", "repaired"),
    [
        ("Image.open(image_path).crop((280, -9, 310, 90))", (64, 90), True),
        ("Image.open(image_path).crop(box=[0, 0, 100, 100])", (100, 100), False),
        ("Image.fromarray(a[10:20, -5:100])", (100, 64), True),
        ("Image.fromarray(a[-100:-10, 10:290])", (280, 90), False),
        ("Image.fromarray(a[-90:200, 10:290])", (280, 90), False),
        ("Image.fromarray(a[:, :, ::-1][5:10, 5:10].repeat(9, 0).repeat(9, 1))", (45, 45), False),
        ("Image.fromarray(a[0:100, 0:100, :])", (100, 100), False),
        ("Image.fromarray(a[10:300, 100:400][:, ::-1])", (200, 190), True),
    ],
)
def test_boxes_in_real_blocks(
    sandbox: Sandbox, picture: Image.Image, code: str, size: tuple[int, int], repaired: bool
) -> None:
    block = (
        "from PIL import Image\nimport numpy as np\na = np.array(Image.open(image_path))\n"
        f"c = {code}\nc.save('c.png')\nprint('c.png')"
    )
    with sandbox.open(picture) as session:
        result = session.run(block)
    assert result.ok, result.error
    assert [image.size for image in result.images] == [size]
    assert bool(result.repairs) == repaired
    assert all(note.startswith("box (") for note in result.repairs)


def test_small_regions_that_are_only_measured_stay_small(
    sandbox: Sandbox, picture: Image.Image
) -> None:
    code = (
        "import numpy as np\nfrom PIL import Image\na = np.array(Image.open(image_path))\n"
        "print(a[10:20, 10:20].shape, a[:100][50:40, 10:20].size)"
    )
    with sandbox.open(picture) as session:
        result = session.run(code)
    assert result.stdout == "(10, 10, 3) 0\n"
    assert result.repairs == ()


def test_every_repair_of_a_block_is_recorded(sandbox: Sandbox, picture: Image.Image) -> None:
    code = (
        "    from PIL import Image\n"
        "image = cv4.imread('/data/street.jpg')\n"
        "c = Image.fromarray(image).crop((-1, 0, 100, 100))\n"
        "c.save('/mnt/data/temp_processed_images/c.png')\n"
        "print('/mnt/data/temp_processed_images/c.png')"
    )
    with sandbox.open(picture) as session:
        result = session.run(code)
    assert result.ok, result.error
    assert result.repairs == (
        "indentation of the first line",
        "picture path '/data/street.jpg' -> '/mnt/data/input.jpg'",
        "cv4. -> cv2.",
        "added: import cv2",
        "box (-1, 0, 100, 100) -> (0, 0, 100, 100)",
    )


def test_transparent_parts_become_white_where_a_format_has_none(
    sandbox: Sandbox, picture: Image.Image
) -> None:
    code = (
        "from PIL import Image\n"
        "half = Image.new('RGBA', (90, 80), (255, 0, 0, 255))\n"
        "half.paste((0, 0, 255, 0), (45, 0, 90, 80))\n"
        "half.save('half.jpg', quality=95)\nprint('half.jpg')"
    )
    with sandbox.open(picture) as session:
        result = session.run(code)
    (shown,) = result.images
    assert min(shown.getpixel((80, 40))) > 250
    red, green, blue = shown.getpixel((10, 40))
    assert red > 250
    assert max(green, blue) < 5


def test_a_result_saved_elsewhere_keeps_its_name_for_the_script(
    sandbox: Sandbox, picture: Image.Image
) -> None:
    code = (
        "from PIL import Image\np = '/content/a.png'\nImage.new('L', (90, 80)).save(p)\n"
        "print(Image.open(p).size, p)"
    )
    with sandbox.open(picture) as session:
        result = session.run(code)
        later = session.run("print(Image.open('/content/a.png').size)")
    assert result.stdout == "(90, 80) /mnt/data/temp_processed_images/a.png\n"
    assert [image.size for image in result.images] == [(90, 80)]
    assert later.stdout == "(90, 80)\n"


@given(st.text(max_size=200))
def test_any_text_is_mended_or_a_syntax_error(source: str) -> None:
    try:
        mended = repairs.mend(source, PATHS)
    except (SyntaxError, ValueError):
        return
    compile(routing.route(mended.tree), "block", "exec")
