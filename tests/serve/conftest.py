"""A real server on the loopback address, and the real OpenAI client."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from PIL import Image
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import close_engines, load_engines
from speceyes_cli.serve.http.server import StoppableServer, open_socket
from speceyes_cli.serve.plan import ServeOptions, plan_service
from speceyes_cli.serve.queue import RequestQueue

CERTIFIED = "scripted?err=2,5,8"
"""The models of the certificate."""


def data_url(size: tuple[int, int] = (64, 64), colour: str = "red", form: str = "PNG") -> str:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


def ask(text: str = "What colour is dot 1?", *pictures: str) -> dict[str, Any]:
    """The body of a request; one picture unless others are named."""
    shown = pictures or (data_url(),)
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in shown]
    content = [*parts, {"type": "text", "text": text}]
    return {"model": "speceyes", "messages": [{"role": "user", "content": content}]}


@dataclass
class Served:
    url: str
    queue: RequestQueue
    engines: dict[str, Any]

    def client(self, **options: Any) -> OpenAI:
        return OpenAI(**{"base_url": f"{self.url}/v1", "api_key": "k", "max_retries": 0, **options})


Serve = Callable[..., Served]


@pytest.fixture
def serve(host: Host) -> Iterator[Serve]:
    """serve("scripted?delay=0.1", serve_api_key="k"): a running endpoint of the example plugin."""
    running: list[Callable[[], None]] = []

    def start(model: str = "scripted", **options: Any) -> Served:
        chosen = {"agent": "looker", "small": model, "large": model, "port": 0, **options}
        plan = plan_service(ServeOptions(**chosen), host)
        engines = load_engines(plan.loads, lambda _: None)
        listener = open_socket("127.0.0.1", 0)
        queue = RequestQueue(plan.service, engines)
        server = StoppableServer(plan.service, queue, listener, 5.0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(20)
            queue.close(5)
            close_engines(engines)
            listener.close()

        running.append(stop)
        assert eventually(lambda: server.started)
        port = listener.getsockname()[1]
        return Served(f"http://127.0.0.1:{port}", queue, dict(engines))

    yield start
    for stop in running:
        stop()


@pytest.fixture
def certificate(host: Host, tmp_path: Path) -> Path:
    def run(*arguments: str) -> None:
        done = CliRunner().invoke(build_app(host), list(arguments), obj=host)
        assert done.exit_code == 0, done.output

    shared = ("--small", CERTIFIED, "--large", CERTIFIED, "--screen", "none")
    dots = ("eval", "--agent", "looker", "--dataset", "dots", "--limit", "0", *shared)
    both, made = str(tmp_path / "both"), tmp_path / "c.json"
    run(*dots, "--both-branches", "--out", both)
    levels = ("--max-loss", "0.05", "--risk", "0.2")
    run("analyze", "calibrate", both, *levels, "--out", str(made))
    return made


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it comes to hold."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def metric(text: str, name: str) -> float:
    """A figure of /metrics."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found.group(1))
