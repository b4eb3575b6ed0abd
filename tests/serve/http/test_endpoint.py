"""The endpoint as its clients meet it: a real server, the real client."""

from __future__ import annotations

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import openai
import pytest

from speceyes_cli.serve.http import app, streams
from tests.serve.conftest import Serve, Served, ask, data_url, eventually, metric


def post(served: Served, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{served.url}/v1/chat/completions"
    return httpx.post(url, content=content, headers=headers, timeout=30)


def get(served: Served, path: str) -> httpx.Response:
    return httpx.get(f"{served.url}{path}", timeout=30)


@pytest.mark.parametrize(
    ("number", "route", "confidence"), [(0, "large", False), (1, "small", True), (2, "large", True)]
)
def test_the_answer_tells_its_route_in_field_and_headers(
    serve: Serve, number: int, route: str, confidence: bool
) -> None:
    with serve().client() as client:
        raw = client.chat.completions.with_raw_response.create(**ask(f"Colour of dot {number}?"))
    answer = raw.parse()
    assert answer.choices[0].message.content == ["red", "green", "blue"][number]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.completion_tokens > 0
    decision = answer.model_extra["speceyes"]
    assert decision["route"] == raw.headers["x-speceyes-route"] == route
    assert (decision["confidence"] is not None) is confidence
    assert ("x-speceyes-confidence" in raw.headers) is confidence
    assert decision["threshold"] == float(raw.headers["x-speceyes-threshold"]) == 0.98
    assert decision["turns"] == (2 if route == "large" else 0)
    assert set(decision["phase_seconds"]) >= {"screen"}


def test_a_stream_gives_the_same_answer(serve: Serve) -> None:
    with serve().client() as client:
        stream = client.chat.completions.create(
            **ask(), stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "green"
    assert [c.model_extra["speceyes"]["route"] for c in chunks if c.model_extra] == ["small"]
    assert chunks[-1].usage


def test_a_late_stream_says_that_it_lives(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (app, streams):
        monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)
    text = post(serve("scripted?delay=0.1"), {**ask(), "stream": True}).text
    assert text.startswith(": at work\n\n")
    assert '"content": "green"' in text
    assert text.endswith("data: [DONE]\n\n")
    failed = post(serve("scripted?delay=0.1&fail=1"), {**ask(), "stream": True}).text
    assert json.loads(failed.rpartition("data: ")[2])["error"]["code"] == "failed"


def test_requests_that_come_together_are_batched_together(serve: Serve) -> None:
    served = serve("scripted?delay=0.05")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: post(served, ask(f"dot {n}")).status_code, range(8)))
    assert answers == [200] * 8
    assert max(len(batch) for engine in served.engines.values() for batch in engine.batches) > 2


def test_requests_may_choose_within_the_operators_limits(serve: Serve) -> None:
    served = serve(threshold_range="0.5:1", request_gates="none")

    def with_overrides(**chosen: Any) -> httpx.Response:
        return post(served, {**ask("dot 2"), "speceyes": chosen})

    assert with_overrides(threshold=0.5).json()["speceyes"]["route"] == "small"
    for chosen, told in (
        ({"threshold": 0.4}, "between 0.5 and 1, not 0.4"),
        ({"gate": "mean"}, "'mean' cannot be chosen; min can"),
        ({"treshold": 1}, "'speceyes.treshold'"),
    ):
        refused = with_overrides(**chosen)
        assert refused.status_code == 400
        assert told in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"model": "gpt"}, 404, "There is no model 'gpt' here; there is 'speceyes'."),
        ({"n": 2}, 400, "'n' is not supported"),
        ({"tools": [{"type": "function"}]}, 400, "'tools' is not supported"),
        ({"temperture": 0}, 400, "Unknown field 'temperture'; did you mean 'temperature'?"),
        ({"messages": "hello"}, 400, "messages: Input should be a valid"),
        (ask("x", *[data_url()] * 40), 400, "has 40 pictures; 32 at most"),
        (ask("", data_url()), 400, "no question"),
        (ask("x" * 400_001), 400, "400,001 characters"),
        (ask("x", "/etc/passwd"), 400, "must be a data URL"),
        (ask("x", "file:///etc/passwd"), 400, "must be a data URL"),
        (ask("x", "http://127.0.0.1/a.png"), 400, "not fetched here"),
        (ask("x", "data:image/png;base64,AAAA"), 400, "no picture"),
        (ask("x", data_url()[:90]), 400, "cannot be used"),
        (ask("x", data_url((4000, 3000))), 400, "4000x3000 pixels; 1,000,000 at most"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    serve: Serve, change: dict[str, Any], status: int, told: str
) -> None:
    response = post(serve(max_picture_pixels=1_000_000), {**ask(), **change})
    assert response.status_code == status
    error = response.json()["error"]
    assert told in error["message"]
    assert error["type"] == "invalid_request_error"
    assert set(error) == {"message", "type", "param", "code"}


