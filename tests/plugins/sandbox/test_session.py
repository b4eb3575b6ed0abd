"""Sessions: their results, their state, their separation, and what they leave behind (nothing)."""

from __future__ import annotations

import concurrent.futures
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from speceyes_plugins.sandbox import Sandbox, SandboxLimits, SandboxRefusedError

CROP = """
from PIL import Image
import os
img = Image.open(image_path)
path = os.path.join(temp_output_dir, "crop.png")
img.crop((10, 20, 110, 100)).save(path)
print(path)
"""


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def soon(condition: Any) -> bool:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_crop_comes_back_as_a_picture(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as session:
        result = session.run(CROP)
    assert result.ok, result.error
    assert result.stdout == "/mnt/data/temp_processed_images/crop.png\n"
    assert [image.size for image in result.images] == [(100, 80)]
    assert result.images[0].tobytes() == picture.crop((10, 20, 110, 100)).tobytes()
    assert result.repairs == ()
    assert 0 < result.seconds < 3


def test_trained_paths_work_as_the_prompt_gives_them(sandbox: Sandbox) -> None:
    code = (
        "import cv2, os\n"
        "os.makedirs('/mnt/data/temp_processed_images', exist_ok=True)\n"
        "image = cv2.imread('/mnt/data/input.jpg')\n"
        "name = 'a'\n"
        "cv2.imwrite(f'/mnt/data/temp_processed_images/{name} b.jpg', image)\n"
        "print('/mnt/data/temp_processed_images/a b.jpg')\n"
        "print(f'see {image_path} and {temp_output_dir}')"
    )
    with sandbox.open(Image.new("RGB", (90, 70), "red")) as session:
        assert session.image_path == "/mnt/data/input.jpg"
        assert session.temp_output_dir == "/mnt/data/temp_processed_images"
        result = session.run(code)
    assert result.ok, result.error
    assert [image.size for image in result.images] == [(90, 70)]
    assert "see /mnt/data/input.jpg and /mnt/data/temp_processed_images" in result.stdout
    assert str(sandbox._folder) not in result.stdout


@pytest.mark.parametrize(
    "found",
    [
        "'/mnt/data/input.jpg'",
        "os.path.join('/mnt/data', 'input.jpg')",
        "os.path.join('/mnt/data', os.listdir('/mnt/data')[0])",
        "glob.glob('/mnt/data/*.jpg')[0]",
        "next(Path('/mnt/data').glob('*.jpg'))",
        "f'/mnt/data/{\"input\"}.jpg'",
    ],
)
def test_the_picture_lies_where_the_model_was_told(
    sandbox: Sandbox, picture: Image.Image, found: str
) -> None:
    code = (
        "import glob, os\nfrom pathlib import Path\nfrom PIL import Image\n"
        "os.rmdir(temp_output_dir)\n"  # listing the folder gives the picture alone
        f"p = {found}\nprint(os.path.exists(p), Image.open(p).size, p)"
    )
    with sandbox.open(picture) as session:
        result = session.run(code)
    assert result.stdout == "True (300, 200) /mnt/data/input.jpg\n", result.error
    assert result.repairs == ()


@pytest.mark.parametrize(
    "write",
    ["open(p, 'wb')", "Image.new('L', (9, 9)).save(p)", "Image.new('L', (9, 9)).save(image_path)"],
)
def test_the_picture_cannot_be_overwritten(
    sandbox: Sandbox, picture: Image.Image, write: str
) -> None:
    start = "import os\nfrom PIL import Image\np = os.path.join('/mnt/data', 'input.jpg')\n"
    with sandbox.open(picture) as session:
        result = session.run(start + write)
        assert result.error is not None
        assert "PermissionError" in result.error.text
        assert session.run("print(Image.open(image_path).size)").stdout == "(300, 200)\n"


def test_several_pictures_come_back_in_the_order_printed(
    sandbox: Sandbox, picture: Image.Image
) -> None:
    code = (
        "from PIL import Image\npaths = []\n"
        "for side in (70, 80, 90):\n"
        "    paths.append(f'{temp_output_dir}/{side}.png')\n"
        "    Image.new('RGB', (side, side)).save(paths[-1])\n"
        "print(paths[::-1]); print('and', paths[0] + '.')"
    )
    with sandbox.open(picture) as session:
        sizes = [image.width for image in session.run(code).images]
    assert sizes == [90, 80, 70]


def test_text_comes_back_without_control_characters(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as session:
        result = session.run("print('\\x1b[31mred\\x00\\x9b\\u202e\\ud800', 4, sep='\\t')")
    assert result.ok
    assert result.stdout == "[31mred?\t4\n"


def test_variables_persist_from_block_to_block(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as session:
        session.run("x = 41; print(x)")
        assert session.run("x += 1; print(x)").stdout == "42\n"


def test_fresh_state_keeps_files_but_no_variables(picture: Image.Image) -> None:
    with Sandbox(state="fresh") as sandbox, sandbox.open(picture) as session:
        session.run("x = 1; open('kept', 'w').write('kept'); print(x)")
        result = session.run("print(open('kept').read(), 'x' in globals())")
        assert result.stdout == "kept False\n"


def test_runs_are_repeatable(sandbox: Sandbox, picture: Image.Image) -> None:
    code = "import random, numpy\nprint(random.random(), numpy.random.rand(), {'a', 'b', 'c', 'd'})"
    outputs = set()
    for _ in range(3):
        with sandbox.open(picture) as session:
            outputs.add(session.run(code).stdout)
    assert len(outputs) == 1


def test_session_goes_on_after_its_worker_was_killed(picture: Image.Image) -> None:
    with Sandbox(limits=SandboxLimits(seconds=0.5)) as sandbox, sandbox.open(picture) as session:
        session.run("x = 1; open('kept', 'w').write('kept'); print(x)")
        stopped = session.run("while True: pass")
        assert stopped.error is not None
        assert stopped.error.kind == "timeout"
        assert "lost" in stopped.error.text
        assert session.run("print(open('kept').read(), 'x' in globals())").stdout == "kept False\n"


def test_two_sessions_do_not_see_each_other(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as one, sandbox.open(picture) as two:
        one.run("SECRET = 1; open('mine', 'w').write('secret'); print(1)")
        place, pid = one._paths.output, one._worker._pid  # type: ignore[union-attr]
        assert two.run("print('SECRET' in globals())").stdout == "False\n"
        assert two.run("import os; print(os.listdir('.'))").stdout == "[]\n"
        for attempt in (
            f"print(open({place!r} + '/mine').read())",
            f"import os; print(os.listdir({place!r}))",
            f"open({place!r} + '/theirs', 'w'); print(1)",
            f"import os; os.kill({pid}, 9); print(1)",
            f"print(open('/proc/{pid}/status').read())",
            f"print(open({one._paths.picture!r}, 'rb').read(1))",
        ):
            result = two.run(attempt)
            assert result.error is not None
            assert "PermissionError" in result.error.text
        assert one.run("print(open('mine').read(), SECRET)").stdout == "secret 1\n"


def test_between_blocks_a_worker_stands_still(sandbox: Sandbox, picture: Image.Image) -> None:
    with sandbox.open(picture) as session:
        session.run("print(1)")
        stat = Path(f"/proc/{session._worker._pid}/stat")  # type: ignore[union-attr]
        assert soon(lambda: stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T")
        assert session.run("print(2)").stdout == "2\n"


def test_200_trajectories_leave_nothing_behind(sandbox: Sandbox, picture: Image.Image) -> None:
    def trajectory(number: int) -> bool:
        with sandbox.open(picture) as session:
            if number % 20 == 0:  # some end badly
                session.run("import os; os._exit(3)")
            result = session.run(CROP)
            return result.ok and len(result.images) == 1

    zygote, before = sandbox._zygote.pid, descriptors()
    workers = len(children(zygote))
    held = len(list(Path(f"/proc/{zygote}/fd").iterdir()))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(trajectory, range(200)))
    assert soon(lambda: len(children(zygote)) == workers)
    assert soon(lambda: len(list(Path(f"/proc/{zygote}/fd").iterdir())) == held)
    assert descriptors() == before
    assert list(sandbox._folder.iterdir()) == []


def test_closing_the_sandbox_ends_everything(picture: Image.Image) -> None:
    before = descriptors()
    sandbox = Sandbox()
    session = sandbox.open(picture)
    pids = [sandbox._zygote.pid, session._worker._pid]  # type: ignore[union-attr]
    session.run("print(1)")
    sandbox.close()
    assert soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert not sandbox._folder.exists()
    session.close()
    sandbox.close()
    assert descriptors() == before


def test_no_room_for_a_sessions_files_is_a_refusal_by_name(
    sandbox: Sandbox, picture: Image.Image
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(SandboxRefusedError, match="a session's files: "):
            sandbox.open(picture)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(sandbox._folder.iterdir()) == []


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "F"])
def test_pictures_of_every_mode(sandbox: Sandbox, mode: str) -> None:
    with sandbox.open(Image.new(mode, (80, 70))) as session:
        result = session.run("import cv2; print(cv2.imread(image_path).shape)")
    assert result.stdout == "(70, 80, 3)\n"


def test_unsafe_warns_every_time(caplog: pytest.LogCaptureFixture) -> None:
    for count in (1, 2):
        with Sandbox(backend="unsafe-subprocess"):
            pass
        warned = [record for record in caplog.records if "sandbox is off" in record.message]
        assert len(warned) == count


def test_works_from_a_folder_that_is_gone(
    picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with Sandbox() as sandbox, sandbox.open(picture) as session:
        assert session.run("print(1)").ok
    os.chdir(tmp_path)


def test_a_worker_holds_nothing_of_the_program(sandbox: Sandbox, picture: Image.Image) -> None:
    code = (
        "import sys\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('pydantic', 'torch', 'typer')\n"
        "    or m.startswith('speceyes') and not m.startswith('speceyes_plugins.sandbox')))\n"
        "print([m for m in sys.modules if 'sandbox.parent' in m])"
    )
    with sandbox.open(picture) as session:
        assert session.run(code).stdout == "['speceyes_plugins']\n[]\n"
