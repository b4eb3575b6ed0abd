"""From a record to what OpenAI's clients read, with the decision beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from speceyes_cli.core.chat import Role
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.run.records import Record
from speceyes_cli.serve.live import Chunk, Event, Said, Step, Thought
from speceyes_cli.serve.queue import AnsweredRequest
from speceyes_cli.serve.savings import as_json

CUT = ("turn_limit", "max_tokens")
"""Why an answer stopped that is a length, as far as OpenAI's words go."""
WRITING = ("draft", "propose", "agent", "answer")
"""The phases in which a model may write what becomes the answer."""
IMPOSSIBLE = -9999.0
"""What OpenAI's interface says of a log-probability that there is none of."""


def decision(answered: AnsweredRequest, gate: Gate) -> dict[str, Any]:
    """The extension field: who answered, how sure the gate was, and what it cost."""
    record = answered.record
    certified = {} if answered.certified is None else {"certified": answered.certified}
    return {
        "route": record.route,
        **certified,
        "confidence": confidence_of(record),
        "threshold": gate.threshold,
        "gate": gate.name,
        "passed_screen": record.passed_screen,
        "turns": _turns(record),
        "small_tokens": record.small_tokens,
        "large_tokens": record.large_tokens,
        "usage": {role: usage_of(record, role) for role in ("small", "large")},
        "saved": as_json(answered.saving),
        "phase_seconds": record.phase_seconds,
        "waited_seconds": answered.waited,
        "elapsed_seconds": record.elapsed,
    }


def decision_headers(answered: AnsweredRequest, gate: Gate) -> dict[str, str]:
    """The decision for proxies and logs that do not read bodies."""
    record = answered.record
    headers = route_headers(record.route, confidence_of(record), gate)
    if answered.certified is not None:
        headers["X-SpecEyes-Certified"] = "yes" if answered.certified else "no"
    headers["X-SpecEyes-Seconds"] = f"{answered.waited + record.elapsed:.3f}"
    return headers


def route_headers(route: str, confidence: float | None, gate: Gate) -> dict[str, str]:
    """What of the decision is known before the answer is."""
    headers = {
        "X-SpecEyes-Route": route,
        "X-SpecEyes-Threshold": f"{gate.threshold:g}",
        "X-SpecEyes-Gate": gate.name,
    }
    if confidence is not None:
        headers["X-SpecEyes-Confidence"] = f"{confidence:.6f}"
    return headers


class ReplyForm:
    """How one request's answer is written: as a whole, or as the events of a stream."""

    def __init__(self, head: Mapping[str, Any], gate: Gate, *, logprobs: bool, usage: bool) -> None:
        """`head` are `id`, `created` and `model`; `usage` is wanted at the end of a stream."""
        self._head = {**head, "id": f"chatcmpl-{head['id']}"}
        self._gate = gate
        self._logprobs = logprobs
        self._usage = usage

    def whole(self, answered: AnsweredRequest) -> dict[str, Any]:
        """A chat completion."""
        message = {"role": "assistant", "content": answered.record.text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": logprobs_of(answered) if self._logprobs else None,
            "finish_reason": _finish(answered),
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": usage(answered.record),
            "speceyes": decision(answered, self._gate),
        }

    def opening(self) -> str:
        """The beginning of a stream whose answer is not there yet."""
        return self._chunk({"role": "assistant", "content": ""})

    def event(self, told: Event) -> str:
        """What happened, as an event of the stream."""
        match told:
            case Thought(text=text):
                return self._chunk({"reasoning_content": text})
            case Said(text=text):
                return self._chunk({"content": text})
            case Step(facts=facts):
                return self._chunk({}, speceyes=dict(facts))
            case Chunk(body=body):
                return event(body)

    def events(self, answered: AnsweredRequest, said: str | None = None) -> Iterator[str]:
        """The answer, its end, and where wanted its usage.

        `said` is what of the answer has been sent; None: the stream has not been opened.
        """
        text = answered.record.text or ""
        rest = text.removeprefix(said or "")
        logprobs = logprobs_of(answered) if self._logprobs else None
        if said is None:
            yield self._chunk({"role": "assistant", "content": text}, logprobs=logprobs)
        elif rest:
            yield self._chunk({"content": rest}, logprobs=logprobs)
        yield self._chunk({}, _finish(answered), speceyes=decision(answered, self._gate))
        if self._usage:
            body = {"object": "chat.completion.chunk", "choices": []}
            yield event({**self._head, **body, "usage": usage(answered.record)})
        yield "data: [DONE]\n\n"

    def _chunk(
        self, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None, **more: Any
    ) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        body = {"object": "chat.completion.chunk", "choices": [choice], **more}
        return event({**self._head, **body})


def logprobs_of(answered: AnsweredRequest) -> dict[str, Any] | None:
    """An accepted draft's tokens; of what the large model writes none are kept."""
    record = answered.record
    if record.draft is None or record.route != "small":
        return None
    content = []
    for token in record.draft.tokens:
        value = IMPOSSIBLE if token.logprob is None else token.logprob
        named = {"token": token.text, "logprob": value, "bytes": list(token.text.encode())}
        content.append({**named, "top_logprobs": [named]})
    return {"content": content, "refusal": None}


def event(body: Mapping[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(body, allow_nan=False)}\n\n"


def usage(record: Record) -> dict[str, Any]:
    """Tokens that both models read and wrote, in every call for this answer."""
    small, large = usage_of(record, "small"), usage_of(record, "large")
    prompt, generated, cached = (
        small[name] + large[name]
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens")
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": generated,
        "total_tokens": prompt + generated,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def usage_of(record: Record, role: Role) -> dict[str, int]:
    """Tokens that one model read and wrote; what an endpoint does not tell is not counted."""
    calls = [call for call in record.calls if call.role == role]
    return {
        "calls": len(calls),
        "prompt_tokens": sum(call.prompt_tokens or 0 for call in calls),
        "cached_tokens": sum(call.cached_tokens for call in calls),
        "completion_tokens": sum(call.tokens for call in calls),
    }


def confidence_of(record: Record) -> float | None:
    """The draft's confidence, also where `max_tokens` ended the agent's loop; None without one."""
    if record.confidence is None and record.draft is not None:
        return record.draft.confidence
    return record.confidence


def _turns(record: Record) -> int:
    """The agent's turns; a loop that `max_tokens` ended has told none itself."""
    told = record.details.get("turns")
    return sum(call.phase == "agent" for call in record.calls) if told is None else len(told)


def is_cut(answered: AnsweredRequest) -> bool:
    """Whether the answer ended for its length: what an agent reads of it may look whole."""
    record = answered.record
    written = [c for c in record.calls if c.role == record.route and c.phase in WRITING]
    cut = bool(written) and written[-1].finish == "length"
    return cut or record.details.get("stopped") in CUT


def _finish(answered: AnsweredRequest) -> str:
    return "length" if is_cut(answered) else "stop"
