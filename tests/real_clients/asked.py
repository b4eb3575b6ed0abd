"""What clients ask a served embedded pair, and the endpoint's own answers to it."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import httpx2 as httpx
from speceyes_datasets.needle.plugin import make_sample

from speceyes_cli.core.samples import question_text

KEY = "sk-of-the-endpoint"
Messages = list[dict[str, Any]]


class Question(NamedTuple):
    """A conversation, and how it is answered."""

    messages: Messages
    text: str
    route: str
    prompt_tokens: int


class Questions(NamedTuple):
    """One of each kind."""

    accepted: Question
    """The draft stands."""
    fallen_back: Question
    history: Question
    several: Question
    words: Question


class Endpoint(NamedTuple):
    """The endpoint, asked by no client's library."""

    address: str

    def answer(self, messages: Messages) -> Question:
        """The answer to a conversation."""
        body = {"model": "speceyes", "messages": messages}
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{self.address}/v1/chat/completions"
        told = httpx.post(url, json=body, headers=headers, timeout=60).raise_for_status().json()
        text = told["choices"][0]["message"]["content"]
        return Question(messages, text, told["speceyes"]["route"], told["usage"]["prompt_tokens"])

    def metric(self, name: str) -> float:
        """A figure of /metrics; of several by labels their sum."""
        text = httpx.get(f"{self.address}/metrics", timeout=60).text
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)))


def make_questions(endpoint: Endpoint) -> Questions:
    """One question of each kind; the words of a turn stand before its pictures."""
    pictures = (needle(seed) for seed in count())
    answered = (endpoint.answer([user(*one)]) for one in pictures)
    found: dict[str, Question] = {}
    while len(found) < 2:
        one = next(answered)
        found.setdefault(one.route, one)
    accepted, fallen_back = found["small"], found["large"]
    history = [
        *accepted.messages,
        {"role": "assistant", "content": accepted.text},
        user("What colour is the dot on the white disc?"),
    ]
    two = user("Which colour has the dot in the first picture?", needle(1)[1], needle(2)[1])
    return Questions(
        accepted,
        fallen_back,
        endpoint.answer(history),
        endpoint.answer([two]),
        endpoint.answer([user("Hi")]),
    )


def needle(seed: int) -> tuple[str, str]:
    """A question of the benchmark, and its picture as a data URL."""
    sample = make_sample("direct_attributes", seed)
    out = io.BytesIO()
    sample.picture.open().save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    return question_text(sample).removeprefix("Question: "), url


def user(words: str, *pictures: str) -> dict[str, Any]:
    """A user's turn."""
    if not pictures:
        return {"role": "user", "content": words}
    shown = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    return {"role": "user", "content": [{"type": "text", "text": words}, *shown]}


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it comes to hold."""
    ends = time.monotonic() + seconds
    while not holds() and time.monotonic() < ends:
        time.sleep(0.05)
    return holds()
