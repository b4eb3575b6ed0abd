"""The page as its readers meet it: a real server on the loopback address, a real client."""

from __future__ import annotations

import importlib.util
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from speceyes_cli.core.judging.verdicts import SCHEMA, JudgedNote
from speceyes_cli.core.run.database import DATABASE
from speceyes_cli.host.manager import Host
from speceyes_cli.serve.http.server import open_socket
from speceyes_cli.view.catalog import RunEntry
from speceyes_cli.view.server import ADDRESS, ViewServer
from tests.commands.analyze.conftest import WriteRun, write_run
from tests.commands.conftest import evaluate, invoke
from tests.serve.conftest import eventually

__all__ = ["Page", "Shown", "View", "WriteRun", "evaluate", "invoke", "read", "view", "write_run"]


class Page(HTMLParser):
    """A page's elements and text, as a browser would read it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, tag: str, attribute: str) -> list[str]:
        return [v for name, attrs in self.tags if name == tag and (v := attrs.get(attribute))]


@dataclass
class Shown:
    server: ViewServer
    client: httpx.Client

    @property
    def base(self) -> str:
        return self.server.address.partition("/?")[0]

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def page(self, path: str, status: int = 200) -> Page:
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        return Page(answer.text)

    def run(self, name: str) -> RunEntry:
        """The run in the folder of this name, once its figures are known."""

        def known() -> RunEntry | None:
            entries = self.server.catalog.entries()
            found = [entry for entry in entries if entry.folder.name == name]
            return found[0] if found and (found[0].rows or found[0].problem) else None

        assert eventually(lambda: known() is not None)
        found = known()
        assert found is not None
        return found

    def place(self, name: str, sample_id: str) -> int:
        index = self.run(name).index
        assert index is not None
        return int(index.rows["place"][index.sample_ids.index(sample_id)])


View = Callable[..., Shown]


@pytest.fixture
def view(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[View]:
    """view(folder, ...): the page of these folders, and a client that has its cookie."""
    monkeypatch.setattr("speceyes_cli.view.catalog.EVERY", 0.1)
    monkeypatch.setattr("speceyes_cli.view.catalog.FIRST", 0.0)
    stops: list[Callable[[], Any]] = []

    def start(*roots: Path) -> Shown:
        listener = open_socket(ADDRESS, 0)
        listener.listen()
        server = ViewServer(roots, host, listener)
        thread = threading.Thread(target=server.serve_until_stopped, args=(listener,))
        thread.start()
        shown_at = server.address.partition("/?")[0]
        client = httpx.Client(base_url=shown_at, timeout=60, follow_redirects=True)

        def stop() -> None:
            client.close()
            server.should_exit = True
            thread.join(20)
            listener.close()
            assert not thread.is_alive()

        stops.append(stop)
        assert client.get(server.address).status_code == 200
        return Shown(server, client)

    yield start
    for stop in stops:
        stop()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe, which comes within a package and needs none of its code."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None
    [folder] = spec.submodule_search_locations or []
    return Path(folder, "axe.min.js").read_text(encoding="utf-8")


def read(server: ViewServer) -> None:
    """Wait until every record that is there has been read."""
    assert eventually(lambda: not server.catalog.reading)


def judge(folder: Path, sample_id: str) -> None:
    """A judge finds the answer "red" to a sample of the split "test" right."""
    note = JudgedNote(right=True, provenance="llm", judge="llm", model="m", reply="1")
    with sqlite3.connect(folder / DATABASE) as database:
        database.execute(SCHEMA)
        row = ("test", sample_id, "red", note.model_dump_json())
        database.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?)", row)
    database.close()
