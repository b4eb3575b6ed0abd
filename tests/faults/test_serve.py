"""The served endpoint among clients that begin and never finish."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from hostile_server import SLOW, HostileServer

from speceyes_cli.serve.http import body, connections
from speceyes_cli.serve.pictures import decoding, reader
from tests.serve.conftest import Serve, Served, ask, eventually, metric

pytestmark = pytest.mark.timeout(120)

HALF_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX-Half: "
UPLOAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000000\r\n\r\n{"
)


def dial(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=30)


@contextlib.contextmanager
def dialled(url: str, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that have sent their first bytes."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(contextlib.closing(dial(url))) for _ in range(count)]
        for one in opened:
            one.sendall(first)
        yield opened


def is_answered(url: str) -> bool:
    with httpx.Client(timeout=30) as client:
        return client.post(f"{url}/v1/chat/completions", json=ask()).status_code == 200


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes; a reset is an end."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(2**16):
            got += data
    return got


def drip(connection: socket.socket) -> None:
    """Send a byte now and then; raises `ConnectionError` when the other side has closed."""
    connection.settimeout(0.02)
    while True:
        connection.sendall(b"x")
        with contextlib.suppress(TimeoutError):
            if not connection.recv(1):
                raise ConnectionResetError


@pytest.mark.parametrize("first", [b"", HALF_HEAD], ids=["silent", "half a head"])
def test_a_connection_without_a_request_is_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setitem(connections._SECONDS, "head", 0.5)
    served = serve()
    with dialled(served.url, 3, first) as opened:
        assert [rest_of(one) for one in opened] == [b"", b"", b""]
    assert is_answered(served.url)


def test_a_dripped_head_is_closed_though_bytes_come(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections._SECONDS, "head", 0.5)
    served = serve()
    with dialled(served.url, 1, HALF_HEAD) as [one], pytest.raises(ConnectionError):
        drip(one)


def test_a_further_request_has_the_same_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections._SECONDS, "head", 0.5)
    served = serve()
    with dialled(served.url, 1, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" + HALF_HEAD) as [one]:
        assert rest_of(one).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("options", "status"), [({"serve_api_key": "secret"}, b"401"), ({}, b"404")], ids=str
)
def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], status: bytes
) -> None:
    monkeypatch.setattr(body, "DISCARD_SECONDS", 0.2)
    monkeypatch.setitem(connections._SECONDS, "rest", 0.2)
    served = serve(**options)
    sent = UPLOAD if options else UPLOAD.replace(b"/v1/chat", b"/v2/chat")
    with dialled(served.url, 1, sent) as [one]:
        assert rest_of(one).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_does_not_read_is_left(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.5)
    served = serve()
    asked = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 10**6
    with dialled(served.url, 1) as [one], pytest.raises(ConnectionError):
        one.sendall(asked)
    assert is_answered(served.url)


def test_uploads_hold_no_place(serve: Serve) -> None:
    served = serve(max_waiting=0)
    capacity = served.queue.capacity
    with dialled(served.url, capacity + 4, UPLOAD):
        assert is_answered(served.url)
        assert httpx.get(f"{served.url}/readyz", timeout=30).status_code == 200


def test_uploads_share_a_limit_of_bytes(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(max_picture_mb=0.01, max_waiting=0)
    most = decoding_limit(served)
    sent = UPLOAD.replace(b"1000000", b"%d" % most) + b" " * (most - 2)
    monkeypatch.setattr(body, "SECONDS", 60.0)
    places = max(4, served.queue.capacity // 4)
    with dialled(served.url, places, sent):
        answers = []

        def refused() -> bool:
            data = json.dumps(ask()).encode() + b" " * 20_000
            sent = httpx.post(f"{served.url}/v1/chat/completions", content=data, timeout=30)
            answers.append(sent)
            return sent.status_code == 429

        assert eventually(refused)
        assert "Retry-After" in answers[-1].headers
    assert eventually(lambda: is_answered(served.url))


def decoding_limit(served: Served) -> int:
    return int(served.queue._service.limits.body_bytes)


def test_slow_pictures_hold_up_nobody_and_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "FETCH_SECONDS", 8.0)  # longer than a busy machine takes to begin
    monkeypatch.setattr(reader, "FETCH_SECONDS", 8.0)
    monkeypatch.setattr(reader, "is_public", lambda _: True)
    served = serve(fetch_pictures=True)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(HostileServer(mode).running()) for mode in SLOW]
        slow = [f"http://127.0.0.1:{server.port}/a.png" for server in servers] * 5

        def send(url: str) -> httpx.Response:
            asked = ask("What colour?", url)
            return httpx.post(f"{served.url}/v1/chat/completions", json=asked, timeout=60)

        with ThreadPoolExecutor(len(slow)) as pool:
            sent = [pool.submit(send, url) for url in slow]
            assert eventually(lambda: sum(server.connections for server in servers) >= 16)
            assert is_answered(served.url)
            assert not any(one.done() for one in sent)  # all were still being fetched
            answers = [one.result() for one in sent]
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["error"]["message"] for answer in answers} == {
        "The picture cannot be used: the picture's address took over 8 seconds."
    }
    assert is_answered(served.url)


def test_a_body_of_many_parts_is_not_built(serve: Serve) -> None:
    served = serve()
    data = json.dumps(ask())[:-1] + ', "metadata": [' + "[]," * 200_000 + "[]]}"
    sent = httpx.post(f"{served.url}/v1/chat/completions", content=data, timeout=30)
    assert sent.status_code == 400
    assert "members and elements" in sent.json()["error"]["message"]


@contextlib.contextmanager
def started(
    site: Path, folder: Path, model: str, *options: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The program itself with 300 descriptors: its address and its process."""
    words = [
        *(sys.executable, "-m", "speceyes_cli", "serve", "--agent", "looker", "--port", "0"),
        *("--small", model, "--large", model, *options),
    ]
    with subprocess.Popen(
        ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path[1:]])},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        try:
            for line in process.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                raise AssertionError("it did not start")
            yield found.group(), process
        finally:
            process.kill()


