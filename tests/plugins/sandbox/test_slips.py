"""Slips that a person understands at once: each is mended when it runs, and noted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from PIL import Image
from speceyes_plugins.sandbox import BlockResult, Sandbox

OUT = "/mnt/data/temp_processed_images"
PICTURE = "/mnt/data/input.jpg"
START = f"from PIL import Image\nimage = Image.open('{PICTURE}')\n"
CROP = "crop = image.crop((10, 20, 110, 100))\n"
SAVED = f"crop.save('{OUT}/c.png')\n"
PRINTED = f"print('{OUT}/c.png')\n"
USUAL = START + CROP + SAVED + PRINTED


class Slip(NamedTuple):
    code: str
    notes: tuple[str, ...] = ()
    """Beginnings of what the record says, in order."""
    size: tuple[int, int] | None = (100, 80)
    """Of the one picture that comes back; None: none."""
    text: str | None = None


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:  # importing Matplotlib takes seconds on a busy machine
        yield opened


def run(sandbox: Sandbox, code: str) -> BlockResult:
    picture = Image.linear_gradient("L").resize((300, 200)).convert("RGB")
    with sandbox.open(picture) as session:
        return session.run(code)


def check(sandbox: Sandbox, slip: Slip) -> None:
    result = run(sandbox, slip.code)
    assert result.ok, result.error
    assert [image.size for image in result.images] == ([slip.size] if slip.size else [])
    if slip.text is not None:
        assert result.stdout.strip() == slip.text
    assert len(result.repairs) == len(slip.notes), result.repairs
    assert all(map(str.startswith, result.repairs, slip.notes)), result.repairs


FENCES = {
    "usual": Slip(f"\n```python\n{USUAL}```\n"),
    "py": Slip(f"```py\n{USUAL}```"),
    "bare": Slip(USUAL),
    "no_language": Slip(f"```\n{USUAL}\n```"),
    "capital": Slip(f"```Python\n{USUAL}```", ("code fence",)),
    "python3": Slip(f"```python3\n{USUAL}```", ("code fence",)),
    "blank": Slip(f"``` python \n{USUAL}```", ("code fence",)),
    "braces": Slip(f"```{{.python}}\n{USUAL}```", ("code fence",)),
    "no_end": Slip(f"```python\n{USUAL}", ("code fence",)),
    "end_only": Slip(f"{USUAL}\n```", ("code fence",)),
    "end_on_the_last_line": Slip(f"```python\n{USUAL.strip()}```", ("code fence",)),
    "four": Slip(f"````python\n{USUAL}````", ("code fence",)),
    "tildes": Slip(f"~~~python\n{USUAL}~~~", ("code fence",)),
    "tildes_no_end": Slip(f"~~~\n{USUAL}", ("code fence",)),
    "quotes": Slip(f"'''python\n{USUAL}'''", ("code fence",)),
    "windows": Slip(f"```python\n{USUAL}```".replace("\n", "\r\n")),
    "one_line": Slip("```python print(6 * 7)```", ("code fence",), None, "42"),
    "name_without_fence": Slip(f"python\n{USUAL}", ("code fence",)),
    "words_before": Slip(f"I crop it:\n```python\n{USUAL}```\nDone.", ("code fence",)),
    "words_on_its_line": Slip(f"I crop it: ```python\n{USUAL}```", ("code fence",)),
    "two": Slip(
        f"```python\n{START}```\nThen:\n```python\n{CROP + SAVED + PRINTED}```", ("code f",)
    ),
    "indented": Slip("  ```python\n  print(6 * 7)\n  ```", ("code fence", "indent"), None, "42"),
    "in_a_string": Slip('s = """\n```python\n1\n```\n"""\nprint(len(s))', (), None, "17"),
    "in_a_call": Slip("print('```')", (), None, "```"),
    "notebook": Slip(f"%matplotlib inline\n!pip install x\n{USUAL}", ("notebook",)),
    "typographic_quotes": Slip("print(“yes”)", ("unusual quotes",), None, "yes"),
    "print_statement": Slip("x = 42\nprint x", ("print as a function",), None, "42"),
    "spaces": Slip("print(6\u00a0* 7)", ("unusual spaces",), None, "42"),
}

IMPORTS = {
    "pillow": Slip(f"image = Image.open('{PICTURE}')\n" + CROP + SAVED + PRINTED, ("added: from",)),
    "opencv": Slip(
        f"image = cv2.imread('{PICTURE}')\n"
        f"cv2.imwrite('{OUT}/c.png', image[20:100, 10:110])\n{PRINTED}",
        ("added: import cv2",),
    ),
    "cv": Slip(
        f"image = cv.imread('{PICTURE}')\ncv.imwrite('{OUT}/c.png', image[20:100, 10:110])\n"
        + PRINTED,
        ("cv. -> cv2.", "added: import cv2"),
    ),
    "several": Slip(
        "print(np.sum([1]), math.pi > 3, os.sep, json.dumps(1), re.sub('a', 'b', 'a'), "
        "random.choice([1]), Path('a').name)",
        tuple(
            f"added: {statement}"
            for statement in (
                *("from pathlib import Path", "import json", "import math"),
                *("import numpy as np", "import os", "import random", "import re"),
            )
        ),
        None,
        "1 True / 1 b 1 a",
    ),
    "enhance": Slip(
        START + CROP + "crop = ImageEnhance.Contrast(crop).enhance(2)\n" + SAVED + PRINTED,
        ("added: from PIL import ImageEnhance",),
    ),
    "pyplot": Slip(
        "print(plt.__name__)",
        ("added: import matplotlib.pyplot as plt",),
        None,
        "matplotlib.pyplot",
    ),
    "in_a_function": Slip(
        "def f():\n    return math.floor(2.5)\nprint(f())", ("added: import math",), None, "2"
    ),
    "bound": Slip("re = 5\nprint(re)", (), None, "5"),
    "a_parameter": Slip("def f(np):\n    return np\nprint(f(3))", (), None, "3"),
}

BOXES = {
    "swapped": Slip(
        START + "crop = image.crop((110, 100, 10, 20))\n" + SAVED + PRINTED, ("box (110",)
    ),
    "swapped_in_one_direction": Slip(
        START + "crop = image.crop((110, 20, 10, 100))\n" + SAVED + PRINTED, ("box (110",)
    ),
    "swapped_slice": Slip(
        START + "crop = Image.fromarray(np.array(image)[100:20, 110:10])\n" + SAVED + PRINTED,
        ("added", "box (110"),
    ),
    "four_arguments": Slip(
        START + "crop = image.crop(10, 20, 110, 100)\n" + SAVED + PRINTED, ("sides of a box",)
    ),
    "corners": Slip(
        START + "crop = image.crop(((10, 20), (110, 100)))\n" + SAVED + PRINTED, ("sides of a box",)
    ),
    "float_slice": Slip(
        START
        + "crop = Image.fromarray(np.array(image)[20.0:100.0, 10.0:110.0])\n"
        + SAVED
        + PRINTED,
        ("added", "sides of a slice"),
    ),
}

FOLDERS = {
    "sub_folder": Slip(
        START + CROP + f"crop.save('{OUT}/a/b/c.png')\nprint('{OUT}/a/b/c.png')",
        (f"folder '{OUT}/a/b' made",),
    ),
    "sub_folder_opencv": Slip(
        "import cv2\n"
        f"cv2.imwrite('{OUT}/a/c.png', cv2.imread('{PICTURE}')[20:100, 10:110])\n"
        f"print('{OUT}/a/c.png')",
        ("folder",),
    ),
    "relative": Slip(
        START + CROP + "crop.save('out/c.png')\nprint(temp_output_dir + '/out/c.png')", ("folder",)
    ),
    "beside": Slip(
        START + CROP + "crop.save('/mnt/data/results/c.png')\nprint('/mnt/data/results/c.png')",
        ("folder '/mnt/data/results' made",),
    ),
    "written_by_open": Slip(
        START + CROP + f"with open('{OUT}/x/c.png', 'wb') as file:\n"
        f"    crop.save(file, 'PNG')\nprint('{OUT}/x/c.png')",
        ("folder",),
    ),
    "elsewhere": Slip(
        START + CROP + "crop.save('/content/c.png')\nprint('/content/c.png')",
        (f"result path '/content/c.png' -> '{OUT}/c.png'",),
        text=f"{OUT}/c.png",
    ),
    "elsewhere_read_again": Slip(
        START
        + CROP
        + "crop.save('/content/c.png')\nImage.open('/content/c.png').save('d.png')\nprint('d.png')",
        ("result path",),
    ),
    "elsewhere_made": Slip(
        "import os\nos.makedirs('/content/out', exist_ok=True)\n"
        + START
        + CROP
        + "crop.save('/content/out/c.png')\nprint('/content/out/c.png')",
        ("a folder outside", "result path"),
    ),
    "there_already": Slip(f"import os\nos.mkdir('{OUT}')\n" + USUAL, ("a folder that is there",)),
    "below_others": Slip(f"import os\nos.mkdir('{OUT}/p/q')\n" + USUAL, ("folder",)),
    "no_suffix": Slip(
        START + CROP + f"crop.save('{OUT}/crop')\nprint('{OUT}/crop')",
        ("a picture without a suffix",),
    ),
}

READ_CROP = CROP + SAVED + PRINTED
PATHS = {
    "imread_by_name": Slip(
        "import cv2\nimage = cv2.imread(filename='/wrong/street.jpg')\n"
        f"cv2.imwrite('{OUT}/c.png', image[20:100, 10:110])\n" + PRINTED,
        ("picture path '/wrong/street.jpg'",),
    ),
    "open_by_name": Slip(
        "from PIL import Image\nimage = Image.open(fp='street.jpg')\n" + READ_CROP,
        ("picture path",),
    ),
    "helper": Slip(
        "from PIL import Image\ndef load(path):\n    return Image.open(path)\n"
        "image = load('/wrong/street.jpg')\n" + READ_CROP,
        ("picture path '/wrong/street.jpg'",),
    ),
    "joined": Slip(
        "import os\nfrom PIL import Image\n"
        "image = Image.open(os.path.join('/wrong', 'street.jpg'))\n" + READ_CROP,
        ("picture path",),
    ),
    "pathlib": Slip(
        "from pathlib import Path\nfrom PIL import Image\n"
        "image = Image.open(Path('/wrong') / 'street.jpg')\n" + READ_CROP,
        ("picture path",),
    ),
    "path_open": Slip(
        "from pathlib import Path\nfrom PIL import Image\n"
        "image = Image.open(Path('/wrong/street.jpg').open('rb'))\n" + READ_CROP,
        ("picture path",),
    ),
    "read_bytes": Slip(
        "import io\nfrom pathlib import Path\nfrom PIL import Image\n"
        "image = Image.open(io.BytesIO(Path('/wrong/street.jpg').read_bytes()))\n" + READ_CROP,
        ("picture path",),
    ),
    "open": Slip(
        "from PIL import Image\nwith open('/wrong/street.jpg', 'rb') as file:\n"
        "    image = Image.open(file)\n    image.load()\n" + READ_CROP,
        ("picture path",),
    ),
    "fromfile": Slip(
        "import cv2, numpy as np\n"
        "image = cv2.imdecode(np.fromfile('/wrong/street.jpg', np.uint8), 1)\n"
        f"cv2.imwrite('{OUT}/c.png', image[20:100, 10:110])\n" + PRINTED,
        ("picture path",),
    ),
    "asked_whether_it_exists": Slip(
        "import os\nfrom PIL import Image\np = '/wrong/' + 'street.jpg'\n"
        "assert os.path.exists(p)\nimage = Image.open(p)\n" + READ_CROP,
        ("picture path",),
    ),
    "no_result_yet": Slip(
        f"from PIL import Image\nimage = Image.open('{OUT}/street.jpg')\n" + READ_CROP,
        ("picture path",),
    ),
    "own_result": Slip(
        START + CROP + SAVED + f"Image.open('{OUT}/c.png').save('d.png')\nprint('d.png')"
    ),
}

FORGOTTEN = {
    "processed_path": Slip(
        START + CROP + f"processed_path = '{OUT}/c.png'\ncrop.save(processed_path)",
        ("processed_path printed",),
        text=f"{OUT}/c.png",
    ),
    "processed_path_beside_words": Slip(
        START + CROP + f"processed_path = '{OUT}/c.png'\ncrop.save(processed_path)\nprint('Done.')",
        ("processed_path printed",),
        text=f"Done.\n{OUT}/c.png",
    ),
    "saved": Slip(START + CROP + SAVED, ("the path of the picture saved last printed",)),
    "saved_by_opencv": Slip(
        f"import cv2\ncv2.imwrite('{OUT}/c.png', cv2.imread('{PICTURE}')[20:100, 10:110])",
        ("the path",),
    ),
    "last_line": Slip(START + "image.size", ("the value of the last line",), None, "(300, 200)"),
    "path_on_the_last_line": Slip(
        START + CROP + f"p = '{OUT}/c.png'\nopen(p, 'wb').close()\ncrop.save(p)\np", ("the path",)
    ),
}

SCREENS = {
    "show": Slip(USUAL + "crop.show()", ("show left out",)),
    "imshow": Slip(
        USUAL + "import cv2\ncv2.imshow('w', cv2.imread(image_path))\ncv2.waitKey(0)\n"
        "cv2.destroyAllWindows()",
        ("cv2.imshow", "cv2.waitKey", "cv2.destroyAllWindows"),
    ),
    "pyplot": Slip(
        "import matplotlib.pyplot as plt\n" + USUAL + "plt.imshow(crop)\nplt.show()",
        ("show left out",),
    ),
    "display": Slip(USUAL + "display(crop)", ("display left out",)),
    "a_method_of_the_scripts_own": Slip(
        "class A:\n    def show(self):\n        return 42\nprint(A().show())", (), None, "42"
    ),
}

MODES = {
    "rgba": Slip(
        START + CROP + f"crop.convert('RGBA').save('{OUT}/c.jpg')\nprint('{OUT}/c.jpg')",
        ("a picture of mode RGBA",),
    ),
    "palette": Slip(
        START + CROP + f"crop.convert('P').save('{OUT}/c.jpg')\nprint('{OUT}/c.jpg')",
        ("a picture of mode P",),
    ),
    "float": Slip(
        START + CROP + f"crop.convert('F').save('{OUT}/c.png')\nprint('{OUT}/c.png')",
        ("a picture of mode F",),
    ),
    "cmyk": Slip(
        START + CROP + f"crop.convert('CMYK').save('{OUT}/c.png')\nprint('{OUT}/c.png')",
        ("a picture of mode CMYK",),
    ),
}

NUMBERS = {
    "resize": Slip(
        START + "crop = image.resize((image.width / 3, 80.0))\n" + SAVED + PRINTED, ("sizes",)
    ),
    "resize_opencv": Slip(
        f"import cv2\nimage = cv2.imread(image_path)\n"
        f"cv2.imwrite('{OUT}/c.png', cv2.resize(image, (100.0, 160 / 2)))\n" + PRINTED,
        ("sizes",),
    ),
    "rectangle": Slip(
        "import cv2\nimage = cv2.imread(image_path)\n"
        "cv2.rectangle(image, (10.5, 20.0), (110.2, 100.0), (0, 0, 255), 2)\nprint(image.shape)",
        ("sizes",),
        None,
        "(200, 300, 3)",
    ),
    "array_of_floats": Slip(
        "import numpy as np\nfrom PIL import Image\n"
        "crop = Image.fromarray(np.full((80, 100, 3), 300.0))\nprint(crop.getpixel((5, 5)))",
        ("an array of float64",),
        None,
        "(255, 255, 255)",
    ),
}

REMOVED = {
    "antialias": Slip(
        START + "crop = image.resize((100, 80), Image.ANTIALIAS)\n" + SAVED + PRINTED,
        ("Image.ANTIALIAS -> Image.LANCZOS",),
    ),
    "numpy": Slip(
        "import numpy as np\nprint(np.int(3.7), np.zeros(1, np.float).dtype, np.Inf)",
        ("np.Inf -> np.inf", "np.int -> np.int_", "np.float -> np.float64"),
        None,
        "3 float64 inf",
    ),
    "textsize": Slip(
        "from PIL import Image, ImageDraw\n"
        "w, h = ImageDraw.Draw(Image.new('L', (9, 9))).textsize('hello')\n"
        "print(w > h > 0)",
        (".textsize",),
        None,
        "True",
    ),
    "getsize": Slip(
        "from PIL import ImageFont\n"
        "w, h = ImageFont.load_default().getsize('hello')\nprint(w > h > 0)",
        (".getsize",),
        None,
        "True",
    ),
    "opencv": Slip("import cv2\nprint(cv2.CV_AA == cv2.LINE_AA)", ("cv2.CV_AA",), None, "True"),
    "font": Slip(
        "from PIL import ImageFont\nprint(ImageFont.truetype('arial.ttf', 20).size)",
        ("a font",),
        None,
        "20",
    ),
}

GROUPS = {
    "fence": FENCES,
    "import": IMPORTS,
    "box": BOXES,
    "folder": FOLDERS,
    "path": PATHS,
    "forgotten": FORGOTTEN,
    "screen": SCREENS,
    "mode": MODES,
    "number": NUMBERS,
    "removed": REMOVED,
}
SLIPS = {f"{group}-{name}": slip for group, slips in GROUPS.items() for name, slip in slips.items()}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_is_mended_and_noted(sandbox: Sandbox, slip: Slip) -> None:
    check(sandbox, slip)
