"""One sandbox per run, one session per trajectory."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from speceyes_cli.plugin import Observation, Picture, ToolError
from speceyes_plugins.sandbox import BlockResult, Sandbox, Session
from speceyes_plugins.sandbox.values import Backend, State

TEXT_SHOWN = 4000  # characters of printed text the model gets to read
CUT = "\n[output cut]"


class SandboxSessions:
    """Starts the sandbox at the first block and keeps each trajectory's session."""

    def __init__(self, state: State, backend: Backend) -> None:
        self._state: State = state
        self._backend: Backend = backend
        self._lock = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._sessions: dict[str, Session] = {}

    def run(
        self, key: str, picture: Picture, code: str, others: Mapping[int, Picture] | None = None
    ) -> Observation | ToolError:
        """Run one block of the trajectory `key`; `others` are its further pictures, by place.

        Raises:
            SandboxRefusedError: isolation no longer holds; the run must stop.
        """
        result = self._session(key, picture, others or {}).run(code)
        return observe(result)

    def forget(self, key: str) -> None:
        """End the trajectory's session."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """End every session and the sandbox."""
        with self._lock:
            sessions, sandbox = list(self._sessions.values()), self._sandbox
            self._sessions.clear()
            self._sandbox = None
        for session in sessions:
            session.close()
        if sandbox is not None:
            sandbox.close()

    def _session(self, key: str, picture: Picture, others: Mapping[int, Picture]) -> Session:
        with self._lock:
            if self._sandbox is None:
                self._sandbox = Sandbox(state=self._state, backend=self._backend)
            sandbox = self._sandbox
            session = self._sessions.get(key)
        if session is None:
            further = {place: other.open() for place, other in others.items()}
            session = sandbox.open(picture.open(), further)
            with self._lock:
                self._sessions[key] = session
        return session


def observe(result: BlockResult) -> Observation | ToolError:
    """Pictures where there are some, else what was printed, else what went wrong."""
    pictures = tuple(
        Picture(f"result {i + 1} {image.width}x{image.height}", image.copy)
        for i, image in enumerate(result.images)
    )
    if result.error is not None and not pictures:
        text = f"{result.error.kind}: {result.error.text}"
        return ToolError(result.error.kind, text, result.repairs)
    notes = list(result.repairs)
    if result.error is not None:
        notes.append(f"{result.error.kind}: {result.error.text}")
    text = result.stdout.strip()
    if len(text) > TEXT_SHOWN and not pictures:
        text = text[:TEXT_SHOWN] + CUT
        notes.append(f"printed text cut at {TEXT_SHOWN} characters")
    return Observation(pictures or (text,), tuple(notes))
