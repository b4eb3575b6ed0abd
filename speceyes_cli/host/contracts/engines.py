"""Engines, watched: one reply or exception for each ask, and frames where pictures were shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speceyes_cli.core.chat import (
    Ask,
    Engine,
    Forwarding,
    Preparing,
    Rehearsing,
    Reply,
    chat_pictures,
)
from speceyes_cli.core.errors import PluginError
from speceyes_cli.host.offers import Offer
from speceyes_cli.host.type_check import misfit

METHODS = ("generate(asks)", "forget(trajectory)", "describe()", "close()")
NUMBERS = ("max_batch", "workers")


def watch_engine(engine: Any, offer: Offer) -> Engine:
    """The engine, watched; `PluginError` when it lacks a method or a number."""
    for method in METHODS:
        if not callable(getattr(engine, method.partition("(")[0], None)):
            raise offer.wrong(f"has no method {method}")
    for name in NUMBERS:
        value: Any = getattr(engine, name, None)
        if misfit(value, int) or value < 1:
            raise offer.wrong(f"is not complete: its {name} is {value!r}, not 1 or more")
    if wrong := misfit(getattr(engine, "group", None), str):
        raise offer.wrong(f"is not complete: its group {wrong}")
    return WatchedEngine(engine, offer)


class WatchedEngine:
    """An engine whose replies are what the program expects, or errors that name it."""

    def __init__(self, engine: Engine, offer: Offer) -> None:
        self._engine = engine
        self._offer = offer
        # isinstance asks no __getattr__ from Python 3.12 on: what it also has must be here by name
        if hasattr(engine, "introduction"):
            self.introduction = str(engine.introduction)
        if isinstance(engine, Preparing):
            self.prepare = engine.prepare
        if isinstance(engine, Rehearsing):
            self.rehearse = engine.rehearse
        if isinstance(engine, Forwarding):
            self.forward = engine.forward

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @property
    def max_batch(self) -> int:
        """The engine's own."""
        return self._engine.max_batch

    @property
    def workers(self) -> int:
        """The engine's own."""
        return self._engine.workers

    @property
    def group(self) -> str:
        """The engine's own."""
        return self._engine.group

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """The engine's replies, each checked; `PluginError` where they are too few or too many."""
        with self._offer.named("generate"):
            replies = self._engine.generate(asks)
        if isinstance(replies, str) or not isinstance(replies, Sequence):
            raise self._offer.wrong("gives no list of replies from generate")
        if len(replies) != len(asks):
            raise self._offer.wrong(f"gives {len(replies)} replies to {len(asks)} asks")
        return [self._checked(ask, reply) for ask, reply in zip(asks, replies, strict=True)]

    def forget(self, trajectory: str) -> None:
        """The engine's own."""
        with self._offer.named("forget"):
            self._engine.forget(trajectory)

    def describe(self) -> Mapping[str, Any]:
        """The engine's own."""
        with self._offer.told("describe"):
            return self._offer.check(self._engine.describe(), Mapping, "describe")

    def close(self) -> None:
        """The engine's own."""
        with self._offer.told("close"):
            self._engine.close()

    def _checked(self, ask: Ask, reply: Reply | Exception) -> Reply | Exception:
        """The reply, or what is wrong with it in its place, so that no other ask is lost."""
        if isinstance(reply, Exception):
            return reply
        try:
            self._offer.check(reply, Reply, "generate")
        except PluginError as error:
            return error
        shown = len(chat_pictures(ask.messages))
        if len(reply.frames) == shown:
            return reply
        return self._offer.wrong(
            f"gives a reply with {len(reply.frames)} frames to an ask with {shown} pictures: "
            "Reply.frames holds each picture's size as the model saw it, and boxes are read in it"
        )
