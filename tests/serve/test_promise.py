"""`speceyes serve --certificate --audit`: what is covered, what is audited, when it alarms."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
from speceyes_example.scripted import SURE

from speceyes_cli.analysis.watching.harm_test import Watched
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.samples import Sample
from speceyes_cli.serve.conversations import NO_PICTURE
from speceyes_cli.serve.promise import MOST_DUE, Promise, compare
from tests.serve.conftest import CERTIFIED, Served, ask, eventually, metric

Serve = Callable[..., Served]
MODEL = CERTIFIED


def post(served: Served, dot: int, **own: object) -> httpx.Response:
    body = ask(f"What colour is dot {dot}?") | ({"speceyes": own} if own else {})
    return httpx.post(f"{served.url}/v1/chat/completions", json=body, timeout=20)


def figure(served: Served, name: str) -> float:
    return metric(httpx.get(f"{served.url}/metrics").text, name)


def audits(served: Served, found: str) -> float:
    return figure(served, f'speceyes_audits{{found="{found}"}}')


def test_an_override_that_leaves_the_certificate_is_marked(serve: Serve, certificate: Path) -> None:
    served = serve(MODEL, certificate=certificate, screen="none", audit=1.0)
    own = post(served, 1)
    assert own.json()["speceyes"]["certified"] is True
    assert own.json()["speceyes"]["threshold"] == json.loads(certificate.read_text())["threshold"]
    assert own.headers["X-SpecEyes-Certified"] == "yes"
    assert post(served, 1, threshold=0.99).json()["speceyes"]["certified"] is True
    for leaving in ({"threshold": 0.1}, {"gate": "mean"}):
        answered = post(served, 1, **leaving)
        assert answered.json()["speceyes"]["certified"] is False
        assert answered.headers["X-SpecEyes-Certified"] == "no"
    assert eventually(lambda: audits(served, "harmless") == 2)
    assert audits(served, "harmful") == audits(served, "missing") == 0
    assert figure(served, "speceyes_promise_evidence") < 1


def test_an_endpoint_without_a_certificate_says_nothing_of_it(serve: Serve) -> None:
    answered = post(serve(MODEL, screen="none"), 1)
    assert "certified" not in answered.json()["speceyes"]
    assert "X-SpecEyes-Certified" not in answered.headers


def test_broken_promises_give_an_alarm_and_a_stricter_threshold(
    serve: Serve,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("speceyes_example.scripted.UNSURE", SURE)
    served = serve(MODEL, certificate=certificate, screen="none", audit=1.0, stricter_on_alarm=True)
    before = figure(served, "speceyes_promise_threshold")
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            assert post(served, 2).json()["speceyes"]["route"] == "small"
        assert eventually(lambda: figure(served, "speceyes_promise_alarms") >= 1)
    assert "the audits speak against the certificate's promise" in caplog.text
    assert figure(served, "speceyes_promise_threshold") == pytest.approx((1 + before) / 2, abs=0.1)
    assert post(served, 1).json()["speceyes"]["threshold"] > before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"certificate": None, "audit": 0.5}, "name it with --certificate"),
        ({"audit": 0.0}, "--audit is a share above 0"),
        ({"audit": 2.0}, "--audit is a share above 0"),
        ({"stricter_on_alarm": True}, "--stricter-on-alarm needs audits"),
        ({"screen": "large"}, "does not fit this run: screen"),
        ({"max_turns": 2}, "does not fit this run: max_turns"),
    ],
)
def test_what_a_certificate_does_not_speak_for(
    serve: Serve, certificate: Path, options: dict[str, object], told: str
) -> None:
    chosen = {"certificate": certificate, "screen": "none", **options}
    with pytest.raises(UsageError, match=told):
        serve(MODEL, **chosen)


@pytest.mark.parametrize(
    ("draft", "answer", "found"),
    [
        ("Red.", "red", "harmless"),
        ("yes", "No", "harmful"),
        ("red", "blue", "missing"),
        ("red", None, "missing"),
        ("red", "", "missing"),
    ],
)
def test_what_an_audit_finds(draft: str, answer: str | None, found: str) -> None:
    assert compare(make_question("1"), draft, answer) == found


def make_question(name: str) -> Sample:
    return Sample(name, "s", NO_PICTURE, "Is it?")


def test_answers_are_tested_in_order_and_left_out_while_too_many_audits_wait() -> None:
    gate = Gate("min", lambda _: 1.0, 64, 0.9)
    promise = Promise(gate, {("min", 64): 0.9}, Watched(0.05, 0.2, 1.0))
    for number in range(2 * MOST_DUE):
        promise.note(make_question(str(number)), "yes")
    promise.note(make_question("large"), None)
    begun = 0
    while promise.due:
        sample = promise.begin()
        assert not promise.due
        begun += 1
        promise.end(sample.key, "yes")
    assert begun == MOST_DUE
    assert promise.findings == {"harmless": MOST_DUE, "harmful": 0, "missing": 0}
    kept = promise.evidence
    promise.note(make_question("first"), "yes")
    promise.note(make_question("second"), None)
    assert promise.evidence == kept  # what follows an audit waits for it
    promise.end(promise.begin().key, None)
    assert promise.evidence > kept
    assert promise.findings["missing"] == 1
