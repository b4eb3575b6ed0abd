"""Keys and values of what many conversations begin with: an agent's instructions and its tools."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from speceyes_plugins.engines.transformers.kept_turns import Columns, common_tokens

LEAST = 32
"""Tokens below which a common beginning is not worth its copy."""
MOST = 4
"""Beginnings that are kept, the longest unused going first: a few agents' or prompts'."""


class Beginnings:
    """Learns from any two conversations what they have in common before their first picture.

    It changes nothing that a model answers, since a token's keys and values depend on nothing that
    comes after it.
    """

    def __init__(self, budget: int) -> None:
        """`budget` is in bytes, for each of them."""
        self._budget = budget
        self._known: dict[tuple[int, ...], Columns] = {}
        self._recent: deque[tuple[int, ...]] = deque(maxlen=MOST)

    def find(self, ids: Sequence[int], more_than: int) -> Columns | None:
        """The longest known beginning of `ids`, of more tokens than that; not to be changed."""
        lengths = {known: common_tokens(known, ids) for known in self._known}
        best = max(lengths, key=lambda known: lengths[known], default=())
        if not best or lengths[best] < max(LEAST, more_than + 1):
            return None
        self._known[best] = columns = self._known.pop(best)
        return columns.cut(min(lengths[best], len(ids) - 1))

    def learn(self, text: Sequence[int], columns: Columns) -> None:
        """A conversation of these columns began with this text, before any picture."""
        if len(text) < LEAST:
            return
        common = max((common_tokens(other, text) for other in self._recent), default=0)
        self._recent.append(tuple(text))
        found = tuple(text[:common])
        if common < LEAST or any(known[:common] == found for known in self._known):
            return
        layers = tuple(layer[:, :, :, :common].clone() for layer in columns.layers)
        if (copied := Columns(layers, common, shared=True)).size <= self._budget:
            self._known[found] = copied
            for known in list(self._known)[:-MOST]:
                del self._known[known]

    def clear(self) -> bool:
        """Let go of everything; whether there was anything."""
        some = bool(self._known)
        self._known.clear()
        return some
