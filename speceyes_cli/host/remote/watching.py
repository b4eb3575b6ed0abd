"""Streams that are looked at while they come, by whoever began the request."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

Watcher = Callable[[bytes], None]
"""Called with each piece of a stream of events, and with nothing when one begins, or begins anew
since the request was tried again."""

WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Requests that are made within the block, and the tasks that are begun there, are watched."""
    token = WATCHER.set(watcher)
    try:
        yield
    finally:
        WATCHER.reset(token)
