"""Chat completions that come in pieces, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from speceyes_cli.plugin import THOUGHT_BEGIN, THOUGHT_END
from speceyes_plugins.engines.server_events import EventReader

STREAMED: Mapping[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
TEXTS = ("content", "reasoning_content", "reasoning")


class Assembly:
    """A chat completion, put together from the chunks of a stream."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` is called with the text so far, thoughts included, whenever there is more."""
        self._tell = tell
        self._reader = EventReader()
        self._clear()

    def feed(self, data: bytes) -> None:
        """Take bytes as they come; no bytes: the stream begins, perhaps anew."""
        if not data:
            self._clear()
        self.add(self._reader.feed(data))

    def add(self, chunks: Iterable[Mapping[str, Any]]) -> None:
        """Take chunks as they come."""
        before = len(self.message.get("content", "")), len(self._message_thought())
        for chunk in chunks:
            self._add(chunk)
        if before != (len(self.message.get("content", "")), len(self._message_thought())):
            self._tell(whole_text(self.message))

    @property
    def _finish(self) -> Any:
        return self._choice.get("finish_reason")

    @property
    def body(self) -> dict[str, Any]:
        """The completion so far."""
        if self.error is not None:
            return {"error": self.error}
        calls = {"tool_calls": list(self._calls.values())} if self._calls else {}
        message = {**self.message, **calls}
        return {"choices": [{**self._choice, "message": message}], "usage": self._usage}

    def _clear(self) -> None:
        self.message: dict[str, Any] = {}
        self.error: Any = None
        self._calls: dict[int, dict[str, Any]] = {}
        self._choice: dict[str, Any] = {}
        self._usage: Any = None

    def _message_thought(self) -> str:
        names = ("reasoning_content", "reasoning")
        return next((str(self.message[name]) for name in names if self.message.get(name)), "")

    def _add(self, chunk: Mapping[str, Any]) -> None:
        self.error = chunk.get("error", self.error)
        self._usage = chunk.get("usage") or self._usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping):
                continue
            for name in ("stop_reason", "matched_stop"):
                if name in choice:
                    self._choice[name] = choice[name]
            self._choice["finish_reason"] = choice.get("finish_reason") or self._finish
            delta = choice.get("delta")
            if not isinstance(delta, Mapping):
                continue
            for name in TEXTS:
                if isinstance(piece := delta.get(name), str):
                    self.message[name] = self.message.get(name, "") + piece
            calls = delta.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                if isinstance(call, Mapping):
                    self._add_call(call)

    def _add_call(self, piece: Mapping[str, Any]) -> None:
        """A piece of a call: its id and name come at once, its arguments bit by bit."""
        place = piece.get("index")
        known = self._calls.setdefault(
            place if isinstance(place, int) else len(self._calls),
            {"id": "", "function": {"name": "", "arguments": ""}},
        )
        if isinstance(said := piece.get("id"), str):
            known["id"] = known["id"] or said
        function = piece.get("function")
        if isinstance(function, Mapping):
            for name in known["function"]:
                if isinstance(said := function.get(name), str):
                    known["function"][name] += said


def whole_text(message: Mapping[str, Any]) -> str:
    """What the model wrote: a thought that a reasoning parser took out stands before the answer."""
    thoughts = (message.get(name) for name in ("reasoning_content", "reasoning"))
    thought = next((one for one in thoughts if isinstance(one, str) and one.strip()), "")
    said = str(message.get("content") or "")
    return f"{THOUGHT_BEGIN}{thought}{THOUGHT_END}{said}" if thought else said
