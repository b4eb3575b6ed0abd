"""Keys and values that stay between the turns of a trajectory, within a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from speceyes_cli.plugin import Message, Picture
from speceyes_plugins.engines.transformers.positions import picture_starts


class Columns(NamedTuple):
    """The keys and values of one row, oldest token first."""

    layers: tuple[Tensor, ...]
    """Of each layer [2, 1, key heads, capacity, width]."""
    length: int
    """Columns in use, from the first on."""
    shared: bool = False
    """Other conversations go on from them too: they are copied, never written to."""

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(layer.untyped_storage().nbytes() for layer in self.layers)

    def cut(self, length: int) -> Columns:
        """The first tokens alone, in the same memory."""
        return self._replace(length=length)


class Common(NamedTuple):
    """How far two conversations are the same."""

    tokens: int
    pictures: int
    """Pictures among these tokens."""


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """What a model has read and written in a trajectory so far."""

    columns: Columns
    ids: tuple[int, ...]
    """The token of each column."""
    prompt: int
    """How many of them were read rather than written."""
    pictures: tuple[Picture, ...]
    messages: tuple[Message, ...]

    def common(self, ids: Sequence[int], pictures: Sequence[Picture], image_token: int) -> Common:
        """What is the same at the beginning of `ids`, a conversation with these pictures.

        The last of `ids` is never in it, since the model must read something, nor is a part of a
        picture.
        """
        found = min(common_tokens(self.ids, ids), len(ids) - 1)
        starts = picture_starts(ids[: found + 1], image_token)
        same = 0
        for start, mine, wanted in zip(starts, self.pictures, pictures, strict=False):
            if start >= found or mine is not wanted:
                return Common(min(start, found), same)
            same += 1
        return Common(found, same)

    def is_rewritten_by(self, messages: Sequence[Message], common: int) -> bool:
        """Whether a conversation that goes on from this one renders what was read differently.

        The last token of a prompt may join with what follows it.
        """
        goes_on = tuple(messages[: len(self.messages)]) == self.messages
        return goes_on and len(messages) > len(self.messages) and common < self.prompt - 1


def common_tokens(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two conversations begin with alike."""
    most = min(len(one), len(other))
    if tuple(one[:most]) == tuple(other[:most]):
        return most
    return next(i for i in range(most) if one[i] != other[i])


class KeptTurns:
    """The latest turn of each trajectory; the longest unused go first when the budget is full.

    Safe to share between the threads that generate and forget.
    """

    def __init__(self, budget: int) -> None:
        """`budget` is in bytes; with 0 nothing is kept."""
        self.budget = budget
        self._kept: OrderedDict[str, KeptTurn] = OrderedDict()
        self._held = 0
        self._used: dict[str, bool] = {}
        """Trajectories that are being answered, and whether they have ended meanwhile."""
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are kept."""
        return self._held

    def begin(self, trajectory: str) -> KeptTurn | None:
        """Take out what is kept of a trajectory that is about to be answered."""
        with self._lock:
            self._used[trajectory] = False
            return self._drop(trajectory)

    def end(self, trajectory: str, turn: KeptTurn | None) -> None:
        """Keep what came of it, unless the trajectory has ended meanwhile."""
        with self._lock:
            forgotten = self._used.pop(trajectory, False)
            if turn is None or forgotten or turn.columns.size > self.budget:
                return
            self._drop(trajectory)
            self._kept[trajectory] = turn
            self._held += turn.columns.size
            while self._held > self.budget:
                self._drop(next(iter(self._kept)))

    def forget(self, trajectory: str) -> None:
        """The trajectory has ended."""
        with self._lock:
            if trajectory in self._used:
                self._used[trajectory] = True
            self._drop(trajectory)

    def clear(self) -> bool:
        """Let go of everything; whether there was anything."""
        with self._lock:
            some = bool(self._kept)
            self._kept.clear()
            self._held = 0
            return some

    def _drop(self, trajectory: str) -> KeptTurn | None:
        turn = self._kept.pop(trajectory, None)
        if turn is not None:
            self._held -= turn.columns.size
        return turn
