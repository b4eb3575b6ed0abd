"""An answer as OpenAI's Responses interface has it, whole or as the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.serve.http.answers import decision, event, is_cut, logprobs_of, usage
from speceyes_cli.serve.live import Event, Said, Thought
from speceyes_cli.serve.queue import AnsweredRequest

NOTHING = ": a step\n\n"


class ResponseForm:
    """How one request's answer is written; see `answers.ReplyForm`, whose methods it has."""

    def __init__(
        self,
        head: Mapping[str, Any],
        gate: Gate,
        *,
        logprobs: bool,
        usage: bool,  # noqa: ARG002 - it is always told here
    ) -> None:
        """`head` are `id`, `created` and `model`."""
        key = str(head["id"])
        self._about = {
            "id": f"resp_{key}",
            "object": "response",
            "created_at": head["created"],
            "model": head["model"],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "temperature": 0.0,
            "error": None,
        }
        self._gate = gate
        self._logprobs = logprobs
        self._thought_key, self._message_key = f"rs_{key}", f"msg_{key}"
        self._number = 0
        self._thought = ""
        self._thinking = False
        self._speaking = False
        self._said = ""

    def whole(self, answered: AnsweredRequest) -> dict[str, Any]:
        """A response."""
        message = self._message(answered.record.text or "", answered)
        return self._response(answered, [message])

    def opening(self) -> str:
        """The beginning of a stream."""
        begun = {**self._about, "status": "in_progress", "output": [], "usage": None}
        return self._event("created", response=begun) + self._event("in_progress", response=begun)

    def event(self, told: Event) -> str:
        """What happened, as events of the stream."""
        match told:
            case Thought(text=text):
                return self._think(text)
            case Said(text=text):
                return self._say(text)
        return NOTHING  # this interface has no place for steps

    def events(self, answered: AnsweredRequest, said: str | None = None) -> Iterator[str]:
        """The answer and its end; `said` as in `ReplyForm.events`."""
        if said is None:
            yield self.opening()
        text = answered.record.text or ""
        yield self._say(text.removeprefix(said or ""))
        place = self._place
        where = {"item_id": self._message_key, "output_index": place, "content_index": 0}
        part = self._part(text, answered)
        yield self._event("output_text.done", **where, text=text, logprobs=part["logprobs"])
        yield self._event("content_part.done", **where, part=part)
        message = self._message(text, answered)
        yield self._event("output_item.done", output_index=place, item=message)
        output = [*([self._thought_item("completed")] if self._thought else []), message]
        kind = "incomplete" if is_cut(answered) else "completed"
        yield self._event(kind, response=self._response(answered, output))

    @property
    def _place(self) -> int:
        return int(bool(self._thought))

    def _think(self, text: str) -> str:
        out = ""
        if self._speaking:
            return out
        where = {"item_id": self._thought_key, "output_index": 0, "content_index": 0}
        if not self._thinking:
            self._thinking = True
            item = self._thought_item("in_progress")
            out = self._event("output_item.added", output_index=0, item=item)
            out += self._event("content_part.added", **where, part=self._thought_part)
        self._thought += text
        return out + self._event("reasoning_text.delta", **where, delta=text)

    def _say(self, text: str) -> str:
        out = ""
        if self._thinking:
            self._thinking = False
            where = {"item_id": self._thought_key, "output_index": 0, "content_index": 0}
            out += self._event("reasoning_text.done", **where, text=self._thought)
            out += self._event("content_part.done", **where, part=self._thought_part)
            item = self._thought_item("completed")
            out += self._event("output_item.done", output_index=0, item=item)
        where = {"item_id": self._message_key, "output_index": self._place, "content_index": 0}
        if not self._speaking:
            self._speaking = True
            item = {**self._message("", None), "status": "in_progress", "content": []}
            out += self._event("output_item.added", output_index=self._place, item=item)
            out += self._event("content_part.added", **where, part=self._part("", None))
        if text:
            out += self._event("output_text.delta", **where, delta=text, logprobs=[])
        return out

    @property
    def _thought_part(self) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": self._thought}

    def _thought_item(self, status: str) -> dict[str, Any]:
        content = [self._thought_part] if self._thought else []
        about = {"id": self._thought_key, "type": "reasoning", "summary": []}
        return {**about, "content": content, "status": status}

    def _message(self, text: str, answered: AnsweredRequest | None) -> dict[str, Any]:
        cut = answered is not None and is_cut(answered)
        return {
            "id": self._message_key,
            "type": "message",
            "role": "assistant",
            "status": "incomplete" if cut else "completed",
            "content": [self._part(text, answered)],
        }

    def _part(self, text: str, answered: AnsweredRequest | None) -> dict[str, Any]:
        found = logprobs_of(answered) if self._logprobs and answered is not None else None
        tokens = found["content"] if found else []
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": tokens}

    def _response(self, answered: AnsweredRequest, output: list[Any]) -> dict[str, Any]:
        cut = is_cut(answered)
        told = usage(answered.record)
        return {
            **self._about,
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": output,
            "usage": {
                "input_tokens": told["prompt_tokens"],
                "input_tokens_details": {
                    "cached_tokens": told["prompt_tokens_details"]["cached_tokens"],
                    "cache_write_tokens": 0,
                },
                "output_tokens": told["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": told["total_tokens"],
            },
            "speceyes": decision(answered, self._gate),
        }

    def _event(self, kind: str, **facts: Any) -> str:
        number, self._number = self._number, self._number + 1
        name = f"response.{kind}"
        body = event({"type": name, "sequence_number": number, **facts})
        return f"event: {name}\n{body}"