def test_bodies_that_are_no_request(serve: Serve) -> None:
    served = serve(max_picture_mb=0.01)
    for body in (b"", b"{", b"[]", b"null", b"\xff", b'"x"', b"[" * 5_000):
        assert post(served, body).status_code == 400
    large = post(served, b"x" * 2_000_000)
    assert large.status_code == 413
    assert "more than 1,062,556 bytes" in large.json()["error"]["message"]
    assert get(served, "/nowhere").json()["error"]["message"].startswith("There is no GET /nowhere")
    assert get(served, "/v1/chat/completions").status_code == 405
    assert post(served, ask()).status_code == 200


def test_a_key_is_asked_for_and_never_told(serve: Serve) -> None:
    served = serve(serve_api_key="secret")
    with served.client(api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()
    for headers in ({}, {"Authorization": "secret"}, {"Authorization": "Bearer wrong"}):
        refused = post(served, ask(), **headers)
        assert refused.status_code == 401
        assert "secret" not in refused.text
    with served.client(api_key="secret") as client:
        assert [model.id for model in client.models.list()] == ["speceyes"]
        assert client.models.retrieve("speceyes").id == "speceyes"
    for path in ("/healthz", "/health"):
        assert get(served, path).status_code == 200


def test_a_full_house_is_told_at_once_and_recovers(serve: Serve) -> None:
    served = serve("scripted?delay=0.3", batch_size=1, max_waiting=0)
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: post(served, ask()), range(24)))
    by_status = [answer.status_code for answer in answers]
    assert set(by_status) == {200, 429}
    assert by_status.count(200) >= served.queue.capacity
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert post(served, ask()).status_code == 200
    assert get(served, "/readyz").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_leaves_nothing_running(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    for module in (app, streams):
        monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    served = serve("scripted?delay=0.2", batch_size=1)
    body = json.dumps({**ask("dot 0"), "stream": stream}).encode()
    where = urlsplit(served.url)
    connections = []
    for _ in range(4):
        connection = socket.create_connection((where.hostname, where.port))
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        connections.append(connection)
    assert eventually(lambda: served.queue.live == 4)
    for connection in connections:
        connection.close()
    assert eventually(lambda: served.queue.live == 0)
    calls = sum(len(engine.batches) for engine in served.engines.values())
    assert calls < 4 * 3  # a screen and two turns each, had they stayed
    assert post(served, ask()).status_code == 200


def test_a_failed_question_is_the_servers_error_and_the_next_is_answered(serve: Serve) -> None:
    served = serve("scripted?fail=1&crash=4")
    for number in (1, 4):
        failed = post(served, ask(f"dot {number}"))
        assert failed.status_code == 500
        assert failed.json()["error"]["code"] == "failed"
        assert "not for me" not in failed.text
    assert post(served, ask("dot 7")).status_code == 200


def test_prometheus_is_told_routes_rates_latencies_and_the_queue(serve: Serve) -> None:
    served = serve()
    for number in range(6):
        post(served, ask(f"dot {number}"))
    post(served, b"{")
    text = get(served, "/metrics").text
    assert metric(text, 'speceyes_answers_total{route="small"}') == 2
    assert metric(text, 'speceyes_answers_total{route="large"}') == 4
    assert metric(text, "speceyes_beta") == pytest.approx(4 / 6)
    assert metric(text, "speceyes_alpha") == 0.5
    assert metric(text, 'speceyes_phase_seconds_count{phase="screen"}') == 6
    assert metric(text, 'speceyes_request_seconds_count{route="small"}') == 2
    assert metric(text, 'speceyes_responses_total{status="400"}') == 1
    assert metric(text, "speceyes_waiting") == metric(text, "speceyes_live") == 0
    assert metric(text, "process_resident_memory_bytes") > 0


def test_system_text_reaches_the_models(serve: Serve) -> None:
    body = ask("What colour?")
    body["messages"].insert(0, {"role": "system", "content": "Only dot 1 counts."})
    answer = post(serve(), body).json()
    assert answer["choices"][0]["message"]["content"] == "green"


def test_the_embedded_pair_answers(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes")
    answer = post(served, ask("What colour is the disc?\nOptions:\nA. red\nB. blue")).json()
    assert answer["speceyes"]["route"] in ("small", "large")
    assert isinstance(answer["choices"][0]["message"]["content"], str)


def test_pictures_in_the_forms_that_clients_send(serve: Serve) -> None:
    served = serve()
    url = data_url()
    capitals = url.replace("data:image/png;base64,", "DATA:IMAGE/PNG;BASE64,")
    for form in (capitals, data_url(form="AVIF"), data_url(form="WEBP"), data_url(form="GIF")):
        assert post(served, ask("dot 1", form)).status_code == 200


def test_a_body_may_come_as_gzip(serve: Serve) -> None:
    served = serve(max_picture_mb=0.01)
    packed = gzip.compress(json.dumps(ask("dot 1")).encode())
    kind = {"Content-Encoding": "gzip"}
    assert post(served, packed, **kind).json()["choices"][0]["message"]["content"] == "green"
    for broken in (packed[:40], b"no gzip", b""):
        assert post(served, broken, **kind).status_code == 400
    bomb = gzip.compress(b" " * 50_000_000)
    assert post(served, bomb, **kind).status_code == 413
    refused = post(served, packed, **{"Content-Encoding": "br"})
    assert refused.status_code == 415
    assert "not as 'br'" in refused.json()["error"]["message"]


def test_pages_of_other_origins_may_ask_where_the_operator_says_so(serve: Serve) -> None:
    page = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}

    def preflight(served: Served) -> httpx.Response:
        return httpx.options(f"{served.url}/v1/chat/completions", headers=page, timeout=30)

    assert "access-control-allow-origin" not in preflight(serve()).headers
    served = serve(cors_origins="https://a.example, https://b.example", serve_api_key="k")
    assert preflight(served).headers["access-control-allow-origin"] == "https://a.example"
    refused = post(served, ask(), Origin="https://a.example")
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://a.example"
    answered = post(served, ask(), Origin="https://a.example", Authorization="Bearer k")
    assert "X-SpecEyes-Route" in answered.headers["access-control-expose-headers"]


def test_a_model_whose_name_has_a_slash_is_found(serve: Serve) -> None:
    with serve(served_name="lab/eyes").client() as client:
        assert client.models.retrieve("lab/eyes").id == "lab/eyes"
        with pytest.raises(openai.NotFoundError, match="'lab/other'"):
            client.models.retrieve("lab/other")


def test_quiet_hours_do_not_count_in_when_to_come_again(serve: Serve) -> None:
    served = serve("scripted?delay=0.3", batch_size=1, method="baseline")
    for seconds in (2, 0):
        assert post(served, ask("dot 1")).status_code == 200
        time.sleep(seconds)
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(post, served, ask("dot 1")) for _ in range(8)]
        assert eventually(lambda: served.queue.live + served.queue.waiting == 8)
        again = served.queue.retry_after()
        assert {one.result().status_code for one in sent} == {200}
    assert again < 8


def test_a_limit_on_agent_loops_keeps_no_other_question_waiting(serve: Serve) -> None:
    served = serve("scripted?delay=0.5", fallbacks=1)
    with ThreadPoolExecutor(1) as pool:
        falls_back = pool.submit(post, served, ask("dot 0"))
        assert eventually(lambda: served.queue.live == 1)
        assert post(served, ask("dot 1")).json()["speceyes"]["route"] == "small"
        assert not falls_back.done()
        assert falls_back.result().json()["speceyes"]["route"] == "large"
