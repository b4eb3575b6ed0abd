"""A reader with a browser: opens pages, clicks, types, and looks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

PROCESS = Path(__file__).with_name("browser_process.py")
SECONDS = 20.0


class Reader:
    """One window of the browser."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, *words: Any) -> Any:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        return ask(pipe_in, pipe_out, *words)

    def open(self, address: str) -> None:
        self._ask("open", address)
        self._seen()

    def _seen(self) -> None:
        """Wait for the first paint: until then a browser takes no click and no key."""
        self.wait("performance.getEntriesByType('paint').length")

    def run(self, script: str) -> Any:
        """What a script gives, as JSON."""
        found = self._ask("run", f"JSON.stringify((() => {{ {script} }})() ?? null)")
        return json.loads(found) if found else None

    def wait(self, expression: str) -> Any:
        """The expression's value, once it is true."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            script = f"const v = document.readyState === 'complete' && ({expression});"
            if found := self.run(f"{script} return v instanceof Node || v;"):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}; page: {self.text[:2000]}")

    @property
    def text(self) -> str:
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def press(self, *keys: str) -> None:
        self._seen()
        for key in keys:
            self._ask("key", key)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that fits, brought into view."""
        self._ask("click", *self._middle(selector))

    def write(self, selector: str, text: str) -> None:
        """Click into a field and type."""
        self.click(selector)
        for number, line in enumerate(text.split("\n")):
            if number:
                self.press("Enter")
            self.type(line)

    def type(self, text: str) -> None:
        """Type on one line, wherever the focus is."""
        self._ask("write", text)

    def drop(self, selector: str, path: Path) -> None:
        """Drop a file onto an element."""
        self._ask("drop", str(path), *self._middle(selector))

    def choose(self, selector: str, path: Path) -> None:
        """Choose a file in the dialogue that an element opens."""
        self._ask("choose", str(path))
        self.click(selector)

    def paste(self, path: Path) -> None:
        """Paste a picture."""
        self._seen()
        self._ask("paste", str(path))

    def _middle(self, selector: str) -> list[float]:
        """Where the middle of the first element that fits is, brought into view."""
        self._seen()
        name = json.dumps(selector)
        place: list[float] = self.wait(
            f"(() => {{ const e = document.querySelector({name}); if (!e) return null; "
            "e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'}); "
            "const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return place

    def follow(self, selector: str, then: str) -> None:
        """Click a link and wait for something of the page that it leads to."""
        self.click(selector)
        self.wait(then)

    def resize(self, width: int) -> None:
        self._ask("size", width)

    def shot(self, path: Path, *, whole: bool = False) -> None:
        self._ask("shot", str(path), whole)

    @property
    def clipboard(self) -> str:
        return str(self._ask("clipboard"))

    @property
    def console(self) -> list[str]:
        return list(self._ask("told")["console"])

    @property
    def requests(self) -> list[str]:
        return list(self._ask("told")["requests"])


def ask(pipe_in: IO[str], pipe_out: IO[str], *words: Any) -> Any:
    pipe_in.write(json.dumps(words) + "\n")
    pipe_in.flush()
    line = pipe_out.readline()
    assert line, "the browser is gone"
    return json.loads(line)


@contextlib.contextmanager
def browser(width: int, mode: str) -> Iterator[Reader]:
    """A browser window; skips where its system libraries are missing."""
    with subprocess.Popen(
        [sys.executable, PROCESS, str(width), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if not process.stdout.readline():
            why = process.stderr.read()
            if "ImportError" in why or "ModuleNotFoundError" in why:
                pytest.skip(f"the browser cannot be loaded here: {why.splitlines()[-1]}")
            raise AssertionError(why)
        try:
            yield Reader(process)
        finally:
            process.kill()


def faults(reader: Reader, axe: str) -> list[Any]:
    """What axe finds wrong with the page."""
    reader.run(axe)
    reader.run(
        "window.found = null; axe.run(document, {resultTypes: ['violations']})"
        ".then(r => { window.found = {violations: r.violations.map("
        "v => [v.id, v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)])}; });"
    )
    return list(reader.wait("window.found")["violations"])
