"""Server-sent events as their bytes come."""

from __future__ import annotations

import json
from typing import Any


class EventReader:
    """The JSON objects of a stream of events, whatever pieces its bytes come in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that these bytes complete; no bytes: a stream begins."""
        if not data:
            self._rest = b""
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            if name != b"data" or value.strip() == b"[DONE]":
                continue
            try:
                event = json.loads(value)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                found.append(event)
        return found
