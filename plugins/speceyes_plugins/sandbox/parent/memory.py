"""Memory of all sessions together, within one budget.

A block that runs counts with all that its two workers may take, since nobody knows yet; a worker
that is stopped between blocks counts with what it holds. A block waits while there is no room and
others run. When none runs, waiting would not help: the sessions that have not been used for the
longest time lose their workers, and with them their variables, until there is room.
"""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

PAGE: Final = resource.getpagesize()


def private_bytes(pid: int) -> int:
    """Resident memory of a process that no file stands behind, shared with its parent or not.

    Raises:
        OSError: the process is gone, or /proc is not there.
    """
    _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return (int(resident) - int(shared)) * PAGE


class Holder(Protocol):
    """A session, as far as its memory goes."""

    def held(self) -> int:
        """Bytes that its stopped worker holds; 0: it has none."""

    def put_away(self) -> None:
        """End its stopped worker."""


class MemoryBudget:
    """Admits blocks; safe to use from several threads.

    Args:
        total: bytes that all sessions may hold together.
        block: bytes that a running block may take; one block may always run.
    """

    def __init__(self, total: int, block: int) -> None:
        self._total = total
        self._block = block
        self._changed = threading.Condition()
        self._running = 0
        self._stopped: dict[Holder, int] = {}  # the one not used for the longest time first

    @contextlib.contextmanager
    def block(self, session: Holder) -> Iterator[None]:
        """Wait for room, and take it while a block of the session runs."""
        with self._changed:
            self._stopped.pop(session, None)
            while not self._has_room():
                if self._running:
                    self._changed.wait()
                else:
                    first = next(iter(self._stopped))
                    del self._stopped[first]
                    first.put_away()
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._stopped[session] = session.held()
                self._changed.notify_all()

    def add(self, session: Holder) -> None:
        """Count a session that has run nothing yet."""
        with self._changed:
            self._stopped[session] = session.held()

    def remove(self, session: Holder) -> None:
        """Count the session no longer, nor put it away."""
        with self._changed:
            self._stopped.pop(session, None)
            self._changed.notify_all()

    def _has_room(self) -> bool:
        if not self._running and not self._stopped:
            return True
        taken = (self._running + 1) * self._block + sum(self._stopped.values())
        return taken <= self._total
