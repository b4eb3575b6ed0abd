"""The page in a real headless browser.

With SPECEYES_RECORD=FOLDER pictures of it are kept, at three widths.
"""

from __future__ import annotations

import base64
import os
import re
import signal
from pathlib import Path

import httpx2 as httpx
import pytest
from speceyes_example.scripted import SURE

from tests.faults.conftest import Start, start
from tests.serve.conftest import Serve, Served, eventually
from tests.serve.conftest import ask as body
from tests.serve.page.conftest import Photo
from tests.view.browser import Reader, browser, faults

__all__ = ["start"]

RECORD = os.environ.get("SPECEYES_RECORD")
MARKUP = "dot 2 <img src=x onerror=alert(1)><script>document.title='taken'</script>"
ANSWERED = "document.getElementById('answer')"


def keep(reader: Reader, name: str) -> None:
    if RECORD:
        Path(RECORD).mkdir(parents=True, exist_ok=True)
        reader.shot(Path(RECORD) / f"{name}.png", whole=True)


def ask(reader: Reader, question: str, options: list[str] | None = None) -> None:
    reader.wait("document.getElementById('image').naturalWidth > 0")
    reader.write("#question", question)
    if options:
        reader.write("#options", "\n".join(options))
    reader.click("#ask")


def find(served: Served, needle: Photo, route: str) -> tuple[Path, str, list[str]]:
    """The first question that is answered so; by the agent: after it looked at something."""
    for seed in range(20):
        path, question, options = needle(seed)
        url = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        text = "\n".join([question, "Options:", *options])
        answer = httpx.post(f"{served.url}/v1/chat/completions", json=body(text, url), timeout=60)
        decision = answer.json()["speceyes"]
        if decision["route"] == route and (route == "small" or decision["turns"] > 1):
            return path, question, options
    raise AssertionError(f"none of the questions is answered by the {route} model")


def test_a_dropped_photo_whose_draft_is_accepted(
    serve: Serve, reader: Reader, needle: Photo
) -> None:
    served = serve("embedded", agent="deepeyes", page=True)
    path, question, options = find(served, needle, "small")
    reader.open(f"{served.url}/")
    reader.drop(".drop", path)
    ask(reader, question, options)
    reader.wait(ANSWERED)
    assert reader.run("return document.querySelectorAll('.tokens tbody tr').length") >= 1
    text = reader.text
    assert "no tool is needed, on to the draft" in text
    assert re.search(r"min: 0\.\d{4} > 0\.98: accepted", text)
    assert "small: the draft" in text
    assert "Answered by the small model." in text
    assert reader.run("return document.querySelectorAll('.box').length") == 0
    keep(reader, "accepted")
    assert reader.console == []
    assert {request.partition("?")[0] for request in reader.requests if "blob:" not in request} == {
        f"{served.url}/",
        f"{served.url}/v1/chat/completions",
    }


