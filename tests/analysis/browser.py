"""Open a page in a real headless browser, in a process of its own, and tell what it found.

Called as `browser.py PAGE.html WIDTH light|dark [SCREENSHOT.png]`; prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

PROBE = """
(() => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  return JSON.stringify({
    images: [...document.images].map(i => [i.naturalWidth, i.naturalHeight]),
    figures: [...document.querySelectorAll('figure svg')].map(box),
    unnamed: [...document.querySelectorAll('figure svg')].filter(s => !s.getAttribute('aria-label'))
      .length + [...document.images].filter(i => !i.alt).length,
    ids: [...document.querySelectorAll('[id]')].map(e => e.id),
    scroll: document.documentElement.scrollWidth, width: innerWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.querySelector('figure svg text') || document.body).fill,
    scripts: document.scripts.length, bold: document.querySelectorAll('b').length,
    text: document.body.innerText, height: document.documentElement.scrollHeight,
  });
})()
"""


def main(page: str, width: int, mode: str, picture: str | None) -> None:
    dark = " --blink-settings=preferredColorScheme=0" if mode == "dark" else ""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = f"--no-sandbox --disable-gpu{dark}"
    # ruff: noqa: PLC0415 - Qt reads its environment when imported
    from PyQt6.QtCore import QTimer, QUrl
    from PyQt6.QtWebEngineCore import (
        QWebEnginePage,
        QWebEngineProfile,
        QWebEngineUrlRequestInterceptor,
    )
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    told: dict[str, Any] = {"console": [], "requests": []}

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, _: Any, message: str, *__: Any) -> None:  # noqa: N802 - Qt's name
            told["console"].append(message)

    class Watch(QWebEngineUrlRequestInterceptor):
        def interceptRequest(self, info: Any) -> None:  # noqa: N802 - Qt's name
            address = info.requestUrl().toString()
            if not address.startswith("data:"):
                told["requests"].append(address)

    app = QApplication(sys.argv[:1])
    profile = QWebEngineProfile()
    watch = Watch()
    profile.setUrlRequestInterceptor(watch)
    view = QWebEngineView()
    web = Page(profile, view)
    view.setPage(web)
    view.resize(width, 900)

    def finish(found: str) -> None:
        told.update(json.loads(found))
        if picture is None:
            app.quit()
            return
        view.resize(width, min(int(told["height"]), 14_000))
        QTimer.singleShot(4000, lambda: (view.grab().save(picture), app.quit()))

    def loaded(ok: bool) -> None:
        told["loaded"] = ok
        QTimer.singleShot(300, lambda: web.runJavaScript(PROBE, finish))

    view.loadFinished.connect(loaded)
    view.load(QUrl.fromLocalFile(str(Path(page).resolve())))
    view.show()
    QTimer.singleShot(60_000, app.quit)
    app.exec()
    print(json.dumps(told))  # noqa: T201 - what it is for
    sys.stdout.flush()
    os._exit(0)  # Qt's teardown order is no concern of the test


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
