"""Two copies behind a balancer that honours readiness: restarting both loses no question."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from tests.serve.conftest import ask, eventually

POLL = 0.05
"""Seconds between two looks at a copy's readiness."""
CLIENTS = 4


class Copy:
    """One `speceyes serve` process at a time, and whether it was ready when last asked."""

    def __init__(self, site: Path, folder: Path, drain_seconds: float = 1.5) -> None:
        self._site = site
        self._folder = folder
        self._drain = f"{drain_seconds}"
        self.ready = False
        self.answered = 0
        self.start()

    def start(self) -> None:
        model = "scripted?delay=0.05"
        words = ("serve", "--agent", "looker", "--small", model, "--large", model, "--port", "0")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "speceyes_cli", *words, "--drain-seconds", self._drain],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self._site), *sys.path[1:]])},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr
        for line in self.process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise AssertionError("it did not start")
        parts = urlsplit(found.group())
        self.address = (str(parts.hostname), int(parts.port or 0))

    def look(self) -> None:
        with contextlib.suppress(OSError, httpx.HTTPError):
            url = "http://{}:{}/readyz".format(*self.address)
            self.ready = httpx.get(url, timeout=30, trust_env=False).status_code == 200
            return
        self.ready = False

    def stop(self) -> str:
        """What it said since it served."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        assert self.process.stderr
        with self.process.stderr as said:
            return said.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()


class Balancer:
    """Hands each connection to the next copy that is ready, and tries no other."""

    def __init__(self, copies: list[Copy]) -> None:
        self._copies = copies
        self._turns = itertools.count()
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        looking = threading.Thread(target=self._look)
        accepting = threading.Thread(target=self._accept)
        looking.start()
        accepting.start()
        try:
            yield
        finally:
            self._ended.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            looking.join()
            self._listener.close()

    def _look(self) -> None:
        while not self._ended.wait(POLL):
            for copy in self._copies:
                copy.look()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hand_on, args=(client,)).start()

    def _hand_on(self, client: socket.socket) -> None:
        ready = [copy for copy in self._copies if copy.ready]
        with client:
            if not ready:
                return
            copy = ready[next(self._turns) % len(ready)]
            with contextlib.suppress(OSError), socket.create_connection(copy.address) as server:
                copy.answered += 1
                back = threading.Thread(target=_pipe, args=(server, client))
                back.start()
                _pipe(client, server)
                back.join()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(2**16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def send(url: str, number: int) -> str:
    """One question, every other one as a stream: "answered", or what went wrong."""
    body: dict[str, Any] = {**ask(f"dot {number % 3}"), "stream": bool(number % 2)}
    wanted = ("red", "green", "blue")[number % 3]
    try:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60, trust_env=False)
        if answer.status_code != 200:
            return f"status {answer.status_code}"
        if not body["stream"]:
            text = answer.json()["choices"][0]["message"]["content"]
        else:
            lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
            told = [json.loads(line) for line in lines[:-1]]
            text = "".join(one["choices"][0]["delta"].get("content") or "" for one in told)
            if lines[-1:] != ["[DONE]"]:
                return "an unfinished stream"
    except httpx.HTTPError as error:
        return type(error).__name__
    return "answered" if text == wanted else f"{text!r} for {wanted!r}"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_restarting_one_copy_after_the_other_loses_no_question(
    example_site: Path, tmp_path: Path
) -> None:
    copies = [Copy(example_site, tmp_path) for _ in range(2)]
    ended, counts = threading.Event(), Counter[str]()
    balancer = Balancer(copies)

    def ask_on(first: int) -> None:
        for number in itertools.count(first):
            if ended.is_set():
                return
            counts[send(balancer.url, number)] += 1

    clients = [threading.Thread(target=ask_on, args=(first,)) for first in range(CLIENTS)]
    try:
        with balancer.running():
            assert eventually(lambda: all(copy.ready for copy in copies))
            for client in clients:
                client.start()
            for copy in copies:
                before = copy.answered
                assert eventually(lambda: copy.answered > before + CLIENTS)  # noqa: B023 - at once
                said = copy.stop()
                assert "Traceback" not in said
                assert "Stopping" in said
                copy.answered = 0
                copy.start()
                assert eventually(lambda: copy.answered > CLIENTS)  # noqa: B023 - at once
            ended.set()
            for client in clients:
                client.join()
    finally:
        ended.set()
        for copy in copies:
            copy.kill()
    assert set(counts) == {"answered"}, counts
    assert counts["answered"] > 10 * CLIENTS


def test_a_stop_is_told_to_balancers_before_the_server_closes(
    example_site: Path, tmp_path: Path
) -> None:
    copy = Copy(example_site, tmp_path, drain_seconds=600)
    url = "http://{}:{}".format(*copy.address)
    try:
        with httpx.Client(trust_env=False, timeout=30) as client:
            assert client.get(f"{url}/readyz").status_code == 200
            copy.process.send_signal(signal.SIGTERM)
            assert eventually(lambda: client.get(f"{url}/readyz").status_code == 503)
            told = client.post(f"{url}/v1/chat/completions", json=ask("dot 1"))
            assert client.get(f"{url}/healthz").status_code == 200
        assert told.status_code == 200
        assert told.headers["connection"] == "close"
        copy.process.send_signal(signal.SIGINT)  # at once
        assert copy.process.wait(60) == 0
    finally:
        copy.kill()
