"""What the cascade cannot answer goes to the large model's endpoint as it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest
from PIL import Image
from vllm_server import Behaviour, serving
from vllm_server import Served as VLLMServed

from speceyes_cli.host.specs import EngineOptions
from speceyes_cli.serve.pictures import reader
from tests.serve.conftest import Serve, Served, ask, data_url, eventually
from tests.serve.http.test_conversations import create, said
from tests.serve.http.test_endpoint import post
from tests.serve.http.test_streams import delta_text, events, needle

TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
PASSED: list[dict[str, Any]] = [
    {"tools": TOOLS},
    {"tools": TOOLS, "tool_choice": "required"},
    {"response_format": {"type": "json_object"}},
    {"n": 2},
    {"stop": ["\n"]},
    {"stop": "."},
    {"logit_bias": {"1": 5}},
    {"temperature": 0.7, "top_p": 0.9, "seed": 3},
]


@pytest.fixture
def large() -> Iterator[tuple[str, Behaviour]]:
    """An endpoint for the large model, and what it was sent."""
    does = Behaviour(canned="passed on", bodies=[], tools="calls")
    with serving(does) as address:
        assert does.bodies is not None
        yield f"{address}?factor=none", does
        does.ended.set()


def with_endpoint(serve: Serve, address: str, **options: Any) -> Served:
    return serve("scripted", large=address, **options)


@pytest.mark.parametrize("fields", PASSED, ids=lambda fields: next(iter(fields)))
@pytest.mark.parametrize("stream", [False, True])
def test_it_is_passed_untouched_and_marked(
    serve: Serve, large: tuple[str, Behaviour], fields: dict[str, Any], stream: bool
) -> None:
    address, does = large
    served = with_endpoint(serve, address)
    assert does.bodies is not None
    does.bodies.clear()
    body = {**ask("dot 1"), **fields, "max_tokens": 7, "user": "me"}
    answer = post(served, {**body, "stream": stream, "speceyes": {"threshold": 0.5}})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-speceyes-route"] == "passed"
    [sent] = does.bodies
    assert sent == {**body, "stream": stream, "model": does.model}
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    told = [json.loads(line) for line in lines[:-1]] if stream else [answer.json()]
    decision = told[-1]["speceyes"]
    assert decision["route"] == "passed"
    assert decision["reason"] in fields
    assert {one["model"] for one in told} == {"speceyes"}
    name = "delta" if stream else "message"
    text = "".join(one["choices"][0][name].get("content") or "" for one in told if one["choices"])
    assert text == "passed on"


def test_a_turn_of_the_clients_own_tool_is_passed(
    serve: Serve, large: tuple[str, Behaviour]
) -> None:
    served = with_endpoint(serve, large[0])
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    answer = create(
        served,
        said("user", data_url(), "Where is it?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "there"},
    )
    assert answer.model_extra["speceyes"] == {"route": "passed", "reason": "messages[2]"}


def test_what_can_be_speculated_on_is_not_passed(
    serve: Serve, large: tuple[str, Behaviour]
) -> None:
    served = with_endpoint(serve, large[0], screen="none")
    for harmless in ({}, {"temperature": 0, "n": 1, "stop": None, "tools": [], "top_p": 0.5}):
        told = post(served, {**ask("dot 1"), **harmless}).json()["speceyes"]
        assert told["route"] == "small"


@pytest.mark.parametrize("fields", PASSED[:-1], ids=lambda fields: next(iter(fields)))
def test_a_local_engine_refuses_it_by_name(serve: Serve, fields: dict[str, Any]) -> None:
    refused = post(serve(), {**ask("dot 1"), **fields})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == next(iter(fields))
    assert refused.json()["error"]["code"] == "unsupported_parameter"


def test_a_local_engine_decodes_greedily_whatever_the_temperature(serve: Serve) -> None:
    assert create(serve(), said("user", data_url(), "dot 1"), temperature=1).choices


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 502), ("page", 502)])
def test_an_endpoint_that_fails_is_told_of(
    serve: Serve, large: tuple[str, Behaviour], fault: str, status: int
) -> None:
    address, does = large
    served = with_endpoint(serve, address)
    does.faults.append(fault)
    answer = post(served, {**ask("dot 1"), "n": 2})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert post(served, {**ask("dot 1"), "n": 2}).status_code == 200


def test_an_endpoint_that_lets_nobody_in_fails_questions_and_not_the_server(
    serve: Serve, large: tuple[str, Behaviour]
) -> None:
    """A gateway answers 401, 403 or 404 for a while: the copy must not answer 503 ever after."""
    address, does = large
    served = with_endpoint(serve, address, method="baseline")
    does.key = "exchanged"
    assert post(served, ask("dot 1")).status_code == 500
    does.key = ""
    assert post(served, ask("dot 1")).status_code == 200
    assert httpx.get(f"{served.url}/healthz", timeout=30).status_code == 200


def test_an_endpoints_own_refusal_is_the_clients(
    serve: Serve, large: tuple[str, Behaviour]
) -> None:
    served = with_endpoint(serve, large[0])
    with pytest.raises(openai.BadRequestError, match="at most 4 items"):
        create(served, said("user", data_url(), "dot 1"), stop=["a", "b", "c", "d", "e"])


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}, "not fetched here"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "must be a data URL"),
        ({"type": "video_url", "video_url": {"url": "http://10.0.0.1/"}}, "must be a data URL"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, ""),
    ],
)
def test_the_other_endpoint_is_not_made_to_fetch(
    serve: Serve, large: tuple[str, Behaviour], part: dict[str, Any], told: str
) -> None:
    address, does = large
    served = with_endpoint(serve, address)
    assert does.bodies is not None
    does.bodies.clear()
    content = [part, {"type": "text", "text": "dot 1"}]
    sent = {"model": "speceyes", "messages": [{"role": "user", "content": content}], "n": 2}
    answer = post(served, sent)
    if told:
        assert answer.status_code == 400
        assert told in answer.json()["error"]["message"]
        assert not does.bodies


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on the loopback address, and the folder that it serves."""
    handler = partial(Files, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", tmp_path
        server.shutdown()
        thread.join()


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_fetched_to_be_passed_on_is_a_picture_within_the_limits(
    serve: Serve,
    large: tuple[str, Behaviour],
    web: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
) -> None:
    monkeypatch.setattr(reader, "is_public", lambda _: True)
    address, does = large
    served = with_endpoint(serve, address, fetch_pictures=True, max_picture_mb=0.01)
    site, folder = web
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    (folder / "page.html").write_text("<html>Log in</html>")
    for name in ("large-1.bmp", "large-2.bmp"):  # 7,854 bytes each, of 10,485
        Image.new("RGB", (50, 52)).save(folder / name)
    assert does.bodies is not None

    def asked(*names: str) -> httpx.Response:
        shown = [
            {"type": "image_url", "image_url": {"url": f"{site}/{name}", "detail": "high"}}
            for name in names
        ]
        content = [*shown, {"type": "text", "text": "dot 1"}]
        messages = [{"role": "user", "content": content}]
        return post(served, {"model": "speceyes", "messages": messages, "n": 2, "stream": stream})

    assert asked("a.png").status_code == 200
    sent = does.bodies[-1]["messages"][0]["content"][0]["image_url"]
    assert sent["url"].startswith("data:image/png;base64,")
    assert sent["detail"] == "high"
    does.bodies.clear()
    for names, told in (
        (("page.html",), "19 bytes that are no picture"),
        (("large-1.bmp", "large-2.bmp"), "together have more than 10,485 bytes"),
    ):
        answer = asked(*names)
        assert answer.status_code == 400
        assert told in answer.json()["error"]["message"]
    assert not does.bodies


def test_a_passed_stream_comes_as_it_is_written(serve: Serve, large: tuple[str, Behaviour]) -> None:
    address, does = large
    served = with_endpoint(serve, address)
    does.pace, does.canned = 0.05, "word " * 20
    with served.client() as client:
        stream = client.chat.completions.create(**ask("dot 1"), stop=["x"], stream=True)
        first = next(iter(stream))
        assert first.choices[0].finish_reason is None
        stream.close()
    assert eventually(lambda: httpx.get(f"{served.url}/readyz", timeout=30).status_code == 200)


def test_words_alone_are_streamed_as_a_remote_model_writes_them(
    serve: Serve, large: tuple[str, Behaviour]
) -> None:
    address, does = large
    does.canned, does.pace = "<think>Well.</think> All is fine, thank you.", 0.05
    with with_endpoint(serve, address).client() as client:
        hello: Any = [{"role": "user", "content": "How are you?"}]
        stream = client.chat.completions.create(model="speceyes", messages=hello, stream=True)
        contents = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(contents) == "All is fine, thank you."
    assert sum(map(bool, contents)) > 1


def test_passed_answers_are_counted(serve: Serve, large: tuple[str, Behaviour]) -> None:
    served = with_endpoint(serve, large[0])
    post(served, {**ask("dot 1"), "n": 2})
    text = httpx.get(f"{served.url}/metrics", timeout=30).text
    assert 'speceyes_answers_total{route="passed"} 1.0' in text


def test_a_remote_agents_turns_are_streamed(serve: Serve) -> None:
    model = VLLMServed(EngineOptions("embedded", "large", batch_size=1))
    with serving(Behaviour(pace=0.01), model) as address:
        served = serve(
            "scripted", agent="deepeyes", large=f"{address}?factor=32", method="baseline"
        )
        whole = post(served, needle()).json()["choices"][0]["message"]["content"]
        told = events(served, needle())
    pieces = [one["choices"][0]["delta"].get("reasoning_content") for one in told]
    thoughts = "".join(piece or "" for piece in pieces)
    assert thoughts.startswith("I see ")
    assert "[image_zoom_in_tool: crop 1 (" in thoughts
    assert sum(map(bool, pieces)) > 4
    assert delta_text(told, "content") == whole
    usage = told[-1]["speceyes"]["usage"]["large"]
    assert usage["prompt_tokens"] > usage["completion_tokens"] > 0
