"""A real headless browser that does what it is told: one JSON line in, one JSON line out.

Started as `browser_process.py WIDTH light|dark`. Clicks and keys are events of the window, as a
mouse and a keyboard make them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

WIDTH, MODE = int(sys.argv[1]), sys.argv[2]
DARK = " --blink-settings=preferredColorScheme=0" if MODE == "dark" else ""
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = f"--no-sandbox --disable-gpu{DARK}"
# ruff: noqa: E402 - Qt reads its environment when imported
from PyQt6.QtCore import QMimeData, QPoint, QPointF, QSocketNotifier, Qt, QTimer, QUrl
from PyQt6.QtGui import (
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
)
from PyQt6.QtTest import QTest
from PyQt6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineSettings,
    QWebEngineUrlRequestInterceptor,
)
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

NAMES = {"Enter": "Return", "ArrowRight": "Right", "ArrowLeft": "Left", "+": "Plus", "-": "Minus"}
Answer = Callable[[Any], None]


class Page(QWebEnginePage):
    def __init__(self, profile: QWebEngineProfile, view: QWebEngineView) -> None:
        super().__init__(profile, view)
        self.console: list[str] = []
        self.files: list[str] = []

    def javaScriptConsoleMessage(self, _: Any, message: str, line: int, source: str) -> None:  # noqa: N802 - Qt's name
        self.console.append(f"{source}:{line}: {message}")

    def chooseFiles(self, *_: Any) -> list[str]:  # noqa: N802 - the same
        return self.files


class Watch(QWebEngineUrlRequestInterceptor):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def interceptRequest(self, info: Any) -> None:  # noqa: N802 - Qt's name
        self.requests.append(info.requestUrl().toString())


class Browser:
    def __init__(self) -> None:
        self.profile = QWebEngineProfile()
        self.watch = Watch()
        self.profile.setUrlRequestInterceptor(self.watch)
        self.view = QWebEngineView()
        self.page = Page(self.profile, self.view)
        self.view.setPage(self.page)
        settings = self.page.settings()
        allowed = QWebEngineSettings.WebAttribute.JavascriptCanAccessClipboard
        settings.setAttribute(allowed, True)
        self.view.resize(WIDTH, 900)
        self.view.show()

    @property
    def window(self) -> Any:
        return self.view.focusProxy() or self.view

    def open(self, answer: Answer, address: str) -> None:
        def loaded(ok: bool) -> None:
            self.page.loadFinished.disconnect(loaded)
            answer(ok)

        self.page.loadFinished.connect(loaded)
        self.view.load(QUrl(address))

    def run(self, answer: Answer, script: str) -> None:
        self.page.runJavaScript(script, answer)

    def click(self, answer: Answer, x: float, y: float) -> None:
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(self.window, left, none, QPoint(int(x), int(y)))
        QTimer.singleShot(100, lambda: answer(None))

    def key(self, answer: Answer, name: str) -> None:
        name = NAMES.get(name, name)
        QTest.keyClick(
            self.window, getattr(Qt.Key, f"Key_{name if len(name) > 1 else name.upper()}")
        )
        QTimer.singleShot(100, lambda: answer(None))

    def write(self, answer: Answer, text: str) -> None:
        QTest.keyClicks(self.window, text)
        QTimer.singleShot(100, lambda: answer(None))

    def choose(self, answer: Answer, path: str) -> None:
        """The file that the next dialogue gives."""
        self.page.files = [path]
        answer(None)

    def paste(self, answer: Answer, path: str) -> None:
        """Paste a picture, as after copying it."""
        board = QGuiApplication.clipboard()
        assert board is not None
        board.setImage(QImage(path))
        self.page.triggerAction(QWebEnginePage.WebAction.Paste)
        QTimer.singleShot(300, lambda: answer(None))

    def drop(self, answer: Answer, path: str, x: float, y: float) -> None:
        """Drag a file into the window and drop it."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(path)])
        place, action = QPoint(int(x), int(y)), Qt.DropAction.CopyAction
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        events = [
            QDragEnterEvent(place, action, data, left, none),
            QDragMoveEvent(place, action, data, left, none),
            QDropEvent(QPointF(place), action, data, left, none),
        ]

        def send() -> None:
            """The next event: the page answers each before it takes another."""
            if not events:
                answer(None)
                return
            QApplication.sendEvent(self.view, events.pop(0))
            QTimer.singleShot(200, send)

        self.dragged = data  # as long as the events that name it
        send()

    def shot(self, answer: Answer, path: str, whole: bool) -> None:
        """A picture of the window, or of the whole page."""

        def grab(height: Any) -> None:
            size = self.view.size()
            if whole:
                self.view.resize(size.width(), min(int(height), 12_000))

            def save() -> None:
                self.view.grab().save(path)
                self.view.resize(size)
                answer(None)

            QTimer.singleShot(1500 if whole else 300, save)

        self.page.runJavaScript("document.documentElement.scrollHeight", grab)

    def clipboard(self, answer: Answer) -> None:
        board = QGuiApplication.clipboard()
        answer(board.text() if board is not None else None)

    def told(self, answer: Answer) -> None:
        answer({"console": self.page.console, "requests": self.watch.requests})

    def size(self, answer: Answer, width: int) -> None:
        self.view.resize(width, 900)
        QTimer.singleShot(300, lambda: answer(None))


def main() -> None:
    app = QApplication(sys.argv[:1])
    browser = Browser()

    def answer(value: Any) -> None:
        print(json.dumps(value), flush=True)  # noqa: T201 - what it is for

    def act(*_: Any) -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)  # Qt's teardown order is no concern of the test
        what, *values = json.loads(line)
        getattr(browser, what)(answer, *values)

    notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
    notifier.activated.connect(act)
    answer("ready")
    app.exec()


if __name__ == "__main__":
    main()
