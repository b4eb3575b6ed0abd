"""A client's program: a job a line from its input, what came of it a line to its output.

    python PROGRAM URL KEY

A job is `{"job": NAME, "messages": [...]}`, the messages as a chat completion has them. What came
of it is `text`, `prompt_tokens` and, of a stream, in how many `pieces` it came; or `failed`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

Messages = list[dict[str, Any]]
Job = Callable[[Messages], dict[str, Any]]

URL, KEY = sys.argv[1:3]
MODEL = "speceyes"
SECONDS = 60.0


def work(jobs: Mapping[str, Job]) -> None:
    """Do what is asked until nothing more is."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a client prints is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = jobs[asked["job"]](asked["messages"])
        except Exception as error:  # noqa: BLE001 - the test tells of it
            told = {"failed": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(told) + "\n")
        out.flush()


def wait_until_asked() -> None:
    """Until the server is at work on a question."""
    address = URL.removesuffix("/v1") + "/metrics"
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 - loopback
            if "\nspeceyes_live 0.0\n" not in answer.read().decode():
                return
        time.sleep(0.01)
    raise TimeoutError("the question did not reach the server")


def as_input(messages: Messages) -> Messages:
    """The messages as the Responses interface has them."""
    return [{"role": one["role"], "content": _content(one)} for one in messages]


def _content(message: dict[str, Any]) -> Any:
    content = message["content"]
    if isinstance(content, str):
        return content
    return [
        {"type": "input_text", "text": part["text"]}
        if part["type"] == "text"
        else {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
        for part in content
    ]
