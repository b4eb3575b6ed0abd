"""From a record to what OpenAI's clients read, with the decision beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.serve.queue import AnsweredRequest


def decision(answered: AnsweredRequest, gate: Gate) -> dict[str, Any]:
    """The extension field: who answered, how sure the gate was, and what it cost."""
    record = answered.record
    return {
        "route": record.route,
        "confidence": record.confidence,
        "threshold": gate.threshold,
        "gate": gate.name,
        "passed_screen": record.passed_screen,
        "turns": len(record.details.get("turns", ())),
        "small_tokens": record.small_tokens,
        "large_tokens": record.large_tokens,
        "phase_seconds": record.phase_seconds,
        "waited_seconds": answered.waited,
        "elapsed_seconds": record.elapsed,
    }


def decision_headers(answered: AnsweredRequest, gate: Gate) -> dict[str, str]:
    """The decision for proxies and logs that do not read bodies."""
    record = answered.record
    headers = {
        "X-SpecEyes-Route": record.route,
        "X-SpecEyes-Threshold": f"{gate.threshold:g}",
        "X-SpecEyes-Gate": gate.name,
        "X-SpecEyes-Seconds": f"{answered.waited + record.elapsed:.3f}",
    }
    if record.confidence is not None:
        headers["X-SpecEyes-Confidence"] = f"{record.confidence:.6f}"
    return headers


def completion(
    key: str, created: int, model: str, answered: AnsweredRequest, gate: Gate
) -> dict[str, Any]:
    """A whole chat completion."""
    return {
        "id": key,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answered.record.text, "refusal": None},
                "logprobs": None,
                "finish_reason": _finish(answered),
            }
        ],
        "usage": _usage(answered),
        "speceyes": decision(answered, gate),
    }


def events(
    key: str, created: int, model: str, answered: AnsweredRequest, gate: Gate, *, usage: bool
) -> Iterator[str]:
    """The same as server-sent events: the answer, its end, and where wanted its usage."""
    head = {"id": key, "object": "chat.completion.chunk", "created": created, "model": model}

    def chunk(delta: dict[str, Any], finish: str | None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**head, "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": answered.record.text}, None)
    yield chunk({}, _finish(answered), speceyes=decision(answered, gate))
    if usage:
        yield event({**head, "choices": [], "usage": _usage(answered)})
    yield "data: [DONE]\n\n"


def event(body: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(body, allow_nan=False)}\n\n"


def _finish(answered: AnsweredRequest) -> str:
    """The agent's turn limit is a length, as far as OpenAI's words go."""
    return "length" if answered.record.details.get("stopped") == "turn_limit" else "stop"


def _usage(answered: AnsweredRequest) -> dict[str, int]:
    """Tokens that both models generated; engines do not tell those they read."""
    generated = answered.record.small_tokens + answered.record.large_tokens
    return {"prompt_tokens": 0, "completion_tokens": generated, "total_tokens": generated}
