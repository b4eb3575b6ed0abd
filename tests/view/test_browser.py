"""The page in a real headless browser: the whole way of a reader, and who reads it how.

With SPECEYES_RECORD=FOLDER the pages are kept as pictures, step by step and at three widths.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from tests.analysis.conftest import Spec
from tests.view.browser import Reader, browser, faults
from tests.view.conftest import Shown, View, WriteRun

RECORD = os.environ.get("SPECEYES_RECORD")


def keep(reader: Reader, name: str, *, whole: bool = False) -> None:
    if RECORD:
        Path(RECORD).mkdir(parents=True, exist_ok=True)
        reader.shot(Path(RECORD) / f"{name}.png", whole=whole)


@pytest.fixture
def twelve(
    view: View, evaluate: Callable[..., Result], write_run: WriteRun, tmp_path: Path
) -> Shown:
    """Twelve runs: one real of both branches, whose draft of dot 1 is wrong, and made-up ones."""
    made = evaluate(
        *("--both-branches", "--small", "scripted?err=1", "--keep-images"),
        *("--out", "runs/both"),
    )
    assert made.exit_code == 0, made.output
    for place in range(11):
        specs = [
            Spec(0.9 + i / 300, draft_right=(i + place) % 4 > 0, agent_right=i % 7 > 0)
            for i in range(29)
        ]
        write_run(f"runs/run-{place:02d}", specs, threshold=0.9 + place / 200)
    shown = view(tmp_path / "runs")
    for place in range(11):
        shown.run(f"run-{place:02d}")
    shown.run("both")
    return shown


@pytest.fixture
def reader() -> Iterator[Reader]:
    with browser(1280, "light") as found:
        yield found


def test_a_reader_goes_all_the_way(
    twelve: Shown, reader: Reader, invoke: Callable[..., Result]
) -> None:
    both = twelve.run("both")
    reader.open(twelve.server.address)
    reader.wait("document.querySelectorAll('tbody tr').length === 12")
    assert "token" not in reader.run("return location.href")
    keep(reader, "1-runs")

    for name in ("run-03", "run-07"):
        reader.click(f"input[value='{twelve.run(name).id}']")
    reader.wait("!document.getElementById('compare').disabled")
    reader.follow("#compare", "location.pathname === '/compare'")
    assert "samples are in both" in reader.text
    keep(reader, "2-compare")

    reader.open(twelve.server.address)
    reader.follow(f"a[href='/runs/{both.id}/what-if']", "document.querySelector('.u-over')")
    reader.wait("document.getElementById('accuracy').textContent !== '–'")
    before = reader.run("return document.getElementById('coverage').textContent")
    keep(reader, "3-what-if")
    reader.click("input[type=range]")
    reader.press("ArrowLeft", "ArrowLeft")
    reader.wait(f"document.getElementById('coverage').textContent !== {before!r}")
    keep(reader, "4-slider")
    command = reader.run("return document.getElementById('command').textContent")
    reader.click("#copy")
    reader.wait("document.getElementById('copied').textContent === 'Copied.'")
    assert reader.clipboard == command

    reader.follow(".tabs a[href$='/samples']", "location.pathname.endsWith('/samples')")
    reader.open(f"{twelve.base}/runs/{both.id}/samples?kind=harm")
    reader.follow("a[data-item]", "document.querySelector('.box')")
    harm = reader.wait(
        "(() => { const i = document.querySelector('.canvas img'); "
        "const b = document.querySelector('.box').getBoundingClientRect(); "
        "const r = i.getBoundingClientRect(); return i.complete && i.naturalWidth && "
        "[b.left >= r.left, b.right <= r.right, b.width > 10, b.top >= r.top]; })()"
    )
    assert harm == [True] * 4
    assert "Accepted: harm" in reader.text
    reader.wait("[...document.images].every(i => i.complete && i.naturalWidth)")
    keep(reader, "5-harm", whole=True)

    words = shlex.split(command)
    assert words[:2] == ["speceyes", "eval"]
    done = invoke(*words[1:])
    assert done.exit_code == 0, done.output
    reader.open(f"{twelve.base}/")
    reader.wait("document.querySelectorAll('tbody tr').length === 13")
    keep(reader, "6-new-run")
    assert reader.console == []
    assert all(request.startswith(twelve.base) for request in reader.requests)


def test_a_list_grows_under_the_readers_eyes(
    view: View, write_run: WriteRun, reader: Reader, tmp_path: Path
) -> None:
    write_run("runs/first", [Spec(), Spec(0.5)])
    shown = view(tmp_path / "runs")
    shown.run("first")
    reader.open(shown.server.address)
    reader.wait("document.querySelectorAll('tbody tr').length === 1")
    reader.click("tbody input[type=checkbox]")
    reader.run("document.querySelector('tbody a').focus()")
    write_run("runs/second", [Spec()])
    reader.wait("document.querySelectorAll('tbody tr').length === 2")
    assert reader.run("return document.querySelectorAll('tbody input:checked').length") == 1
    assert reader.run("return document.activeElement.textContent") == shown.run("first").name
    assert reader.console == []


def test_keys_lead_through_the_samples(
    view: View, evaluate: Callable[..., Result], reader: Reader, tmp_path: Path
) -> None:
    assert evaluate("--out", "runs/a", "--keep-images").exit_code == 0
    shown = view(tmp_path / "runs")
    run = shown.run("a")
    reader.open(shown.server.address)
    reader.open(f"{shown.base}/runs/{run.id}/samples")
    reader.press("j", "j")
    assert reader.run("return document.activeElement.textContent") == "near/dot-1"
    reader.press("Enter")
    reader.wait("document.querySelector('h1').textContent === 'near/dot-1'")
    for key, name in (("j", "near/dot-2"), ("ArrowRight", "near/dot-3"), ("k", "near/dot-2")):
        reader.press(key)
        reader.wait(f"document.querySelector('h1').textContent === '{name}'")
    reader.click(".frame")
    wide = reader.run("return document.querySelector('.canvas').clientWidth")
    reader.click("[data-zoom=in]")
    reader.wait(f"document.querySelector('.canvas').clientWidth > {wide}")
    reader.click("[data-zoom=fit]")
    reader.wait(f"document.querySelector('.canvas').clientWidth === {wide}")
    reader.press("u")
    reader.wait("location.pathname.endsWith('/samples')")
    assert reader.console == []


@pytest.mark.parametrize(("width", "mode"), [(390, "dark"), (820, "light"), (1440, "dark")])
def test_every_page_can_be_read_by_everyone(twelve: Shown, width: int, mode: str, axe: str) -> None:
    both, other = twelve.run("both"), twelve.run("run-03")
    pages = {
        "runs": "",
        "run": f"runs/{both.id}",
        "what-if": f"runs/{both.id}/what-if",
        "samples": f"runs/{both.id}/samples",
        "sample": f"runs/{both.id}/samples/{twelve.place('both', 'dot-0')}",
        "compare": f"compare?run={both.id}&run={other.id}",
        "told": "compare",
    }
    with browser(width, mode) as reader:
        reader.open(twelve.server.address)
        for name, path in pages.items():
            reader.open(f"{twelve.base}/{path}")
            reader.wait("[...document.images].every(i => i.complete)")
            if name in ("run", "what-if"):
                reader.wait("document.querySelector('.u-over')")
            assert reader.run("return document.documentElement.scrollWidth") <= width, name
            assert reader.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (
                mode == "dark"
            )
            assert faults(reader, axe) == [], name
            keep(reader, f"{name}-{width}-{mode}", whole=True)
        expected = [line for line in reader.console if "422" not in line]
        assert expected == []
