"""What a model saw of pictures that may come again: each turn of a conversation sends them anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from speceyes_cli.plugin import Picture

if TYPE_CHECKING:
    from speceyes_plugins.engines.transformers.pictures import Encoded

SEEN_BYTES = 2**28
"""256 MiB: about 28 pictures of a megapixel as a model of 7B parameters keeps them."""


class SeenPictures:
    """Features of pictures that somebody still has; the oldest go first beyond the budget.

    A picture of a dataset is gone with its sample; a server keeps those that may come again.
    """

    def __init__(self, budget: int = SEEN_BYTES) -> None:
        """`budget` is in bytes."""
        self._budget = budget
        self._seen: WeakKeyDictionary[Picture, Encoded] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._seen)

    def get(self, picture: Picture) -> Encoded | None:
        """What was seen of it, if that is kept."""
        return self._seen.get(picture)

    def keep(self, pictures: Iterable[tuple[Picture, Encoded]]) -> None:
        """Keep what was seen of them."""
        for picture, encoded in pictures:
            self._seen.pop(picture, None)
            self._seen[picture] = encoded.alone()
        held = sum(encoded.size for encoded in self._seen.values())
        for picture, encoded in list(self._seen.items()):
            if held <= self._budget:
                return
            del self._seen[picture]
            held -= encoded.size
