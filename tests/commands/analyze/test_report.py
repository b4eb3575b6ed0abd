"""The report, read as text and in a real headless browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from typer.testing import Result

from speceyes_cli.analysis.report.page import TERMS
from speceyes_cli.core.run.records import Record
from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun

Invoke = Callable[..., Result]
BROWSER = Path(__file__).parents[2] / "analysis" / "browser.py"
MIXED = [Spec(0.9 + place / 300, draft_right=place % 4 > 0) for place in range(29)]
EVIL = '<b>bold</b><script>alert(1)</script><img src="http://speceyes.invalid/x.png">\x1b[2J'


def spoil(record: Record) -> Record:
    assert record.draft is not None
    return record.model_copy(
        update={"question": EVIL, "draft": record.draft.model_copy(update={"text": EVIL})}
    )


@pytest.fixture
def page(invoke: Invoke, write_run: WriteRun, tmp_path: Path) -> Path:
    """A report of two runs that differ in their threshold; questions hold HTML."""
    for threshold in (0.95, 0.98):
        write_run(f"runs/{threshold}", MIXED, spoil, threshold=threshold)
    done = invoke("analyze", "report", str(tmp_path / "runs"), "-o", "page.html")
    assert done.exit_code == 0, done.output
    return tmp_path / "page.html"


def test_text_of_models_stays_text(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert "<b>" not in html
    assert "\x1b" not in html
    for part in ("AUROC", "Risk and coverage", "Accuracy and speedup by threshold", "harm"):
        assert part in html
    assert "The dataset no longer holds this sample." in html or "cannot be had" in html


def test_two_runs_of_one_name_are_told_apart(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        write_run(f"{folder}/run", MIXED)
    done = invoke("analyze", "report", "one", "two", "-o", "page.html")
    assert done.exit_code == 0, done.output
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    for folder in ("one", "two"):
        assert f">{folder}/run</h2>" in html
        assert html.count(f">{folder}/run</a>") == 2


def test_pictures_come_from_the_dataset_and_from_the_run(
    invoke: Invoke, evaluate: Invoke, tmp_path: Path
) -> None:
    failing = ("--small", "scripted?fail=1,4", "--max-errors", "9")
    for name, options in (("fresh", ()), ("kept", ("--keep-images",))):
        assert evaluate(*failing, *options, "--out", f"runs/{name}").exit_code == 0
        done = invoke("analyze", "report", f"runs/{name}", "-o", f"{name}.html")
        assert done.exit_code == 0, done.output
        html = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert html.count('src="data:image/jpeg;base64,') >= 2
        assert "ValueError: dot 1 is not for me" in html
        assert "only the accepted ones, which tells nothing of the others." in html
        assert "speceyes eval" not in html.partition("<details>")[0]  # no advice to who ran it


def test_runs_stand_side_by_side_first_and_words_are_explained(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    main = html[html.index("<main") :]
    assert main.index("Side by side") < main.index('id="run-1"')
    first = main[: main.index('id="run-1"')]
    assert first.count("<tr>") == 1 + 2
    for word in ("α", "β", "K"):
        assert f'<abbr title="{escape(TERMS[word])}">{word}</abbr>' in first
        assert f"<dt>{word}</dt><dd>{escape(TERMS[word])}</dd>" in first
    assert "<details open" not in html


def test_samples_are_shown_by_kind(invoke: Invoke, write_run: WriteRun, tmp_path: Path) -> None:
    specs = [
        Spec(0.99, draft_right=True, agent_right=False),
        Spec(0.985, draft_right=False, agent_right=True),
        Spec(0.99, draft_right=False, agent_right=False),
        Spec(0.5, agent_right=False),
        Spec(0.99, seconds=(0.1, 0.1, 9.0)),
        Spec(failed=True),
        Spec(0.98),
        *[Spec(0.97 + place / 1000) for place in range(9)],
    ]

    def change(record: Record) -> Record:
        if record.sample_id != "s6":
            return record
        assert record.verdict is not None
        return record.model_copy(
            update={"verdict": record.verdict.model_copy(update={"right": None})}
        )

    write_run("a", specs, change)
    done = invoke("analyze", "report", "a", "-o", "page.html", "--samples", "2")
    assert done.exit_code == 0, done.output
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    kinds = re.findall(
        r"<h4>([^<]+) <small>(\d+) of (\d+)</small>(.*?)(?=<h4>\w+ |<h3>)", html, re.DOTALL
    )
    found = {
        title: (int(of), re.findall(r"<h5>test / (s\d+)<", body)) for title, _, of, body in kinds
    }
    assert found["Gains"] == (1, ["s0"])
    assert found["Harms"] == (1, ["s1"])
    assert found["Wrong drafts"] == (2, ["s2"])
    assert found["Wrong answers of the agent"] == (1, ["s3"])
    assert found["Undecided"] == (1, ["s6"])
    assert found["Failures"] == (1, ["s5"])
    assert found["Slowest"][1][0] == "s4"
    assert len(found["Slowest"][1]) == 2


def test_nothing_is_overwritten_when_a_run_is_bad(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path
) -> None:
    run = write_run("a", MIXED)
    (tmp_path / "page.html").write_text("mine")
    for arguments, told in (
        (("nowhere",), "does not exist"),
        ((str(run), "-o", "none/page.html"), "in no folder that exists"),
        ((str(run), "-o", "."), "is a folder"),
    ):
        done = invoke("analyze", "report", "-o", "page.html", *arguments)
        assert done.exit_code == 2
        assert told in done.stderr
    assert (tmp_path / "page.html").read_text() == "mine"


@pytest.mark.parametrize(("width", "mode"), [(390, "light"), (1200, "dark")])
def test_in_a_browser(page: Path, width: int, mode: str) -> None:
    told = browse(page, width, mode)
    assert told["loaded"]
    assert told["console"] == []
    assert told["requests"] == [page.as_uri()]
    assert len(told["figures"]) == 2 * 6 + 1
    assert all(wide > 200 and high > 100 for wide, high in told["figures"])
    assert all(min(size) > 0 for size in told["images"])
    assert told["unnamed"] == 0
    assert told["scripts"] == told["bold"] == 0
    assert "alert(1)" in told["text"]
    assert len(told["ids"]) == len(set(told["ids"]))
    assert told["scroll"] <= told["width"]  # nothing sticks out sideways
    assert told["dark"] == (mode == "dark")
    light_ink = sum(channels(told["ink"])) > sum(channels(told["ground"]))
    assert light_ink == (mode == "dark")


def browse(page: Path, width: int, mode: str) -> dict[str, Any]:
    """What the browser found; skips where there is none or its system libraries are missing."""
    done = subprocess.run(
        [sys.executable, BROWSER, page, str(width), mode],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr:
        why = done.stderr.splitlines()[-1]
        pytest.skip(f"the browser of pyqt6-webengine cannot be loaded here: {why}")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def channels(colour: str) -> list[int]:
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")[:3]]


def test_a_place_that_cannot_be_written_is_one_sentence(
    invoke: Invoke, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run("runs/a", MIXED)
    (tmp_path / "taken").write_text("")
    (tmp_path / "page.html").mkdir()
    for command, out in (("report", "page.html"), ("confidence", "taken/figures")):
        done = invoke("analyze", command, "runs/a", "--out", out)
        assert done.exit_code == 2, done.output
        assert len(done.stderr.splitlines()) == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["page.html", "runs", "taken"]
