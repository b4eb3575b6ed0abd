"""Whatever is sent to the routes is answered with a status and a sentence, never a defect."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speceyes_cli.serve.http.fields import IGNORED, PASSED
from speceyes_cli.serve.http.requests import ChatRequest
from tests.serve.conftest import Serve, Served, ask, data_url

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

FUZZED = settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KNOWN = {200, 400, 401, 404, 405, 413}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
URLS = st.sampled_from(
    [
        data_url(),
        data_url((3, 1)),
        "data:image/png;base64,",
        "data:image/png;base64,AAAA",
        "data:,x",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "http://127.0.0.1/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "",
    ]
)
TEXT = st.fixed_dictionaries({"type": st.just("text"), "text": st.text() | JSON})
IMAGE = st.fixed_dictionaries(
    {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": URLS | JSON}) | JSON}
)
PARTS = st.lists(TEXT | IMAGE | JSON, max_size=4)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "system", "developer", "assistant", "tool"]) | JSON,
        "content": st.text() | PARTS | JSON,
    }
)
FIELDS = st.sampled_from(sorted([*ChatRequest.model_fields, *IGNORED, *PASSED])) | st.text()
FIELD_VALUES = {
    "messages": st.lists(MESSAGE | JSON, max_size=3) | JSON,
    "model": st.sampled_from(["speceyes", "other"]) | JSON,
    "stream": st.booleans() | JSON,
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans() | JSON}) | JSON,
    "speceyes": st.fixed_dictionaries({"threshold": JSON, "gate": st.just("min") | JSON}) | JSON,
}


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """A right request with some of it changed."""
    body = copy.deepcopy(ask())
    for name in draw(st.lists(FIELDS, max_size=3)):
        body[name] = draw(FIELD_VALUES.get(name, JSON))
    return body


def check(answer: httpx.Response) -> None:
    assert answer.status_code in KNOWN, (answer.status_code, answer.text)
    if answer.status_code == 200:
        return
    error = answer.json()["error"]
    assert error["message"]
    assert "\n" not in error["message"]
    assert error["type"] != "server_error"


@pytest.fixture
def served(serve: Serve, caplog: pytest.LogCaptureFixture) -> Any:
    """An endpoint, in whose log no traceback may stand at the end."""
    served = serve()
    log = logging.getLogger("uvicorn")  # it hands nothing on to the root
    log.addHandler(caplog.handler)
    yield served
    log.removeHandler(caplog.handler)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_any_body_is_answered_with_a_sentence(served: Served) -> None:
    with httpx.Client(timeout=60) as client:

        @FUZZED
        @given(bodies() | JSON, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
        def send(body: Any, code: str) -> None:
            data = json.dumps(body).encode(code)
            check(client.post(f"{served.url}/v1/chat/completions", content=data))

        send()


def test_any_method_path_and_header_is_answered_with_a_sentence(served: Served) -> None:
    paths = st.sampled_from(
        ["/v1/chat/completions", "/v1/models", "/v1/models/x", "/healthz", "/metrics"]
    ) | st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=20
    ).map(lambda text: "/" + text)
    methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
    values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
    names = st.sampled_from(["Authorization", "Content-Type", "Accept", "Range", "X-Y", "Upgrade"])
    with httpx.Client(timeout=60) as client:

        @FUZZED
        @given(methods, paths, st.dictionaries(names, values), st.binary(max_size=40))
        def send(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
            url = httpx.URL(served.url).copy_with(raw_path=path.encode())
            answer = client.request(method, url, headers=headers, content=body)
            if method != "HEAD":
                check(answer)

        send()


def test_any_bytes_on_a_connection_leave_the_server_as_it_was(served: Served) -> None:
    right = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
    )
    pieces = st.lists(st.sampled_from(right) | st.binary(max_size=20), min_size=1, max_size=4)
    place = urlsplit(served.url)

    @FUZZED
    @given(pieces, st.integers(0, 200), st.binary(max_size=3))
    def send(parts: list[bytes], at: int, junk: bytes) -> None:
        data = b"".join(parts)
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection((str(place.hostname), int(place.port or 0)), 30) as one,
        ):
            one.sendall(data[:at] + junk + data[at:])
            one.shutdown(socket.SHUT_WR)
            while one.recv(2**16):
                pass

    send()
    assert httpx.get(f"{served.url}/healthz", timeout=30).status_code == 200