def test_a_draft_that_a_tie_turned_away_says_so(
    serve: Serve, reader: Reader, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speceyes_example.scripted.SURE", SURE._replace(margin=0.0))
    served = serve(page=True, screen="none")
    reader.open(f"{served.url}/")
    reader.choose(".drop", photo)
    ask(reader, "What colour is dot 1?")
    reader.wait(ANSWERED)
    told = r"0\.\d{4} > 0\.98, but a tie of two logits decided a token: turned away"
    assert re.search(told, reader.text)


def test_a_question_that_falls_back_shows_boxes_and_crops(
    serve: Serve, reader: Reader, needle: Photo
) -> None:
    served = serve("embedded", agent="deepeyes", page=True, threshold=0.9999999)
    path, question, options = find(served, needle, "large")
    reader.open(f"{served.url}/")
    reader.choose(".drop", path)
    ask(reader, question, options)
    reader.wait(ANSWERED)
    text = reader.text
    assert "turned away, the agent answers" in text
    assert "large: the agent" in text
    inside = reader.wait(
        "(() => { const i = document.getElementById('image').getBoundingClientRect(); "
        "const all = [...document.querySelectorAll('.box')].map(b => b.getBoundingClientRect()); "
        "return all.length && all.map(b => b.left >= i.left - 3 && b.right <= i.right + 3 && "
        "b.top >= i.top - 3 && b.bottom <= i.bottom + 3 && b.width > 5); })()"
    )
    assert all(inside)
    assert reader.run("return document.querySelectorAll('.tag').length") == len(inside)
    assert reader.wait(
        "document.querySelectorAll('.turn .crop').length && "
        "[...document.querySelectorAll('.turn .crop')].every(i => i.naturalWidth > 0)"
    )
    assert reader.run("return document.querySelector('.thought').textContent.length") > 10
    assert re.search(r"an estimate from \d+ answers? of the agent", text)
    keep(reader, "fallback")
    assert reader.console == []


def test_what_is_said_is_never_markup(serve: Serve, reader: Reader, photo: Path) -> None:
    served = serve(page=True, served_name="<i>model</i>")
    reader.open(f"{served.url}/")
    reader.paste(photo)
    ask(reader, MARKUP, ["<b>red</b>", "<svg onload=alert(1)>"])
    reader.wait(ANSWERED)
    assert "taken" not in reader.run("return document.title")
    assert (
        reader.run("return document.querySelectorAll('#decision script, #decision b').length") == 0
    )
    assert "<i>model</i>" in reader.text
    assert reader.console == []


def test_cancelling_drops_the_question_and_another_can_be_asked(
    serve: Serve, reader: Reader, photo: Path
) -> None:
    served = serve("scripted?delay=1", page=True)
    reader.open(f"{served.url}/")
    reader.choose(".drop", photo)
    ask(reader, "dot 2")
    reader.wait("document.getElementById('draft')")
    reader.drop(".drop", photo)
    assert "before you choose another picture" in reader.text
    reader.click("#cancel")
    reader.wait("document.getElementById('state').textContent === 'Cancelled.'")
    assert eventually(lambda: served.queue.live == 0 and served.queue.waiting == 0)
    assert not reader.run(f"return {ANSWERED} !== null")
    assert not reader.run("return document.getElementById('ask').disabled")
    reader.click("#question")
    reader.run("document.getElementById('question').value = 'dot 1'")
    reader.click("#ask")
    reader.wait(ANSWERED)
    assert "green" in reader.run("return document.querySelector('.answer').textContent")
    assert reader.console == []


def test_a_wrong_key_is_said_and_the_right_one_is_kept_nowhere(
    serve: Serve, reader: Reader, photo: Path
) -> None:
    served = serve(page=True, serve_api_key="right-key")
    reader.open(f"{served.url}/")
    reader.choose(".drop", photo)
    reader.write("#question", "dot 1")
    for key in ("", "wrong", "schlüssel"):
        reader.run(f"document.getElementById('key').value = {key!r}")
        reader.click("#ask")
        reader.wait("document.getElementById('trouble').textContent.includes('key is missing or')")
        assert reader.run("return document.activeElement.id") == "key"
        assert reader.run("return document.getElementById('key').ariaInvalid") == "true"
    reader.run("document.getElementById('key').value = ''")
    reader.write("#key", "right-key")
    reader.click("#ask")
    reader.wait(ANSWERED)
    assert reader.run("return document.getElementById('trouble').textContent") == ""
    kept = "return JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    assert "right-key" not in reader.run(kept)
    assert "right-key" not in reader.run("return document.documentElement.outerHTML")
    reader.open(f"{served.url}/")
    assert reader.run("return document.getElementById('key').value") == ""
    assert [line for line in reader.console if "401" not in line] == []


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_stops_midway_is_said(
    start: Start, reader: Reader, photo: Path, kind: signal.Signals
) -> None:
    model = "scripted?delay=1.5"
    program = start(
        *("serve", "--agent", "looker", "--small", model, "--large", model, "--page"),
        *("--port", "0", "--stop-seconds", "0"),
    )
    try:
        assert program.stderr is not None
        address = next(
            found[0] for line in program.stderr if (found := re.search(r"http://\S+/$", line))
        )
        reader.open(address)
        reader.choose(".drop", photo)
        ask(reader, "dot 2")
        reader.wait("document.getElementById('draft')")
        program.send_signal(kind)
        reader.wait("document.getElementById('trouble').textContent")
        assert "stop" in reader.run("return document.getElementById('trouble').textContent")
        assert not reader.run("return document.getElementById('ask').disabled")
        program.wait(20)
        reader.click("#ask")
        reader.wait("document.getElementById('trouble').textContent.includes('cannot be reached')")
    finally:
        program.kill()
        program.communicate()


def test_what_is_missing_is_said(serve: Serve, reader: Reader, photo: Path, tmp_path: Path) -> None:
    served = serve(page=True)
    reader.open(f"{served.url}/")
    reader.click("#ask")
    reader.wait("document.getElementById('trouble').textContent === 'Choose a picture first.'")
    words = tmp_path / "words.txt"
    words.write_text("no picture")
    reader.drop(".drop", words)
    reader.wait("document.getElementById('trouble').textContent === 'That is no picture.'")
    reader.choose(".drop", photo)
    reader.click("#ask")
    reader.wait("document.getElementById('trouble').textContent === 'Write a question.'")
    assert reader.run("return document.activeElement.id") == "question"
    ask(reader, "dot 1", ["x"] * 27)
    reader.wait("document.getElementById('trouble').textContent === '26 options are the most.'")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(photo.read_bytes()[:40])
    reader.drop(".drop", damaged)
    reader.wait("document.getElementById('caption').textContent.includes('cannot show')")
    reader.run("document.getElementById('options').value = ''")
    reader.click("#ask")
    reader.wait("document.getElementById('trouble').textContent.includes('cannot be used')")


def test_keys_alone_ask_a_question(serve: Serve, reader: Reader, photo: Path) -> None:
    served = serve(page=True, serve_api_key="k")
    reader.open(f"{served.url}/")
    reader.paste(photo)
    reader.wait("document.getElementById('image').naturalWidth > 0")
    passed: list[str] = []
    while passed[-1:] != ["ask"] and len(passed) < 20:
        reader.press("Tab")
        passed.append(reader.run("return document.activeElement.id"))
        reader.type({"question": "dot 1", "key": "k"}.get(passed[-1], ""))
    assert [name for name in passed if name] == ["file", "question", "options", "key", "ask"]
    reader.press("Space")
    reader.wait(ANSWERED)
    assert reader.console == []


@pytest.mark.parametrize(("width", "mode"), [(390, "dark"), (820, "light"), (1440, "dark")])
def test_it_can_be_read_by_everyone(
    serve: Serve, width: int, mode: str, axe: str, needle: Photo
) -> None:
    served = serve("embedded", agent="deepeyes", page=True, threshold=0.9999999, serve_api_key="k")
    path, question, options = needle(0)
    with browser(width, mode) as reader:
        reader.open(f"{served.url}/")
        assert faults(reader, axe) == []
        keep(reader, f"empty-{width}-{mode}")
        reader.choose(".drop", path)
        reader.write("#key", "k")
        reader.write("#question", question)
        reader.write("#options", "\n".join(options))
        reader.run("document.getElementById('options').blur()")
        reader.click("#ask")
        reader.wait(ANSWERED)
        assert reader.run("return document.documentElement.scrollWidth") <= width
        assert faults(reader, axe) == []
        keep(reader, f"answered-{width}-{mode}")
        assert reader.console == []
