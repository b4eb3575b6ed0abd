"""`speceyes serve` as its operator meets it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
from typer.testing import Result

from tests.serve.conftest import ask, eventually

SCRIPTED = ("serve", "--agent", "looker", "--small", "scripted", "--large", "scripted")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--threshold-range", "1:0"), "--threshold-range is LOW:HIGH, such as 0.9:1, not 1:0."),
        (("--threshold-range", "x"), "--threshold-range is LOW:HIGH"),
        (("--request-gates", "mim"), "There is no gate 'mim'; did you mean 'min'?"),
        (("--max-waiting", "-1"), "--max-waiting cannot be -1."),
        (("--max-pictures", "0"), "--max-pictures cannot be 0."),
        (("--words", "none"), "--words is large or small, not none."),
        (("--cors-origins", "example.com"), "--cors-origins example.com: an origin is http(s)://"),
        (("--cors-origins", "*,https://a.b/c"), "--cors-origins https://a.b/c: an origin"),
        (("--max-picture-mb", "0"), "--max-picture-mb cannot be 0."),
        (("--port", "70000"), "--port cannot be 70000."),
        (("--drain-seconds", "-1"), "--drain-seconds cannot be -1."),
        (("--stop-seconds", "inf"), "--stop-seconds cannot be inf."),
        (("--host", "nowhere.invalid"), "--host nowhere.invalid: there is no such address"),
        (("--api-key", " "), "--api-key is empty"),
        (("--api-key", "schlüssel"), "The key in --api-key or SPECEYES_SERVE_API_KEY holds"),
        (("--threshold", "2"), "--threshold is a confidence"),
        (("--agent", "loker"), "did you mean 'looker'?"),
        (("--both-branches",), "No such option: --both-branches"),
    ],
)
def test_wrong_options_are_told_before_a_model_is_loaded(
    invoke: Callable[..., Result], options: tuple[str, ...], told: str
) -> None:
    done = invoke(*SCRIPTED, *options)
    assert done.exit_code == 2
    assert told in done.output
    assert "Loading" not in done.output


def test_the_key_of_old_does_not_open_the_server_in_silence(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_API_KEY", "secret")
    monkeypatch.setenv("SPECEYES_JUDGE_API_KEY", "another")
    done = invoke(*SCRIPTED)
    assert done.exit_code == 2
    assert "SPECEYES_API_KEY is no longer read" in done.output
    assert "set SPECEYES_SERVE_API_KEY" in done.output
    assert "Loading" not in done.output


def test_a_key_that_came_out_empty_does_not_open_the_server(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_SERVE_API_KEY", "")
    done = invoke(*SCRIPTED, "--threshold", "2")  # which would be told next
    assert done.exit_code == 2
    assert "SPECEYES_SERVE_API_KEY; unset it to let anyone in." in done.output


def test_a_port_in_use_is_told_before_a_model_is_loaded(invoke: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = invoke(*SCRIPTED, "--port", str(port))
    assert done.exit_code == 2
    assert f"Port {port} of 127.0.0.1 cannot be had" in done.output
    assert "Loading" not in done.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_in_flight(
    example_site: Path, tmp_path: Path, number: signal.Signals
) -> None:
    slow = ("--small", "scripted?delay=0.5", "--large", "scripted?delay=0.5", "--port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "speceyes_cli", *SCRIPTED[:3], *slow],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(example_site), "SPECEYES_SERVE_API_KEY": "secret"},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr
        said = [server.stderr.readline() for _ in range(3)]
        found = re.search(r"http://127\.0\.0\.1:\d+", said[-1])
        assert found, said
        url = found.group()
        key = {"Authorization": "Bearer secret"}
        answers: list[int] = []

        def send() -> None:
            sent = httpx.post(f"{url}/v1/chat/completions", json=ask(), headers=key, timeout=30)
            answers.append(sent.status_code)

        sending = threading.Thread(target=send)
        sending.start()
        assert eventually(
            lambda: "speceyes_live 1.0" in httpx.get(f"{url}/metrics", timeout=30).text
        )
        server.send_signal(number)
        sending.join(30)
        rest = server.stderr.read()
        assert server.wait(30) == 0
    assert answers == [200]
    assert "Stopping" in rest
    assert "Traceback" not in rest
    assert "secret" not in "".join([*said, rest])