@contextlib.contextmanager
def program(site: Path, folder: Path, model: str, *options: str) -> Iterator[tuple[str, int]]:
    """The same, stopped in order at the end: its address and its process' number."""
    with started(site, folder, model, *options) as (url, process):
        yield url, process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr
        assert "Traceback" not in process.stderr.read()


def test_a_server_that_can_answer_nothing_any_more_ends(example_site: Path, tmp_path: Path) -> None:
    """Whoever watches the process starts it anew; up and answering 503 it would be left alone."""
    options = ("--drain-seconds", "100", "--stop-seconds", "50")
    with started(example_site, tmp_path, "scripted?halt=3", *options) as (url, process):
        assert is_answered(url)
        asked = httpx.post(f"{url}/v1/chat/completions", json=ask("dot 3"), timeout=30)
        assert asked.status_code == 503
        assert process.wait(40) == 2
        assert process.stderr
        said = process.stderr.read()
    assert said.rstrip().endswith("speceyes: The model is lost.")
    assert "Traceback" not in said


def test_more_connections_than_descriptors_stop_nobody(example_site: Path, tmp_path: Path) -> None:
    with program(example_site, tmp_path, "scripted") as (url, _):
        with dialled(url, 400), dialled(url, 100, HALF_HEAD), dialled(url, 100, UPLOAD):
            for _ in range(5):
                assert is_answered(url)


def test_a_stop_ends_the_process_whatever_is_at_work(example_site: Path, tmp_path: Path) -> None:
    """A model that never answers, half requests, and a stop that leaves a second."""
    options = ("--stop-seconds", "1")
    with (
        ThreadPoolExecutor(1) as pool,
        program(example_site, tmp_path, "scripted?delay=3600", *options) as (url, _),
    ):
        asked = pool.submit(
            httpx.post, f"{url}/v1/chat/completions", json=ask(), timeout=100, trust_env=False
        )
        assert eventually(
            lambda: metric(httpx.get(f"{url}/metrics", timeout=30).text, "speceyes_live") == 1
        )
        held = [dial(url) for _ in range(20)]
        for number, one in enumerate(held):
            one.sendall((b"", HALF_HEAD, UPLOAD)[number % 3])
    for one in held:
        one.close()
    with contextlib.suppress(httpx.HTTPError):
        assert asked.result().status_code == 503


def test_a_balancers_idle_connection_is_not_closed_before_its_own_time(serve: Serve) -> None:
    """They keep one for a minute; uvicorn's own limit is five seconds."""
    with contextlib.closing(HTTPConnection(urlsplit(serve().url).netloc, timeout=30)) as one:
        for seconds in (6, 0):
            one.request("GET", "/healthz")
            assert one.getresponse().read() == b'{"status": "ok"}'
            time.sleep(seconds)
